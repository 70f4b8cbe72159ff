"""`harness prune`: free disk space that is no longer needed."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.filesize import decimal
from rich.table import Column, Table

from harness.cli.console import Text
from harness.cli.introduction import introduce
from harness.cli.options import AsJson, Config, Seed, Yes
from harness.cli.terminal import console, print_json
from harness.verbs.project import open_project
from harness.verbs.prune import ConsideredStage, Pruning, plan_pruning, prune


def command(
    unused: Annotated[
        bool,
        typer.Option(
            "--unused-stages",
            help="Also remove finished stages that no pipeline needs with today's settings and seed.",
        ),
    ] = False,
    yes: Yes = False,
    config: Config = None,
    seed: Seed = None,
    as_json: AsJson = False,
) -> None:
    """Show what can be removed from the disk; with --yes, remove it.

    That is interrupted stages that no pipeline would continue, bases that were not written to their end, and
    unused space in the store's file. Stages that a pipeline needs, or that another process is training, stay.
    """
    project = introduce(open_project(config, seed=seed))
    pruning = plan_pruning(project, unused=unused)
    if not as_json:
        _print(pruning)
    gone = prune(project, pruning) if yes else []
    if as_json:
        print_json(_as_json(pruning, done=yes, gone=gone))
    elif not pruning.size:
        console.print("there is nothing to free")
    elif yes:
        freed = sum(each.folder.size for each in gone) + pruning.store_size
        console.print(f"freed: {decimal(freed)}")
    else:
        console.print(f"would free: {decimal(pruning.size)}; nothing was removed: add --yes")


def _print(pruning: Pruning) -> None:
    table = Table("", Column("stage", no_wrap=True), "last changed (UTC)", "why")
    table.add_column("size", justify="right")
    for each in sorted(pruning.stages, key=lambda each: not each.goes):
        table.add_row(
            "goes" if each.goes else "stays",
            Text(each.folder.folder.name),
            _moment(each.folder.changed),
            Text(each.why),
            decimal(each.folder.size),
        )
    if table.row_count:
        console.print(table)
    if pruning.store_size:
        console.print(
            Text(f"goes: {decimal(pruning.store_size)} of unused space in {pruning.store}"),
            soft_wrap=True,
        )


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")


def _as_json(pruning: Pruning, *, done: bool, gone: list[ConsideredStage]) -> dict[str, object]:
    return {
        "done": done,
        "size": pruning.size,
        "store": {"name": pruning.store, "unused": pruning.store_size},
        "stages": [
            {
                **asdict(each.folder),
                "folder": str(each.folder.folder),
                "goes": each.goes,
                "gone": each in gone,
                "why": each.why,
            }
            for each in pruning.stages
        ],
    }
