"""`harness preferences`: show which answers judges and humans preferred."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.introduction import introduce
from harness.cli.options import AsJson, Baseline, Config
from harness.cli.preference_tables import whole
from harness.cli.terminal import console, print_json, print_notes
from harness.verbs.preferences import analyse_preferences, analyse_preferences_file, notes
from harness.verbs.project import open_project


def command(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Models to compare, the baseline first. Default: all that were judged."),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option("--from", help="A CSV file of preferences made elsewhere, instead of the store."),
    ] = None,
    baseline: Baseline = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Show which answers judges and humans preferred, how sure that is, and how far raters agree."""
    caveats: list[str] = []
    if file is None:
        project = introduce(open_project(config))
        found = analyse_preferences(project, names or (), baseline=baseline)
        caveats = notes(project, names or (), baseline=baseline)
    else:
        found = analyse_preferences_file(file, names or (), baseline=baseline)
    if as_json:
        print_json({**asdict(found), "notes": caveats})
        return
    for part in whole(found):
        console.print(part)
    print_notes(caveats)
