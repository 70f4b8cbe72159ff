"""`harness preferences`: show which answers judges and humans preferred."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.console import Text
from harness.cli.introduction import introduce
from harness.cli.options import AsJson, Baseline, Config
from harness.cli.preference_tables import whole
from harness.cli.terminal import console, print_json, print_notes
from harness.verbs.preferences import analyse_foreign, analyse_preferences, notes, read_preferences_of
from harness.verbs.project import open_project


def command(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Models to compare, the baseline first. Default: all that were judged."),
    ] = None,
    files: Annotated[
        list[Path] | None,
        typer.Option(
            "--from",
            help="A file of preferences made elsewhere, instead of the store: AlpacaEval's, Arena-Hard's, "
            "MT-Bench's or PandaLM's, or rows of our own (CSV, JSON, JSONL, Parquet). Repeat the option for "
            "several.",
        ),
    ] = None,
    baseline: Baseline = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Show which answers judges and humans preferred, how sure that is, and how far raters agree."""
    read: Sequence[str] = ()
    caveats: Sequence[str]
    if not files:
        project = introduce(open_project(config))
        found = analyse_preferences(project, names or (), baseline=baseline)
        caveats = notes(project, names or (), baseline=baseline)
    else:
        foreign = read_preferences_of(files, names or (), baseline=baseline)
        found = analyse_foreign(foreign, names or (), baseline=baseline)
        read, caveats = foreign.read, foreign.notes
    if as_json:
        of_files = {"read": read} if files else {}
        print_json({**asdict(found), **of_files, "notes": caveats})
        return
    for each in read:
        console.print(Text(each), soft_wrap=True)
    for part in whole(found):
        console.print(part)
    print_notes(caveats)
