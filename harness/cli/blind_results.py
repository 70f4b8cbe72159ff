"""How blind tests look in a terminal: what was made, what raters' votes show, and what was preferred.

It does not know how any number was made.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.table import Table

from harness.cli.console import Text
from harness.cli.terminal import console, print_json
from harness.counted import counted
from harness.records import Interval
from harness.stats.agreement import Agreement
from harness.stats.preferences import Bias, Share, WinRate
from harness.verbs.blind import Standing
from suites.blind.audit import Audit, RaterAudit, verdict
from suites.blind.design import Design
from suites.blind.results import Result


def standing_as_json(each: Standing) -> dict[str, Any]:
    """Where a blind test is, for machines."""
    return {
        "name": each.study.name,
        "created": each.study.created,
        "commitment": each.study.commitment,
        "unsealed": each.study.unsealed,
        "raters": {rater: asdict(progress) for rater, progress in each.raters.items()},
    }


def made_as_json(design: Design, commitment: str) -> dict[str, Any]:
    """Nothing that is sealed."""
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
        [f"left out: {counted(identical, 'pair')} of the same answer, ties that nobody need look at"]
        if identical
        else []
    )
    return [
        *lines,
        *(f"left out: {counted(n, 'pair')} without an answer ({reason})" for reason, n in missing.items()),
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
    for line in _agreement(found):
        console.print(Text(line))
    for rater in found.raters:
        console.print(Text(verdict(rater), style="yellow" if rater.flags else ""))
    for line in _left_out(found.identical, found.missing):
        console.print(Text(line))
    _print_results(found)


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


def _agreement(found: Audit) -> list[str]:
    lines = [
        f"{each.first} and {each.second}: agreement {_coefficient(each.raw)}, Cohen's kappa "
        f"{_coefficient(each.kappa)}"
        for each in found.between
    ]
    if len(found.raters) < 2:
        return lines
    return [
        *lines,
        f"all raters: agreement {_coefficient(found.raw)}, Fleiss' kappa {_coefficient(found.fleiss)}, "
        f"Krippendorff's alpha {_coefficient(found.alpha)}",
    ]


def _print_results(found: Audit) -> None:
    if found.unsealed is None:
        console.print("sealed: which model is ahead is told by `harness blind unseal`", style="dim")
        return
    for result in found.results:
        _print_result(result)
    if found.without_flagged:
        console.print(Text(f"without {', '.join(found.flagged)}:"))
        for result in found.without_flagged:
            _print_result(result)
    elif found.flagged:
        console.print("all raters are flagged: there is no result without them")


def _print_result(result: Result) -> None:
    console.print(Text(f"{result.candidate} against {result.baseline}: {_rate(result.rate)}", style="bold"))
    if result.sign is not None:
        sign = result.sign
        console.print(
            f"  by prompt: {sign.won} won, {sign.tied} tied, {sign.lost} lost (sign test, p = {sign.p:.2g})"
        )
    for rater, rate in result.by_rater.items():
        console.print(Text(f"  {rater}: {_rate(rate)}"))


def _rate(rate: WinRate | None) -> str:
    if rate is None:
        return "nobody has chosen between the two"
    if not rate.shows_something:
        return f"preferred in –: {rate.won} won, {rate.tied} tied, {rate.lost} lost, on one prompt"
    return (
        f"preferred in {rate.value:.1%} {_interval(rate.interval, percent=True)}: "
        f"{rate.won} won, {rate.tied} tied, {rate.lost} lost, on {counted(rate.prompts, 'prompt')}"
    )


def _coefficient(found: Agreement) -> str:
    if found.value is None or found.interval is None:
        return f"none ({found.reason})"
    if not found.shows_something:
        return "–"
    return f"{found.value:.2f} {_interval(found.interval)} on {found.items} items"


def _interval(interval: Interval, *, percent: bool = False) -> str:
    form = ".1%" if percent else ".2f"
    return f"[{interval.low:{form}}, {interval.high:{form}}]"


def _side(left: Bias | None) -> str:
    if left is None:
        return "–"
    return f"{_counted(left.share)}, p = {left.p:.2g}"


def _counted(share: Share | None) -> str:
    return "–" if share is None else f"{share.count} of {share.of} {_interval(share.interval)}"


def _seconds(seconds: float | None) -> str:
    return "–" if seconds is None else f"{seconds:.1f} s"


def sealed_or_when(unsealed: str | None) -> str:
    """Whether it is sealed."""
    return "sealed" if unsealed is None else f"unsealed {unsealed}"
