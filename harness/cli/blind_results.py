"""Prints blind tests in a terminal: what was made, what raters' votes show, and what was preferred."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.table import Table

from harness.cli.console import Text
from harness.cli.preference_tables import whole
from harness.cli.terminal import console, print_json
from harness.pluralize import pluralize
from harness.preferences.results import Analysis
from harness.stats.preferences import Bias, Share
from harness.verbs.blind import StudyProgress
from suites.blind.audit import Audit, RaterAudit, verdict
from suites.blind.design import Design


def standing_as_json(each: StudyProgress) -> dict[str, Any]:
    """A blind test's state, as JSON values."""
    return {
        "name": each.study.name,
        "created": each.study.created,
        "commitment": each.study.commitment,
        "unsealed": each.study.unsealed,
        "raters": {rater: asdict(progress) for rater, progress in each.raters.items()},
    }


def made_as_json(design: Design, commitment: str) -> dict[str, Any]:
    """A new blind test as JSON values, without anything sealed."""
    return {
        "name": design.name,
        "commitment": commitment,
        "models": list(design.models),
        "prompts": design.prompts,
        "plan": asdict(design.plan),
        "identical": len(design.left_out.identical),
        "missing": dict(design.left_out.missing),
    }


def print_made(design: Design, commitment: str) -> None:
    """What was made, and the commitment to note down."""
    plan = design.plan
    lines = [
        f"blind test {design.name}: {', '.join(design.models)} on {design.prompts}",
        f"each of {', '.join(plan.raters)}: {plan.per_rater} ballots, of which {plan.overlap} are the same "
        f"for all, {plan.own} are dealt out, {plan.repeats} are repeats and {plan.checks} are checks",
        *_left_out(len(design.left_out.identical), design.left_out.missing),
        f"commitment: {commitment}",
    ]
    for line in lines:
        console.print(Text(line), soft_wrap=True)
    console.print(
        "Note the commitment down: `harness blind unseal --commitment …` proves with it that the sides are "
        "those drawn now.",
        style="dim",
    )


def _left_out(identical: int, missing: Mapping[str, int]) -> list[str]:
    lines = (
        [f"left out: {pluralize(identical, 'pair')} of the same answer, ties that nobody need look at"]
        if identical
        else []
    )
    return [
        *lines,
        *(f"left out: {pluralize(n, 'pair')} without an answer ({reason})" for reason, n in missing.items()),
    ]


def show_audit(found: Audit, *, as_json: bool) -> None:
    """What the votes show, in tables and words or as JSON."""
    if as_json:
        print_json({**asdict(found), "verdicts": {each.rater: verdict(each) for each in found.raters}})
        return
    console.print(
        Text(f"blind test {found.study}: {', '.join(found.models)} on {found.prompts}"), soft_wrap=True
    )
    console.print(
        Text(f"{found.commitment}: the design is the sealed one; {sealed_or_when(found.unsealed)}"),
        soft_wrap=True,
    )
    console.print(_raters(found.raters))
    for rater in found.raters:
        console.print(Text(verdict(rater), style="yellow" if rater.flags else ""))
    for line in _left_out(found.identical, found.missing):
        console.print(Text(line))
    _print_preferences(found)


def _raters(raters: Sequence[RaterAudit]) -> Table:
    """A column for each rater, so that several fit a narrow window."""
    table = Table("")
    for each in raters:
        table.add_column(Text(each.rater))
    lines: dict[str, Callable[[RaterAudit], str]] = {
        "ballots done": lambda each: f"{each.done} of {each.ballots}",
        "ties, or both bad": lambda each: str(each.ties),
        "skipped": lambda each: str(each.skipped),
        "undone": lambda each: str(each.undone),
        "left side": lambda each: _side(each.left),
        "same on repeats": lambda each: _counted(each.repeats),
        "checks passed": lambda each: _counted(each.checks),
        "median time": lambda each: _seconds(each.median_seconds),
        "too fast": lambda each: _counted(each.hasty),
    }
    for name, cell in lines.items():
        table.add_row(name, *(cell(each) for each in raters))
    return table


def _print_preferences(found: Audit) -> None:
    _print_analysis(found.preferences)
    if found.unsealed is None:
        console.print("sealed: `harness blind unseal` reveals which model is ahead", style="dim")
    elif found.without_flagged is not None:
        console.print(Text(f"without {', '.join(found.flagged)}:"))
        _print_analysis(found.without_flagged)
    elif found.flagged:
        console.print("all raters are flagged: there is no result without them")


def _print_analysis(analysis: Analysis | None) -> None:
    if analysis is None:
        console.print("nobody has chosen between two models yet")
        return
    for part in whole(analysis):
        console.print(part)


def _side(left: Bias | None) -> str:
    if left is None:
        return "–"
    return f"{_counted(left.share)}, p = {left.p:.2g}"


def _counted(share: Share | None) -> str:
    return "–" if share is None else f"{share.count} of {share.of} {share.interval:.2f}"


def _seconds(seconds: float | None) -> str:
    return "–" if seconds is None else f"{seconds:.1f} s"


def sealed_or_when(unsealed: str | None) -> str:
    """Whether it is sealed."""
    return "sealed" if unsealed is None else f"unsealed {unsealed}"
