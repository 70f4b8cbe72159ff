"""`harness blind`: human blind tests. It does not know how they are drawn, sealed, audited or served."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from harness.cli.options import AsJson, Config, Device, Limit, Names
from harness.cli.progress import ProgressBars
from harness.cli.rating import rate as rate_in_terminal
from harness.cli.terminal import console, introduce, print_json
from harness.errors import UsageError
from harness.records import Interval, Sampling
from harness.stats.agreement import Agreement
from harness.stats.preferences import Bias, Share, WinRate
from harness.verbs import blind
from harness.verbs.project import open_project
from suites.blind.audit import Audit, RaterAudit, verdict
from suites.blind.design import Design, Plan
from suites.blind.results import Result

Study = Annotated[
    str | None, typer.Option("--study", help="The blind test's name; may be left out where there is one.")
]
Commitment = Annotated[
    str | None,
    typer.Option("--commitment", help="As it was printed when the test was made: it must be the same."),
]


class Language(StrEnum):
    """Of what raters are told, not of the prompts."""

    EN = "en"
    PT = "pt"


command = typer.Typer(
    help="Human blind tests: raters choose between two models' answers without knowing whose they are.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@command.command(short_help="Make a blind test and print its commitment.")
def new(
    names: Names,
    raters: Annotated[str, typer.Option("--raters", help="Who rates, such as ana,bia.")],
    prompts: Annotated[
        str | None,
        typer.Option(
            "--prompts",
            help="A file (JSONL, JSON, one per line in .txt), a suite, mt_bench, user_oriented, or a "
            "data set on the hub. Default: both of HARNESS_DATA's; in the toy world, toy-ifeval's.",
        ),
    ] = None,
    per_rater: Annotated[
        int, typer.Option("--per-rater", min=1, help="All ballots of a rater, the following three included.")
    ] = 100,
    overlap: Annotated[
        int, typer.Option("--overlap", min=0, help="Pairs of answers that all raters get.")
    ] = 30,
    repeats: Annotated[
        int, typer.Option("--repeats", min=0, help="Ballots that come again later, with sides exchanged.")
    ] = 5,
    checks: Annotated[
        int, typer.Option("--checks", min=0, help="Ballots of ours with an obvious answer, in English.")
    ] = 3,
    name: Annotated[str | None, typer.Option("--name", help="Default: blind-1, blind-2, …")] = None,
    language: Annotated[
        Language, typer.Option("--language", help="Of the rating page and terminal.")
    ] = Language.EN,
    seed: Annotated[
        str | None,
        typer.Option(
            "--seed",
            help="Draws order and sides. Default: drawn too, and sealed. Who guesses it knows the sides.",
        ),
    ] = None,
    limit: Limit = None,
    max_tokens: Annotated[int, typer.Option("--max-tokens", min=1, help="Of an answer.")] = 512,
    temperature: Annotated[
        float, typer.Option("--temperature", min=0, help="Of the models that are compared; 0 is greedy.")
    ] = 0.0,
    config: Config = None,
    device: Device = None,
    as_json: AsJson = False,
) -> None:
    """Make a blind test: get the missing answers, draw who rates what, seal it, print the commitment."""
    project = open_project(config, limit=limit, device=device)
    introduce(project)
    plan = Plan(
        raters=tuple(each.strip() for each in raters.split(",") if each.strip()),
        per_rater=per_rater,
        overlap=overlap,
        repeats=repeats,
        checks=checks,
    )
    with ProgressBars() as watcher:
        study, design = blind.new_study(
            project,
            names,
            plan,
            prompts=prompts,
            sampling=Sampling(
                max_tokens=max_tokens, temperature=temperature, seed=project.registry.project.seed
            ),
            name=name,
            language=language,
            seed=seed,
            watcher=watcher,
        )
    if as_json:
        print_json(_made_as_json(design, study.commitment))
    else:
        _print_made(design, study.commitment)


@command.command(short_help="Rate in this terminal.")
def rate(
    rater: Annotated[str, typer.Option("--rater", help="Who rates.")],
    study: Study = None,
    config: Config = None,
) -> None:
    """Rate in this terminal. Every vote is kept at once, and the same command goes on from there."""
    project = open_project(config)
    introduce(project)
    with blind.ballot_box(project, study) as box:
        if not box.is_sealed:
            raise UsageError(f"the blind test {box.study!r} is unsealed: votes are closed")
        rate_in_terminal(box, rater)


@command.command(short_help="Serve the rating page.")
def serve(
    host: Annotated[
        str,
        typer.Option("--host", help="The address to listen at; one that others reach comes with a warning."),
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0: a free one.")] = 8321,
    public: Annotated[
        str | None,
        typer.Option("--public", help="Where raters reach the server, such as https://rate.example.org."),
    ] = None,
    study: Study = None,
    config: Config = None,
) -> None:
    """Serve the rating page, and print one private link per rater. Needs the extra harness[blind]."""
    project = open_project(config)
    introduce(project)
    try:
        # imported here because it needs an extra, and no other command does
        from suites.blind.web import serve as serve_page  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise UsageError("the rating page needs an extra: pip install 'harness[blind]'") from error
    with blind.ballot_box(project, study) as box:
        serve_page(box, host=host, port=port, public=public)


@command.command(short_help="Show how far raters are.")
def status(config: Config = None, as_json: AsJson = False) -> None:
    """Show the blind tests and how far their raters are."""
    project = open_project(config)
    introduce(project)
    found = blind.standings(project)
    if as_json:
        print_json([_standing_as_json(each) for each in found])
        return
    for each in found:
        table = Table("rater", "done", "of", title=Text(each.study.name), title_justify="left")
        for rater, progress in each.raters.items():
            table.add_row(Text(rater), str(progress.done), str(progress.total))
        console.print(table)
        console.print(Text(f"{each.study.commitment}, {_sealed(each.study.unsealed)}"), soft_wrap=True)


@command.command(short_help="Show which raters to rely on.")
def audit(
    study: Study = None, commitment: Commitment = None, config: Config = None, as_json: AsJson = False
) -> None:
    """Show which raters to rely on and why; before unsealing, nothing tells which model is ahead."""
    project = open_project(config)
    introduce(project)
    found = blind.audit_study(project, study, commitment=commitment)
    _show_audit(found, as_json=as_json)


@command.command(short_help="Reveal which side was whose.")
def unseal(
    study: Study = None,
    now: Annotated[
        bool, typer.Option("--now", help="Though ballots are open. No vote is taken afterwards.")
    ] = False,
    commitment: Commitment = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Reveal which side was whose, once, and keep the choices beside those of judges."""
    project = open_project(config)
    introduce(project)
    found = blind.unseal_study(project, study, now=now, commitment=commitment)
    _show_audit(found, as_json=as_json)


