"""`harness export`: results in the formats that others read."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from harness.cli.introduction import introduce
from harness.cli.options import AsJson, Baseline, Config, Force, StoreUrl, Suites
from harness.cli.terminal import console, print_json, print_notes
from harness.verbs.exporting import export
from harness.verbs.project import open_project


def command(
    format_name: Annotated[
        str,
        typer.Option(
            "--format",
            help="csv or parquet (every score, every metric, verdicts and preferences), latex (tables for a "
            "paper), model-card (a section for each model's README), eval-results (files for model pages on "
            "the hub), every-eval-ever (0.3.0, with its instances), junit or step-summary (of a comparison, "
            "for CI), wandb or trackio (tables, kept in the folder; the package must be installed).",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="The folder. Files of the same names are replaced, others stay."),
    ],
    names: Annotated[
        list[str] | None,
        typer.Argument(
            help="Models to compare, the baseline first. Default: everything in the store, without verdicts."
        ),
    ] = None,
    suites: Suites = None,
    baseline: Baseline = None,
    force: Force = False,
    config: Config = None,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    """Write results in a format that others read, from the store alone: no model is loaded."""
    project = introduce(open_project(config, store=store))
    written = export(
        project,
        names or (),
        format_name=format_name,
        folder=output,
        baseline=baseline,
        suites=suites or (),
        force=force,
    )
    if as_json:
        print_json({"files": [str(file) for file in written.files], "notes": list(written.notes)})
        return
    print_notes(written.notes)
    for file in written.files:
        console.print(f"written: {escape(str(file))}", soft_wrap=True)
