"""`harness judge`: have models judge which of other models' answers are better."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from harness.cli.console import Text
from harness.cli.hours import at_most
from harness.cli.introduction import introduce
from harness.cli.options import (
    AnswerTokens,
    AsJson,
    AskRefused,
    Config,
    Device,
    Hours,
    Limit,
    Names,
    On,
    Prompts,
    Replicas,
    Seed,
    Temperature,
)
from harness.cli.preference_tables import whole
from harness.cli.progress import SHORTER_ANSWERS, ProgressBars
from harness.cli.terminal import complain_of_failures, console, print_json, print_notes
from harness.errors import BudgetReached, JudgeUnreadable, UsageError
from harness.pluralize import pluralize
from harness.preferences.named import IDENTICAL, NO_REASON
from harness.records.answers import SamplingParameters
from harness.records.preferences import Preference
from harness.verbs.evaluating import FailedAnswers, failed_answers, refused_answers
from harness.verbs.judge import JudgeRequest, JudgeResult, PairSession, judge, named_judges, settings_of
from harness.verbs.judge_estimates import Estimates, JudgingEstimate, estimate_judging
from harness.verbs.project import Project, open_project
from suites.judge.settings import JudgeSettings
from suites.judge.stopping import UntilDecided
from suites.judge.templates import CRITERIA, TEMPLATES, sentence_of, template_named

REASONS = 3
"""The most reasons for having no verdict that are shown."""
HALF = 0.5
"""The share of wins of either of two models if neither is preferred."""

Judges = Annotated[
    list[str] | None,
    typer.Option("--by", help="A model that judges; repeat for several. Default: [compare] judges."),
]
Template = Annotated[
    str | None,
    typer.Option(
        "--template",
        help=f"The wording of the question: {' or '.join(TEMPLATES)}. Default: [judge] template.",
    ),
]
Criteria = Annotated[
    list[str] | None,
    typer.Option(
        "--criteria",
        help=f"What counts: {', '.join(CRITERIA)}, or a sentence of your own; repeat for several. "
        "Default: [judge] criteria.",
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Estimate calls, tokens and cost; ask no model.")]
Budget = Annotated[
    float | None,
    typer.Option("--budget", min=0, help="The most that judges may cost, in the currency of [prices]."),
]
Level = Annotated[
    float | None,
    typer.Option("--level", help="The confidence level for --until-decided. Default: [compare] level."),
]


def command(
    names: Names,
    judges: Judges = None,
    prompts: Prompts = None,
    template: Template = None,
    criteria: Criteria = None,
    limit: Limit = None,
    ask_refused: AskRefused = False,
    device: Device = None,
    on: On = None,
    replicas: Replicas = None,
    hours: Hours = None,
    one_order: Annotated[
        bool,
        typer.Option("--one-order", help="Show each pair of answers in one order, not in both."),
    ] = False,
    max_tokens: AnswerTokens = 512,
    temperature: Temperature = 0.0,
    dry_run: DryRun = False,
    budget: Budget = None,
    until_decided: Annotated[
        bool,
        typer.Option("--until-decided", help="Stop once it is clear which model is preferred."),
    ] = False,
    level: Level = None,
    config: Config = None,
    seed: Seed = None,
    as_json: AsJson = False,
) -> None:
    """Have models judge which answers are better. Stored answers and verdicts are reused."""
    _check_level(level, until_decided=until_decided)
    project = introduce(
        open_project(
            config,
            seed=seed,
            limit=limit,
            device=device,
            on=on,
            replicas=replicas,
            ask_refused=ask_refused,
        )
    )
    request = JudgeRequest(
        judges=named_judges(project, judges or ()),
        settings=_settings(project, template, criteria, one_order=one_order),
        prompts=prompts,
        sampling=SamplingParameters(
            max_tokens=max_tokens, temperature=temperature, seed=project.registry.project.seed
        ),
        budget=budget,
        until_decided=(level or project.registry.compare.level) if until_decided else None,
    )
    if dry_run:
        _show_estimates(estimate_judging(project, names, request), as_json=as_json)
        return
    with at_most(hours), ProgressBars(shorten=SHORTER_ANSWERS) as progress:
        judged = judge(project, names, request, progress=progress)
    if as_json:
        print_json(_as_json(judged))
    else:
        _print(judged)
        print_notes(refused_answers(project, judged.answered.runs.values()))
    _complain(judged, failed_answers(project, judged.answered.runs.values()))


def _settings(
    project: Project, template: str | None, criteria: Sequence[str] | None, *, one_order: bool
) -> JudgeSettings:
    """`[judge]`, and what the command says instead. Raises UnknownName and UsageError."""
    settings = settings_of(project)
    instead: dict[str, Any] = {}
    if template is not None:
        instead["template"] = template_named(template).name
    if criteria:
        for criterion in criteria:
            sentence_of(criterion)
        instead["criteria"] = tuple(criteria)
    if one_order:
        instead["order"] = "one"
    return settings.model_copy(update=instead)


def _check_level(level: float | None, *, until_decided: bool) -> None:
    if level is not None and not until_decided:
        raise UsageError(
            "--level says when --until-decided stops, which was not asked for; add it, or drop --level"
        )
    if level is not None and not 0 < level < 1:
        raise UsageError(f"--level {level:g}: a level lies between 0 and 1, such as 0.95")


def _complain(judged: JudgeResult, answers: Sequence[FailedAnswers]) -> None:
    """End the command with what is left. Raises JudgeUnreadable, AnswersFailed or BudgetReached."""
    if judged.unreadable:
        raise JudgeUnreadable("\n".join(_given_up(*each) for each in judged.unreadable.items()))
    complain_of_failures(
        [
            *answers,
            *(
                f"{count} of judge {name!r}; what they were about has no verdict"
                for name, count in judged.failed().items()
            ),
        ]
    )
    if judged.is_over_budget:
        raise BudgetReached(
            f"the budget of {judged.budget:g} {judged.currency} does not hold another request: "
            f"{judged.spent or 0:.6g} are spent, and the next might cost more than what is left; what was "
            "judged is kept, and the same command with a larger budget goes on from there"
        )


def _given_up(judge: str, why: str) -> str:
    return (
        f"judge {judge!r} is asked no further, since its replies cannot be read in either form: {why}; they "
        "are kept and counted, so the same command asks at most ten more before it stops again: name another "
        "judge, or set another `template` or a larger `max_tokens` in [judge]"
    )


# ---------------------------------------------------------------- what was judged


def _print(judged: JudgeResult) -> None:
    for part in whole(judged.analysis) if judged.analysis else ():
        console.print(part)
    for each in judged.sessions:
        console.print(Text(_effort(each)))
        if each.stopping is not None:
            console.print(Text(_decided(each, each.stopping)))
        for line in _without_verdict(each):
            console.print(Text(line, style="yellow"))
    print_notes(judged.notes)
    if judged.spent is not None:
        console.print(f"spent on judges: {judged.spent:.6g} {escape(judged.currency)}")


def _decided(each: PairSession, stopping: UntilDecided) -> str:
    """What is known of a preference that was to be decided, and what it saved to stop there."""
    where = f"{each.right} against {each.left} by {each.rater.name}"
    if stopping.share is None:
        return f"{where}: not decided: no verdict was given"
    preferred = each.right if stopping.share > HALF else each.left
    verdict = f"DECIDED for {preferred}" if stopping.is_decided else "not decided"
    if each.session.ended == "undecidable":
        verdict = "NOT DECIDED, and the pairs that could still be asked would not decide it"
    saved, calls = each.session.spared, each.session.calls
    return (
        f"{where}: {verdict}: share of wins {stopping.share:.3f} {stopping.interval:.3f} "
        f"after {pluralize(stopping.count, 'pair')}, at level {stopping.level:g} however often it is looked "
        f"at; {saved:,} of {saved + calls + each.session.recalled:,} calls saved"
    )


def _effort(each: PairSession) -> str:
    """What it took to judge two models."""
    session = each.session
    known = f", {session.recalled:,} known before" if session.recalled else ""
    tokens = session.prompt_tokens + session.completion_tokens
    identical = sum(one.reason == IDENTICAL for one in session.preferences)
    return (
        f"{each.right} vs {each.left} by {each.rater.id}: {pluralize(each.pairs, 'pair')}, {identical:,} of "
        f"them identical; {pluralize(session.calls, 'call')}{known}, {pluralize(tokens, 'token')}"
    )


def _without_verdict(each: PairSession) -> list[str]:
    """The commonest reasons for having no verdict; every unreadable reply is one of its own."""
    reasons = _unusable(each.session.preferences)
    commonest = reasons.most_common(REASONS)
    others = reasons.total() - sum(count for _, count in commonest)
    lines = [f"{count:,} × {reason}" for reason, count in commonest]
    lines += [f"{others:,} × others, each in --json"] if others else []
    return [f"no verdict by {each.rater.id}: {line}" for line in lines]


def _unusable(preferences: Sequence[Preference]) -> Counter[str]:
    return Counter(each.reason or NO_REASON for each in preferences if each.winner is None)


def _as_json(judged: JudgeResult) -> dict[str, Any]:
    return {
        "prompts": judged.answered.prompts,
        "runs": {name: run.id for name, run in judged.answered.runs.items()},
        "raters": [asdict(rater) for rater in judged.raters],
        "sessions": [
            {
                "rater": each.rater.id,
                "left": each.left,
                "right": each.right,
                "pairs": each.pairs,
                "ended": each.session.ended,
                "calls": each.session.calls,
                "recalled": each.session.recalled,
                "spared": each.session.spared,
                "prompt_tokens": each.session.prompt_tokens,
                "completion_tokens": each.session.completion_tokens,
                "cost": each.session.cost,
                "no_verdict": _unusable(each.session.preferences),
                "decided": None if each.stopping is None else _decided_as_json(each.stopping),
            }
            for each in judged.sessions
        ],
        "analysis": None if judged.analysis is None else asdict(judged.analysis),
        "preferences": [asdict(one) for theirs in judged.preferences.values() for one in theirs],
        "notes": list(judged.notes),
        "currency": judged.currency,
        "spent": judged.spent,
        "budget": judged.budget,
    }


def _decided_as_json(stopping: UntilDecided) -> dict[str, Any]:
    return {
        "decided": stopping.is_decided,
        "share": stopping.share,
        "interval": asdict(stopping.interval),
        "pairs": stopping.count,
    }


# ---------------------------------------------------------------- what it would take


def _show_estimates(found: Estimates, *, as_json: bool) -> None:
    if as_json:
        print_json(asdict(found))
        return
    for name, missing in found.missing.items():
        if missing:
            console.print(
                f"{escape(name)} has not answered {missing} of the prompts: it is asked first, and its "
                "answers are estimated at their usual length"
            )
    table = Table()
    for title in ("judge", "models", "pairs", "identical", "calls", "tokens in / out", "cost", "at most"):
        table.add_column(title, justify="left" if title in ("judge", "models") else "right", overflow="fold")
    for each in found.estimates:
        table.add_row(*_estimated(each))
    console.print(table)
    console.print(_total(found))


def _estimated(each: JudgingEstimate) -> list[str]:
    known = f" ({each.recalled:,} known)" if each.recalled else ""
    return [
        escape(each.judge),
        escape(f"{each.right} vs {each.left}"),
        f"{each.pairs:,}",
        f"{each.identical:,}",
        f"{each.calls:,}{known}",
        f"{each.prompt_tokens:,} / {each.completion_tokens:,}",
        "–" if each.cost is None else f"{each.cost:.4f}",
        "–" if each.most is None else f"{each.most:.4f}",
    ]


def _total(found: Estimates) -> Text:
    costs = [each.cost for each in found.estimates if each.cost is not None]
    free = {each.judge for each in found.estimates if each.cost is None}
    total = "nobody was asked; tokens are guessed from characters"
    if costs:
        total += f"; about {sum(costs):.4f} {found.currency}"
        if found.budget is not None:
            total += f" of a budget of {found.budget:g}"
    if free:
        total += f"; no price in [prices]: {', '.join(sorted(free))}"
    return Text(total)