@command.command("export", short_help="Write open ballots as CSV.")
def export_ballots(
    output: Annotated[Path, typer.Option("--output", "-o", help="The CSV file to write.")],
    raters: Annotated[
        list[str] | None, typer.Option("--rater", help="Only this rater's; several times for several.")
    ] = None,
    study: Study = None,
    config: Config = None,
) -> None:
    """Write open ballots as CSV, to be filled in elsewhere: choice is left, right, tie, bad or skip."""
    project = open_project(config)
    introduce(project)
    count = blind.export_ballots(project, study, output, raters or ())
    console.print(Text(f"written: {output} ({count} open ballots)"), soft_wrap=True)


@command.command("import", short_help="Vote as a CSV file says.")
def import_votes(
    file: Annotated[Path, typer.Argument(help="A CSV file that `harness blind export` wrote, filled in.")],
    study: Study = None,
    config: Config = None,
) -> None:
    """Vote as a CSV file says. The same file again changes nothing."""
    project = open_project(config)
    introduce(project)
    found = blind.import_votes(project, study, file)
    console.print(f"{found.new} new votes, {found.known} known ones, {found.empty} lines without a choice")


def _standing_as_json(each: blind.Standing) -> dict[str, Any]:
    return {
        "name": each.study.name,
        "created": each.study.created,
        "commitment": each.study.commitment,
        "unsealed": each.study.unsealed,
        "raters": {rater: asdict(progress) for rater, progress in each.raters.items()},
    }


def _made_as_json(design: Design, commitment: str) -> dict[str, Any]:
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


def _print_made(design: Design, commitment: str) -> None:
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
        [f"left out: {identical} pairs of the same answer, ties that nobody need look at"]
        if identical
        else []
    )
    return [
        *lines,
        *(f"left out: {count} pairs without an answer ({reason})" for reason, count in missing.items()),
    ]


def _show_audit(found: Audit, *, as_json: bool) -> None:
    if as_json:
        print_json({**asdict(found), "verdicts": {each.rater: verdict(each) for each in found.raters}})
        return
    console.print(
        Text(f"blind test {found.study}: {', '.join(found.models)} on {found.prompts}"), soft_wrap=True
    )
    console.print(
        Text(f"{found.commitment}: the design is the sealed one; {_sealed(found.unsealed)}"), soft_wrap=True
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
    return (
        f"preferred in {rate.value:.1%} {_interval(rate.interval, percent=True)}: "
        f"{rate.won} won, {rate.tied} tied, {rate.lost} lost, on {rate.prompts} prompts"
    )


def _coefficient(found: Agreement) -> str:
    if found.value is None or found.interval is None:
        return f"none ({found.reason})"
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


def _sealed(unsealed: str | None) -> str:
    return "sealed" if unsealed is None else f"unsealed {unsealed}"
