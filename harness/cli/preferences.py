"""`harness preferences`: what judges and humans said."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.console import Text
from harness.cli.options import AsJson, Baseline, Config
from harness.cli.preference_tables import whole
from harness.cli.terminal import console, introduce, print_json
from harness.verbs.preferences import analyse_preferences, analyse_preferences_file, notes
from harness.verbs.project import open_project


def command(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Models to compare, the baseline first; default: all that were judged."),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option("--from", help="A CSV file of preferences made elsewhere, instead of the store."),
    ] = None,
    baseline: Baseline = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Say what judges and humans preferred, how sure that is, and how far they agree."""
    told: list[str] = []
    if file is None:
        project = open_project(config)
        introduce(project)
        found = analyse_preferences(project, names or (), baseline=baseline)
        told = notes(project, names or (), baseline=baseline)
    else:
        found = analyse_preferences_file(file, names or (), baseline=baseline)
    if as_json:
        print_json({**asdict(found), "notes": told})
        return
    for part in whole(found):
        console.print(part)
    for note in told:
        console.print(Text(f"note: {note}", style="yellow"))
