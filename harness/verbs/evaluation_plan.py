"""Estimates what a comparison would take, before anything is trained, loaded or asked.

Every suite is gone through with an engine that answers nothing, so that requests are counted exactly, and
those whose answers are in the store. Of a pipeline that is not trained yet nothing is there. Time is what
earlier runs of the suite with the same settings took for a sample: the model's own, or else those of others.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from statistics import median

from harness.engine.noting_engine import NotingEngine
from harness.engine.opening import without_weights
from harness.protocols import Suite
from harness.recorded import keys_of
from harness.records.answers import Run
from harness.records.models import Local
from harness.store import Store, canonical
from harness.verbs.evaluating import plan_runs
from harness.verbs.placement import Allotment, Cluster, allotment_of, cluster_of
from harness.verbs.progress import Progress
from harness.verbs.project import Project
from harness.verbs.training import plan_training
from suites.judge.costs import most_costs
from trainers.forecast import StageForecast


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationForecast:
    """What asking one suite of one model would take."""

    model: str
    suite: str
    samples: int
    requests: int | None
    """Different requests; 0 where all is done, None where the model or a classifier is not trained yet."""
    missing: int | None
    """Those of them whose answers are not in the store; None as before."""
    seconds: float | None
    """None where no such run was finished yet."""
    cost: float | None
    """The most that the missing answers can cost; None where they cost nothing, or the model has no price."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonForecast:
    """What a command would take."""

    stages: tuple[StageForecast, ...]
    """Those that are trained or reused, in the order of training."""
    evaluations: tuple[EvaluationForecast, ...]
    loads: tuple[str, ...]
    """The models that are loaded, each once; services are none of them."""
    cluster: Cluster | None
    """None: all is done in this process."""
    allotment: Allotment | None
    """What each model is asked with."""
    at_once: int
    """Models that are asked at the same time."""
    currency: str

    @property
    def seconds(self) -> float | None:
        """Of asking, as far as it is known; None where nothing is."""
        known = [each.seconds for each in self.evaluations if each.seconds is not None]
        return sum(known) / self.at_once if known else None


def plan_evaluation(
    project: Project, names: Sequence[str], *, suites: Sequence[str] = ()
) -> ComparisonForecast:
    """What `harness.verbs.evaluating.evaluate` would do with the same arguments. Raises as it does."""
    project.check(names)
    asked = tuple(dict.fromkeys(suites or project.default_suites))
    project.check_prices(names, asked)
    scorers = (scorer for suite in asked for scorer in project.scorers(suite))
    stages = plan_training(project, [*filter(project.registry.pipelines.__contains__, names), *scorers])
    with ExitStack() as at_the_end:
        store = at_the_end.enter_context(project.store())
        opening = cache(lambda: store)
        opened = [project.suite(suite, Progress(), opening) for suite in asked]
        found = [each for name in dict.fromkeys(names) for each in _forecasts(project, name, opened, store)]
    to_ask = (each.model for each in found if each.missing != 0 and _is_local(project, each.model))
    loads = tuple(dict.fromkeys(to_ask))
    on_ray = project.placement.on is not None
    cluster = cluster_of(project.placement) if on_ray else None
    # what several processes spend, none of them knows: with a budget it is one model after the other
    together = 1 if project.budget is not None else max(1, len(loads))
    allotment = allotment_of(cluster, together, project.placement.replicas) if cluster else None
    has_room = cluster.slots // allotment.slots if cluster and allotment else 1
    return ComparisonForecast(
        stages=tuple(stages),
        evaluations=tuple(found),
        loads=loads,
        cluster=cluster,
        allotment=allotment,
        at_once=max(1, min(together, has_room)),
        currency=project.registry.prices.currency,
    )


def _is_local(project: Project, name: str) -> bool:
    model = project.registry.models.get(name)
    return model is None or isinstance(model.source, Local)


def _forecasts(
    project: Project, name: str, suites: Sequence[Suite], store: Store
) -> Iterator[EvaluationForecast]:
    for suite in suites:
        # a classifier's hash is a part of the run: without it there is no knowing what is there
        if all(map(project.has_candidate, (name, *project.scorers(suite.name)))):
            yield _counted(project, name, suite, store)
        else:
            yield EvaluationForecast(
                model=name,
                suite=suite.name,
                samples=suite.size,
                requests=None,
                missing=None,
                seconds=_seconds(store, name, suite.name, None, suite.size),
                cost=None,
            )


def _counted(project: Project, name: str, suite: Suite, store: Store) -> EvaluationForecast:
    model = project.model(name, Progress())
    plan = plan_runs(project, model, [suite], store)
    [run] = plan.runs
    price = project.registry.prices.of.get(name)
    noting = NotingEngine(without_weights(model, plan.identity, {}))
    if plan.missing:
        for _ in suite.rows(noting):
            pass
    asked = {
        key: cost
        for call in noting.calls
        for key, cost in zip(keys_of(run.fingerprint, call), most_costs(call, price), strict=True)
    }
    missing = asked.keys() - store.answers.known(list(asked)).keys()
    samples = len(missing) / len(asked) * suite.size if missing else 0.0
    return EvaluationForecast(
        model=name,
        suite=suite.name,
        samples=suite.size,
        requests=len(asked),
        missing=len(missing),
        seconds=_seconds(store, name, suite.name, run, samples) if missing else 0.0,
        cost=None if price is None else sum(asked[key] for key in missing),
    )


def _seconds(store: Store, model: str, suite: str, run: Run | None, samples: float) -> float | None:
    """How long so many samples took before."""
    earlier = [
        each
        for each in store.runs.find(suite=suite)
        if each.seconds is not None
        and each.size
        and (run is None or canonical(each.settings) == canonical(run.settings))
    ]
    own = [each for each in earlier if each.model == model]
    paces = [each.seconds / each.size for each in own or earlier if each.seconds is not None]
    return median(paces) * samples if paces else None
