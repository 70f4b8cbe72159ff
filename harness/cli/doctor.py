"""`harness doctor`: find mistakes that would invalidate results."""

from dataclasses import asdict
from typing import Annotated

import typer
from rich.table import Table

from harness.cli.console import Text
from harness.cli.introduction import introduce
from harness.cli.options import AsJson, Config, Seed
from harness.cli.terminal import console, print_findings, print_json
from harness.escape_controls import escape_controls
from harness.verbs.doctor import diagnose
from harness.verbs.project import open_project
from trainers.doctor.findings import Examination

SHOWN = 400
"""Characters of a piece of a row that are shown."""


def command(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            help="Models, pipelines or model folders; `harness list` shows the names. Default: everything in "
            "the settings file."
        ),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 1 for warnings too, not only for errors.")
    ] = False,
    config: Config = None,
    seed: Seed = None,
    as_json: AsJson = False,
) -> None:
    """Find mistakes that would invalidate results, and show which tokens the loss covers. Trains nothing.

    Reward models are run on some of their pairs, which takes a while. Exits with 1 if an error is found.
    """
    project = introduce(open_project(config, seed=seed))
    examined = diagnose(project, names or ())
    if as_json:
        print_json([asdict(each) for each in examined])
    else:
        for each in examined:
            show(each)
    failing = {"error", "warning"} if strict else {"error"}
    raise typer.Exit(int(any(f.severity in failing for each in examined for f in each.findings)))


def show(examined: Examination) -> None:
    """One stage or model: its first row, with what is learned marked and in green, then what was found."""
    console.print(Text(examined.name, style="bold"))
    if examined.shown:
        console.print(_row(examined))
    for name, value in (examined.measured or {}).items():
        console.print(Text(f"  {name} {value}"))
    for missing in examined.left_out:
        console.print(Text(f"  {missing}", style="dim"))
    print_findings(console, examined.findings)
    if not examined.findings and not examined.left_out:
        console.print(Text("  nothing found", style="green"))


def _row(examined: Examination) -> Table:
    """The parts of a row below one another, each beside its name and whether it is learned."""
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for piece in examined.shown:
        text = escape_controls(piece.text)
        text = text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
        style = "black on green" if piece.learned else "dim"
        named = f"  {piece.part}{', learned' if piece.learned else ''}:"
        table.add_row(named, Text(text.replace("\n", "⏎\n"), style=style))
    return table
