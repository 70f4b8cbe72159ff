"""Pairs of answers: what judges and blind raters are shown.

Two or more models answer the same prompts in the same way, or have answered the same suite; every sample then
gives a pair for each two of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from pathlib import Path

from harness.checkpoint_selection import cluster_of
from harness.engine.opening import identify_model, without_weights
from harness.errors import DataError, UnknownName, UsageError
from harness.escape_controls import escape_controls
from harness.evaluation import plan_run
from harness.protocols import Suite
from harness.recorded import located
from harness.records.answers import Response, Row, Run, Sample, SamplingParameters
from harness.records.preferences import Pair
from harness.store import Store
from harness.verbs.checkpoint_selection import left_out
from harness.verbs.evaluating import runs_of
from harness.verbs.progress import Progress
from harness.verbs.project import Project
from suites.prompt_suite import PromptSuite
from suites.prompts import OFFICIAL, hub_prompts, read_prompts

TOY_PROMPTS = "toy-ifeval"
"""The suite whose prompts are used in the toy world by default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What models answered to the same prompts."""

    prompts: str
    """The suite, or what `suites.prompt_suite` calls the prompts."""
    runs: Mapping[str, Run]
    """Each model's, by its name, in the order asked for."""
    pairs: Mapping[tuple[str, str], tuple[Pair, ...]]
    """For each two models, the earlier one on the left: their pairs, in the order of the prompts.

    Identical answers are among them, and so are answers that are missing.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """The stored answers of models to the same prompts; no model is asked."""

    prompts: str
    size: int
    """How many prompts there are, without those that selected a checkpoint."""
    samples: Mapping[str, Sample]
    """The samples, by id: all of them, unless no model is trained yet that the suite could be asked of."""
    answers: Mapping[str, Mapping[str, Response]]
    """Each model's, by its name and then by the sample's id."""
    runs: Mapping[str, str]
    """The ids of the runs that they belong to; of a model that is not trained yet there is none."""
    max_tokens: int
    """The maximum length of an answer."""


def answer_pairs(
    project: Project,
    names: Sequence[str],
    store: Store,
    progress: Progress,
    *,
    prompts: str | None = None,
    sampling: SamplingParameters,
) -> Answered:
    """Have every model answer what it has not answered yet, and pair the answers.

    `prompts` is a file, a suite, one of `suites.prompts.OFFICIAL`, or a data set on the hub; None: the toy
    world's, or both official ones. A suite is asked as its settings say, others with `sampling`; of several
    answers to one sample the first counts. Samples of a suite that selected a checkpoint of one of the models
    give no pair. Raises UsageError for fewer than two different names, for prompts that are none of these,
    and for a suite that generates no text.
    """
    _check(project, names)
    suite = _suite(project, store, progress, prompts, sampling)
    _ = suite.data_hash  # a mistake in the prompts must not show after hours of training
    runs = {}
    for name in dict.fromkeys(names):
        [runs[name]] = runs_of(project, name, [suite], store, progress)
    reserved = left_out(project.registry, store, runs)
    rows = {
        name: {
            row.sample.id: row
            for row in store.runs.rows(run.id)
            if not reserved.holds(suite.name, cluster_of(row.sample))
        }
        for name, run in runs.items()
    }
    return Answered(
        prompts=suite.name,
        runs=runs,
        pairs={
            (left, right): tuple(_pairs(runs[left], runs[right], rows[left], rows[right], suite.name))
            for left, right in combinations(runs, 2)
        },
    )


def kept_answers(
    project: Project,
    names: Sequence[str],
    store: Store,
    *,
    prompts: str | None = None,
    sampling: SamplingParameters,
) -> Kept:
    """The answers that `answer_pairs` would find in the store. No candidate is trained and none is loaded.

    Raises as `answer_pairs` does.
    """
    _check(project, names)
    suite = _suite(project, store, Progress(), prompts, sampling)
    samples = {sample.id: sample for sample in suite.samples} if isinstance(suite, PromptSuite) else {}
    answers: dict[str, Mapping[str, Response]] = {}
    runs, max_tokens = {}, sampling.max_tokens
    for name in dict.fromkeys(names):
        answers[name] = {}
        if not project.has_candidate(name):
            continue
        model = project.model(name, Progress())
        identity = identify_model(model)
        run = plan_run(model, identity, suite, seed=project.registry.project.seed)
        runs[name], max_tokens = run.id, _max_tokens(run, max_tokens)
        rows = list(suite.rows(located(without_weights(model, identity, {}), store)))
        samples |= {row.sample.id: row.sample for row in sorted(rows, key=lambda row: row.position)}
        answers[name] = _kept(suite.name, rows, store)
    reserved = left_out(project.registry, store, answers)
    counted = {
        name: sample for name, sample in samples.items() if not reserved.holds(suite.name, cluster_of(sample))
    }
    return Kept(
        prompts=suite.name,
        size=suite.size - (len(samples) - len(counted)),
        samples=counted,
        answers={
            model: {name: answer for name, answer in found.items() if name in counted}
            for model, found in answers.items()
        },
        runs=runs,
        max_tokens=max_tokens,
    )


def _check(project: Project, names: Sequence[str]) -> None:
    if len(set(names)) < 2:
        raise UsageError("a preference needs two different models: name both")
    project.check(names)


def _kept(suite: str, rows: Sequence[Row], store: Store) -> dict[str, Response]:
    """The answers that are kept, whichever run they were asked for, of rows that say where they would be."""
    keys = {row.sample.id: _response(suite, row).reason or "" for row in rows}
    known = store.answers.known(list(keys.values()))
    found = {name: known.get(key) for name, key in keys.items()}
    return {name: answer for name, answer in found.items() if isinstance(answer, Response)}


def _max_tokens(run: Run, usual: int) -> int:
    """A suite's own, where it says so in its run's settings."""
    sampling = run.settings.get("sampling")
    own = sampling.get("max_tokens") if isinstance(sampling, Mapping) else None
    return own if isinstance(own, int) else usual


def _suite(
    project: Project,
    store: Store,
    progress: Progress,
    prompts: str | None,
    sampling: SamplingParameters,
) -> Suite:
    if prompts is None and project.is_toy:
        prompts = TOY_PROMPTS
    if prompts is None or prompts in OFFICIAL:
        label, samples = _official(project, tuple(OFFICIAL) if prompts is None else (prompts,))
    elif Path(prompts).is_file():
        label, samples = escape_controls(Path(prompts).name.split(".")[0]), read_prompts(Path(prompts))
    elif project.knows_suite(prompts):
        return project.suite(prompts, progress, lambda: store)
    elif "/" in prompts and not Path(prompts).suffix:
        label, samples = prompts, hub_prompts(prompts)
    else:
        known = [*OFFICIAL, *project.registry.suites]
        raise UnknownName("file, suite or set of prompts", prompts, known)
    return PromptSuite(label, samples[: project.limit], sampling)


def _official(project: Project, names: Sequence[str]) -> tuple[str, list[Sample]]:
    """Sets of the folder of official data, one after the other; an id says which it is from."""
    if project.data_root is None:
        raise UsageError(
            f"the prompts {', '.join(names)} are read from the folder that HARNESS_DATA names, and it is not "
            "set; set it, or name a file of prompts, a suite or a data set with --prompts"
        )
    samples = []
    for name in names:
        file = project.data_root / OFFICIAL[name]
        if not file.is_file():
            raise DataError(str(file), 0, "there is no such file in the folder that HARNESS_DATA names")
        samples += read_prompts(file)
    return "+".join(names), samples


def _pairs(
    left: Run, right: Run, left_rows: Mapping[str, Row], right_rows: Mapping[str, Row], suite: str
) -> list[Pair]:
    response = partial(_response, suite)
    return [
        Pair(
            sample=row.sample,
            left_run=left.id,
            right_run=right.id,
            left=response(row),
            right=response(right_rows[name]),
        )
        for name, row in left_rows.items()
    ]


def _response(suite: str, row: Row) -> Response:
    first = next(iter(row.responses), None)
    if not isinstance(first, Response):
        raise UsageError(
            f"suite {suite!r} asks for log-likelihoods and no text, so there is nothing to prefer; name a "
            "suite that generates answers, or a file of prompts"
        )
    return first
