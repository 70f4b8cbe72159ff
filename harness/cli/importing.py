"""`harness import`: other tools' results, as runs of ours."""

from dataclasses import asdict
from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from harness.cli.console import Text
from harness.cli.introduction import introduce
from harness.cli.options import AsJson, Config
from harness.cli.progress import ProgressBars
from harness.cli.terminal import console, print_json
from harness.pluralize import pluralize
from harness.verbs.importing import ImportedRun, import_results
from harness.verbs.project import open_project


def command(
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH...", help="Files of another tool, or folders of them.")
    ],
    name: Annotated[
        str | None,
        typer.Option(
            "--as",
            help="What the model is called here; of several in one file, what stands before their names. "
            "Default: the tool's name.",
        ),
    ] = None,
    suites: Annotated[
        list[str] | None,
        typer.Option(
            "--suite",
            "-s",
            help="Only this, by the tool's name of the task or by ours; repeat the option for several. "
            "Default: all.",
        ),
    ] = None,
    format_name: Annotated[
        str | None,
        typer.Option("--format", help="Whose files these are. Default: by their names and content."),
    ] = None,
    keep_scores: Annotated[
        bool,
        typer.Option(
            "--keep-scores", help="Take the tool's own scores, also where a suite could score the texts."
        ),
    ] = False,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Make runs of what another tool wrote, which are compared and reported like others.

    Texts are scored by our suites where the documents hold what that needs (ifeval, truthfulqa,
    truthfulqa-gen, realtoxicityprompts); other scores are taken as they stand.
    """
    project = introduce(open_project(config))
    with ProgressBars() as progress:
        found = import_results(
            project,
            paths,
            name=name,
            suites=suites or (),
            format_name=format_name,
            keep_scores=keep_scores,
            progress=progress,
        )
    if as_json:
        print_json([asdict(each) for each in found])
        return
    for each in found:
        console.print(Text(_line(each)), soft_wrap=True)
        for note in each.notes:
            console.print(Text(f"note: {note}", style="yellow"), soft_wrap=True)
    models = " ".join(quote(model) for model in dict.fromkeys(each.run.model for each in found))
    console.print(Text(f"`harness report {models}` shows them; name a baseline before them"), soft_wrap=True)


def _line(found: ImportedRun) -> str:
    run = found.run
    how = f"scored by our suite {run.suite}" if found.rescored else f"scores of {found.tool} as they stand"
    there = "; it was there already" if found.known else ""
    return f"{run.model} · {run.suite}: {pluralize(run.size, 'sample')} of {found.tool}, {how}{there}"
