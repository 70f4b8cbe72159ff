"""`harness blind`: human blind tests."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from harness.cli.blind_results import made_as_json, print_made, sealed_or_when, show_audit, standing_as_json
from harness.cli.console import Text, say
from harness.cli.options import AnswerTokens, AsJson, Config, Device, Limit, Names, Prompts, Temperature
from harness.cli.progress import SHORTER_ANSWERS, ProgressBars
from harness.cli.rating import rate as rate_in_terminal
from harness.cli.terminal import console, introduce, print_json
from harness.errors import UsageError
from harness.records.answers import Sampling
from harness.verbs import blind
from harness.verbs.project import open_project
from suites.blind.design import Plan

Study = Annotated[
    str | None, typer.Option("--study", help="The blind test's name; may be left out where there is one.")
]
DesignSeed = Annotated[
    str | None,
    typer.Option(
        "--seed",
        help="Decides order and sides. Default: random, and sealed. Anybody who guesses it knows the sides.",
    ),
]
Public = Annotated[
    str | None,
    typer.Option("--public", help="Where raters reach the server, such as https://rate.example.org."),
]
Commitment = Annotated[
    str | None,
    typer.Option("--commitment", help="As it was printed when the test was made: it must be the same."),
]


class Language(StrEnum):
    """Of the rating page and terminal, not of the prompts."""

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
    prompts: Prompts = None,
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
    seed: DesignSeed = None,
    limit: Limit = None,
    max_tokens: AnswerTokens = 512,
    temperature: Temperature = 0.0,
    config: Config = None,
    device: Device = None,
    as_json: AsJson = False,
) -> None:
    """Make a blind test: get the missing answers, draw who rates what, seal it, print the commitment."""
    project = introduce(open_project(config, limit=limit, device=device))
    names_of_raters = tuple(each.strip() for each in raters.split(",") if each.strip())
    request = blind.StudyRequest(
        plan=Plan(
            raters=names_of_raters, per_rater=per_rater, overlap=overlap, repeats=repeats, checks=checks
        ),
        prompts=prompts,
        sampling=Sampling(max_tokens=max_tokens, temperature=temperature, seed=project.registry.project.seed),
        name=name,
        language=language,
        seed=seed,
    )
    with ProgressBars(shorten=SHORTER_ANSWERS) as progress:
        study, design = blind.new_study(project, names, request, progress=progress)
    if as_json:
        print_json(made_as_json(design, study.commitment))
    else:
        print_made(design, study.commitment)


@command.command(short_help="Rate in this terminal.")
def rate(
    rater: Annotated[str, typer.Option("--rater", help="Who rates.")],
    study: Study = None,
    config: Config = None,
) -> None:
    """Rate in this terminal. Every vote is kept at once, and the same command goes on from there."""
    project = introduce(open_project(config))
    with blind.open_votes(project, study) as box:
        rate_in_terminal(box, rater)


@command.command(short_help="Serve the rating page.")
def serve(
    host: Annotated[
        str,
        typer.Option("--host", help="The address to listen at; one that others reach comes with a warning."),
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0: a free one.")] = 8321,
    public: Public = None,
    study: Study = None,
    config: Config = None,
) -> None:
    """Serve the rating page, and print one private link per rater. Needs the extra harness[blind]."""
    project = introduce(open_project(config))
    try:
        # imported here because it needs an extra, and no other command does
        from suites.blind.web import serve as serve_page  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise UsageError("the rating page needs an extra: pip install 'harness[blind]'") from error
    with blind.open_votes(project, study) as box:
        serve_page(box, host=host, port=port, public=public, announce=say)


@command.command(short_help="Show how far raters are.")
def status(config: Config = None, as_json: AsJson = False) -> None:
    """Show the blind tests and how far their raters are."""
    project = introduce(open_project(config))
    found = blind.list_studies(project)
    if as_json:
        print_json([standing_as_json(each) for each in found])
        return
    if not found:
        console.print("no blind test yet; `harness blind new A B` makes one")
    for each in found:
        table = Table("rater", "done", "of", title=Text(each.study.name), title_justify="left")
        for rater, progress in each.raters.items():
            table.add_row(Text(rater), str(progress.done), str(progress.total))
        console.print(table)
        console.print(Text(f"{each.study.commitment}, {sealed_or_when(each.study.unsealed)}"), soft_wrap=True)


@command.command(short_help="Show which raters to rely on.")
def audit(
    study: Study = None, commitment: Commitment = None, config: Config = None, as_json: AsJson = False
) -> None:
    """Show which raters to rely on and why; before unsealing, nothing tells which model is ahead."""
    project = introduce(open_project(config))
    found = blind.audit_study(project, study, commitment=commitment)
    show_audit(found, as_json=as_json)


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
    project = introduce(open_project(config))
    found = blind.unseal_study(project, study, now=now, commitment=commitment)
    show_audit(found, as_json=as_json)


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
    project = introduce(open_project(config))
    count = blind.export_ballots(project, study, output, raters or ())
    console.print(Text(f"written: {output} ({count} open ballots)"), soft_wrap=True)


@command.command("import", short_help="Vote as a CSV file says.")
def import_votes(
    file: Annotated[Path, typer.Argument(help="A CSV file that `harness blind export` wrote, filled in.")],
    study: Study = None,
    config: Config = None,
) -> None:
    """Vote as a CSV file says. The same file again changes nothing."""
    project = introduce(open_project(config))
    found = blind.import_votes(project, study, file)
    console.print(f"{found.new} new votes, {found.known} known ones, {found.empty} lines without a choice")
