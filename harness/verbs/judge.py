"""The verb `judge`: models answer the same prompts, and judges say whose answers are better.

Everything goes through the store: what was answered or judged is not asked again, and a judge's reply is
stored before it counts.
"""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial

from harness.engine.identity import Identity
from harness.engine.lazy import LazyEngine
from harness.engine.opening import (
    identify_model,
    is_reward_model,
    open_reward_model,
    takes_schema,
)
from harness.errors import UsageError
from harness.named_preferences import named
from harness.preferences.analysis import analyse
from harness.preferences.results import Analysis
from harness.protocols import Engine
from harness.recorded import recorded
from harness.records.answers import SamplingParameters
from harness.records.models import Endpoint, Gemini, Model
from harness.records.preferences import Pair, Preference, Rater
from harness.store import Store
from harness.verbs.lineage import self_preference
from harness.verbs.pairs import Answered, answer_pairs
from harness.verbs.progress import Progress
from harness.verbs.project import Project
from harness.verbs.spending import check_prices
from suites.judge.costs import Budget
from suites.judge.judges import Judge
from suites.judge.jury import jury_of, jury_preferences
from suites.judge.pairwise import PairwiseJudge
from suites.judge.reward import RewardJudge
from suites.judge.session import JudgeRunner, OpenedJudge, Session
from suites.judge.settings import JudgeSettings
from suites.judge.stopping import UntilDecided
from suites.judge.templates import template_named

LOCAL_AT_ONCE = 64
"""Requests between two looks at what is decided, where the judge runs on this machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeRequest:
    """Who judges the models, and how."""

    judges: tuple[str, ...]
    """Models, or pipelines that end in a reward stage."""
    settings: JudgeSettings = field(default_factory=JudgeSettings)
    """The settings of the judges that are asked in words."""
    prompts: str | None = None
    """What is answered: see `harness.verbs.pairs.answer_pairs`."""
    sampling: SamplingParameters = field(default_factory=partial(SamplingParameters, max_tokens=512))
    """The settings of the answers that are judged."""
    budget: float | None = None
    """What may be spent on judges by one command, in the currency of the prices; None: any amount."""
    until_decided: float | None = None
    """The level at which a preference is to be decided, after which a judge is asked no further."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairSession:
    """What became of one judge and two models."""

    rater: Rater
    left: str
    right: str
    pairs: int
    session: Session
    stopping: UntilDecided | None
    """What was known when it ended, where it was to end as soon as it is decided."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class JudgeResult:
    """What judges said, and what it took."""

    answered: Answered
    sessions: tuple[PairSession, ...]
    """For each judge, in the order asked for, one per two models."""
    jury: Rater | None
    """All judges together, where there are several."""
    preferences: Mapping[str, tuple[Preference, ...]]
    """The preferences, by the rater's id; the jury is one of the raters."""
    analysis: Analysis | None
    """What these preferences come to; None: nothing was asked."""
    unreadable: Mapping[str, str]
    """The judges that were given up since nothing could be read in their replies, each with how that went."""
    notes: tuple[str, ...]
    currency: str
    spent: float | None
    """The cost of judges in this command; None if nothing is to be paid."""
    budget: float | None

    @property
    def raters(self) -> tuple[Rater, ...]:
        """The judges, and the jury after them."""
        judges = {each.rater.id: each.rater for each in self.sessions}
        return (*judges.values(), *([self.jury] if self.jury else []))

    @property
    def is_over_budget(self) -> bool:
        """Whether something was not asked because of what it might have cost."""
        return any(each.session.ended == "budget" for each in self.sessions)

    def __repr__(self) -> str:
        return repr(self.analysis) if self.analysis else f"{self.answered.prompts}: nothing was judged"

    def failed(self) -> dict[str, int]:
        """How many replies never came, by judge: the same command asks just those again."""
        counts: dict[str, int] = {}
        for each in self.sessions:
            failed = sum((chosen.reason or "").startswith("failed: ") for chosen in each.session.preferences)
            if failed:
                counts[each.rater.name] = counts.get(each.rater.name, 0) + failed
        return counts


def judge(
    project: Project,
    names: Sequence[str],
    request: JudgeRequest | None = None,
    *,
    progress: Progress | None = None,
) -> JudgeResult:
    """Have these models answer what they have not answered, and the judges prefer what they have not judged.

    Without `request` it is done as the project's `[judge]` and `[compare] judges` say. Raises UsageError for
    what cannot be done so, before anything is trained or asked.
    """
    progress = progress or Progress()
    request = request or JudgeRequest(judges=named_judges(project, ()), settings=settings_of(project))
    check(project, names, request)
    budget = Budget(request.budget)
    with project.store() as store:
        answered = answer_pairs(
            project, names, store, progress, prompts=request.prompts, sampling=request.sampling
        )
        notes = [
            note for name in request.judges if (note := self_preference(project, name, list(answered.runs)))
        ]
        sessions, unreadable = [], {}
        for name in request.judges:
            opened = open_judge(project, name, request.settings, progress)
            on_answer = partial(progress.asking, name, f"pairs of {answered.prompts}")
            remembering = recorded(
                opened.engine(), store, on_answer=on_answer, ask_refused=project.ask_refused
            )
            with closing(remembering) as engine:
                runner = _runner(project, opened, engine, store, budget)
                sessions += _sessions(runner, answered, request.until_decided)
            if runner.given_up is not None:
                unreadable[name] = runner.given_up
            notes += [*runner.notes, *_of_stopping(sessions, name)]
        jury, preferences = _together(store, answered, sessions)
        analysis = _analysis(project, store, [one for theirs in preferences.values() for one in theirs])
    return JudgeResult(
        answered=answered,
        sessions=tuple(sessions),
        jury=jury,
        preferences=preferences,
        analysis=analysis,
        unreadable=unreadable,
        notes=tuple(notes),
        currency=project.registry.prices.currency,
        spent=budget.spent if any(each.session.cost is not None for each in sessions) else None,
        budget=request.budget,
    )


