"""`harness data`: list training mixes, or build one and count its rows."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Column, Table

from harness.cli.console import Text
from harness.cli.introduction import introduce
from harness.cli.options import AsJson, Config
from harness.cli.terminal import console, errors, print_json, print_notes
from harness.records.models import Json
from harness.verbs.data import ListedMix, MadeMix, list_mixes, make_mix
from harness.verbs.project import open_project
from trainers.build_mix import STEPS

Name = Annotated[
    str | None, typer.Argument(help="The mix that [data.NAME] defines. Default: list all mixes.")
]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", help="Write the rows to this .jsonl or .parquet file, and the data card beside it."
    ),
]


def command(name: Name = None, output: Output = None, config: Config = None, as_json: AsJson = False) -> None:
    """Build a training mix: rows of several sources, cleaned, sampled, and without any suite's prompts."""
    project = introduce(open_project(config))
    if name is None:
        listed = list_mixes(project)
        if as_json:
            print_json([asdict(mix) for mix in listed])
        else:
            _print_listed(listed)
        return
    made = make_mix(project, name, output=output)
    if as_json:
        print_json(_as_json(made))
    else:
        _print_made(made)


def _print_listed(listed: Sequence[ListedMix]) -> None:
    if not listed:
        errors.print("no mix is defined; a section \\[data.NAME] of harness.toml defines one", style="dim")
        return
    table = Table("mix", "rows", "sources", "used by")
    for mix in listed:
        table.add_row(
            escape(mix.name), mix.rows, escape(", ".join(mix.sources)), escape(", ".join(mix.used_by)) or "–"
        )
    console.print(table)


def _print_made(made: MadeMix) -> None:
    sources = made.built.sources
    for number, source in enumerate(sources, start=1):
        console.print(f"source {number}: {escape(source.data)}")
    numbers = (str(number) for number in range(1, len(sources) + 1))
    table = Table("rows left", *(Column(heading, justify="right") for heading in (*numbers, "all")))
    for name in (name for name in STEPS if name in sources[0].rows):
        left = [source.rows[name] for source in sources]
        table.add_row(name, *(f"{count:,}" for count in (*left, sum(left))))
    console.print(table)
    for step in made.built.steps:
        for reason, number in step.reasons.items():
            if step.name != "sampled":
                console.print(Text(f"{step.name}: {number:,} removed: {reason}"))
    print_notes(f"not compared with {suite}: {reason}" for suite, reason in made.built.unread.items())
    for file in made.files:
        console.print(f"written: {escape(str(file))}")


def _as_json(made: MadeMix) -> dict[str, Json]:
    built = made.built
    return {
        "name": built.mix.name,
        "rows": len(built.rows),
        "hash": built.hash,
        "sources": [
            {"data": source.data, "hash": source.hash, "licence": source.licence, "rows": source.rows}
            for source in built.sources
        ],
        "removed": {step.name: step.reasons for step in built.steps},
        "compared": built.compared,
        "not_compared": built.unread,
        "files": [str(file) for file in made.files],
    }
