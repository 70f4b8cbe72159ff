"""`harness blind`: blind tests with human raters."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from harness.cli.blind_results import made_as_json, print_made, sealed_or_when, show_audit, standing_as_json
from harness.cli.console import Text, say
from harness.cli.introduction import introduce
from harness.cli.options import AnswerTokens, AsJson, Config, Device, Limit, Names, Prompts, Temperature
from harness.cli.progress import SHORTER_ANSWERS, ProgressBars
from harness.cli.rating import rate as rate_in_terminal
from harness.cli.terminal import console, print_json
from harness.errors import UsageError
from harness.records.answers import SamplingParameters
from harness.verbs import blind
from harness.verbs.project import open_project
from suites.blind.design import Plan

Study = Annotated[
    str | None, typer.Option("--study", help="The blind test's name; not needed if there is only one.")
]
DesignSeed = Annotated[
    str | None,
    typer.Option(
        "--seed",
        help="The seed of the order and the sides. Default: a random one, sealed with the design. Anybody "
        "who guesses it knows the sides.",
    ),
]
Public = Annotated[
    str | None,
    typer.Option("--public", help="The address at which raters reach the server: https://rate.example.org."),
]
Commitment = Annotated[
    str | None,
    typer.Option("--commitment", help="The commitment that `harness blind new` printed, to check against."),
]


class Language(StrEnum):
    """The language of the rating page and terminal, not of the prompts."""

    EN = "en"
    PT = "pt"


command = typer.Typer(
    help="Run blind tests: people choose between two models' answers without knowing whose they are.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@command.command(short_help="Make a blind test and print its commitment.")
def new(
    names: Names,
    raters: Annotated[str, typer.Option("--raters", help="The raters' names, separated by commas: ana,bia.")],
    prompts: Prompts = None,
    per_rater: Annotated[
        int, typer.Option("--per-rater", min=1, help="Ballots per rater, with overlap, repeats and checks.")
    ] = 100,
    overlap: Annotated[
        int, typer.Option("--overlap", min=0, help="Pairs of answers that every rater gets.")
    ] = 30,
    repeats: Annotated[
        int, typer.Option("--repeats", min=0, help="Ballots shown again later with the sides exchanged.")
    ] = 5,
    checks: Annotated[
        int,
        typer.Option("--checks", min=0, help="Attention checks: built-in ballots with an obvious answer."),
    ] = 3,
    name: Annotated[
        str | None, typer.Option("--name", help="The blind test's name. Default: blind-1, blind-2, …")
    ] = None,
    language: Annotated[
        Language, typer.Option("--language", help="The language of the rating page and terminal.")
    ] = Language.EN,
    seed: DesignSeed = None,
    limit: Limit = None,
    max_tokens: AnswerTokens = 512,
    temperature: Temperature = 0.0,
    config: Config = None,
    device: Device = None,
    as_json: AsJson = False,
) -> None:
    """Make a blind test: collect the missing answers, draw who rates what, seal it, print the commitment."""
    project = introduce(open_project(config, limit=limit, device=device))
    names_of_raters = tuple(each.strip() for each in raters.split(",") if each.strip())
    request = blind.StudyRequest(
        plan=Plan(
            raters=names_of_raters, per_rater=per_rater, overlap=overlap, repeats=repeats, checks=checks
        ),
        prompts=prompts,
        sampling=SamplingParameters(
            max_tokens=max_tokens, temperature=temperature, seed=project.registry.project.seed
        ),
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
    rater: Annotated[str, typer.Option("--rater", help="The rater's name.")],
    study: Study = None,
    config: Config = None,
) -> None:
    """Rate in this terminal. Every vote is stored at once; the same command continues later."""
    project = introduce(open_project(config))
    with blind.open_votes(project, study) as box:
        rate_in_terminal(box, rater)


@command.command(short_help="Serve the rating page.")
def serve(
    host: Annotated[
        str,
        typer.Option(
            "--host", help="The address to listen on; one that other machines reach gives a warning."
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="The port; 0 takes a free one.")
    ] = 8321,
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


@command.command(short_help="Show each rater's progress.")
def status(config: Config = None, as_json: AsJson = False) -> None:
    """Show the blind tests and each rater's progress."""
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


@command.command(short_help="Show which raters are reliable.")
def audit(
    study: Study = None, commitment: Commitment = None, config: Config = None, as_json: AsJson = False
) -> None:
    """Show which raters are reliable, and why. Before unsealing, no result of a model is shown."""
    project = introduce(open_project(config))
    found = blind.audit_study(project, study, commitment=commitment)
    show_audit(found, as_json=as_json)


@command.command(short_help="Reveal which side was which model's.")
def unseal(
    study: Study = None,
    now: Annotated[
        bool, typer.Option("--now", help="Unseal even if ballots are open; no vote counts afterwards.")
    ] = False,
    commitment: Commitment = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Reveal which side was which model's, and store the votes as preferences. This cannot be undone."""
    project = introduce(open_project(config))
    found = blind.unseal_study(project, study, now=now, commitment=commitment)
    show_audit(found, as_json=as_json)


@command.command("export", short_help="Write open ballots as CSV.")
def export_ballots(
    output: Annotated[Path, typer.Option("--output", "-o", help="The CSV file to write.")],
    raters: Annotated[
        list[str] | None, typer.Option("--rater", help="Only this rater's ballots; repeat for several.")
    ] = None,
    study: Study = None,
    config: Config = None,
) -> None:
    """Write open ballots as CSV. Fill in the column `choice` with left, right, tie, bad or skip."""
    project = introduce(open_project(config))
    count = blind.export_ballots(project, study, output, raters or ())
    console.print(Text(f"written: {output} ({count} open ballots)"), soft_wrap=True)


@command.command("import", short_help="Read votes from a CSV file.")
def import_votes(
    file: Annotated[Path, typer.Argument(help="A CSV file that `harness blind export` wrote, filled in.")],
    study: Study = None,
    config: Config = None,
) -> None:
    """Read votes from a CSV file. Importing the same file again changes nothing."""
    project = introduce(open_project(config))
    found = blind.import_votes(project, study, file)
    console.print(f"{found.new} new votes, {found.known} known ones, {found.empty} lines without a choice")