def settings_of(project: Project) -> JudgeSettings:
    """The project's `[judge]`."""
    return JudgeSettings.model_validate(project.registry.judge)


def named_judges(project: Project, judges: Sequence[str]) -> tuple[str, ...]:
    """The judges named, or those of `[compare]`, each once. Raises UsageError where there are none."""
    asked = tuple(dict.fromkeys(judges or project.registry.compare.judges))
    if not asked:
        raise UsageError(
            "no judge is named: name a model that judges with --by, or set `judges` in [compare] of "
            f"{project.registry.project.file}"
        )
    return asked


def check(project: Project, names: Sequence[str], request: JudgeRequest) -> None:
    """Raise UsageError for what is wrong with models or judges, and for a budget without a price."""
    project.check([*names, *request.judges])
    for name in request.judges:
        if name not in project.registry.pipelines:
            is_reward_model(project.model(name, Progress()))  # raises for a classifier that is none
    if request.budget is not None:
        named = (project.registry.models.get(name) for name in request.judges)
        check_prices(project.registry, filter(None, named))


def open_judge(project: Project, name: str, settings: JudgeSettings, progress: Progress) -> OpenedJudge:
    """The judge of this name. A pipeline is trained when needed; no model is loaded before it is asked.

    Raises ModelError for a classifier that does not rate answers.
    """
    model = project.model(name, progress)
    identity = identify_model(model)
    rates = is_reward_model(model)

    def load() -> Engine:
        progress.loading(name)
        if rates:
            return open_reward_model(model, device=project.device)
        # a cut reply holds no verdict, thought or not, and nothing is asked that a budget does not know of
        return project.open(model, looks=False)

    return OpenedJudge(
        judge=judge_of(project, model, identity, settings, rates=rates),
        engine=partial(LazyEngine, identity, load),
        at_once=_at_once(model),
        price=project.registry.prices.of.get(name),
    )


def judge_of(
    project: Project, model: Model, identity: Identity, settings: JudgeSettings, *, rates: bool
) -> Judge:
    """A judge that is asked as these settings say, or that `rates` answers."""
    has_turns = identity.chat_template is not None
    if rates:
        pipeline = project.registry.pipelines.get(model.name)
        trained_on_turns = pipeline is None or pipeline.stages[-1].settings.get("chat_template") is not False
        return RewardJudge(
            name=model.name, fingerprint=identity.fingerprint, has_turns=has_turns and trained_on_turns
        )
    return PairwiseJudge(
        name=model.name,
        fingerprint=identity.fingerprint,
        has_turns=has_turns,
        template=template_named(settings.template),
        criteria=settings.criteria,
        order=settings.order,
        form="schema" if takes_schema(model) else "line",
        max_tokens=settings.max_tokens,
        seed=project.registry.project.seed,
    )


def _at_once(model: Model) -> int:
    source = model.source
    return source.limits.concurrency if isinstance(source, Endpoint | Gemini) else LOCAL_AT_ONCE


def _runner(
    project: Project, opened: OpenedJudge, engine: Engine, store: Store, budget: Budget
) -> JudgeRunner:
    seed, ask_refused = project.registry.project.seed, project.ask_refused
    return JudgeRunner(opened, engine, store, budget=budget, seed=seed, ask_refused=ask_refused)


def _sessions(runner: JudgeRunner, answered: Answered, until_decided: float | None) -> list[PairSession]:
    sessions = []
    for (left, right), pairs in answered.pairs.items():
        stopping = None if until_decided is None else UntilDecided(until_decided)
        session = runner.judge_pairs(pairs, stopping)
        sessions.append(
            PairSession(
                rater=runner.judge.rater,
                left=left,
                right=right,
                pairs=len(pairs),
                session=session,
                stopping=stopping,
            )
        )
    return sessions


def _together(
    store: Store, answered: Answered, sessions: Sequence[PairSession]
) -> tuple[Rater | None, dict[str, tuple[Preference, ...]]]:
    """The jury of several judges, and what everybody said."""
    said: dict[str, tuple[Preference, ...]] = {}
    for each in sessions:
        said[each.rater.id] = said.get(each.rater.id, ()) + each.session.preferences
    if len({each.rater.name for each in sessions}) < 2:
        return None, said
    raters = {each.rater.id: each.rater for each in sessions}
    jury = jury_of(list(raters.values()))
    pairs: list[Pair] = [pair for between in answered.pairs.values() for pair in between]
    found = jury_preferences(jury, pairs, said)
    store.preferences.keep_rater(jury)
    store.preferences.keep(found)
    return jury, {**said, jury.id: tuple(found)}


def _analysis(project: Project, store: Store, preferences: Sequence[Preference]) -> Analysis | None:
    """The first name is the baseline: it is on the left of every pair that it is in."""
    if not preferences:
        return None
    return analyse(named(store, preferences), project.analysis_plan())


def _of_stopping(sessions: Sequence[PairSession], judge: str) -> list[str]:
    """What intervals mean where a judge stopped as soon as it was decided."""
    if not any(each.session.ended == "decided" and each.rater.name == judge for each in sessions):
        return []
    return [
        f"judge {judge!r} stopped when it was decided: intervals and p are those of a sample whose size was "
        "fixed before, and promise too much of this one; what holds is the interval of the decision"
    ]
