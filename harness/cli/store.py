"""`harness store`: check the results store for damage, and copy stores."""

from dataclasses import asdict
from typing import Annotated

import typer

from harness.cli.console import Text
from harness.cli.introduction import introduce
from harness.cli.moving import MovingLines
from harness.cli.options import AsJson, Config
from harness.cli.progress import ProgressBars
from harness.cli.terminal import console, print_json
from harness.pluralize import pluralize
from harness.store.moving import watch_moves
from harness.verbs.copying import CopiedStore, copy_stores
from harness.verbs.project import open_project
from harness.verbs.verify import verify_store

DAMAGED = 1
"""The exit code where something is not as its hash says."""

command = typer.Typer(
    help="Check the results store for damage, and copy stores.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@command.callback()
def store() -> None:
    """Check the results store for damage, and copy stores."""


@command.command(short_help="Check everything in the store against its hash.")
def verify(config: Config = None, as_json: AsJson = False) -> None:
    """Check every request, text and sample against its hash, every reference, and the database file.

    Exits with 1 if something is damaged. Whether an answer is the one that the model gave cannot be checked.
    """
    project = introduce(open_project(config))
    found = verify_store(project)
    if as_json:
        print_json({"store": found.name, "checked": found.checked, "complaints": list(found.complaints)})
    else:
        checked = ", ".join(f"{count:,} {table}" for table, count in found.checked.items())
        console.print(Text(f"{found.name}: checked {checked}"), soft_wrap=True)
        for complaint in found.complaints:
            console.print(Text(complaint, style="red"), soft_wrap=True)
        wrong = pluralize(len(found.complaints), "thing")
        console.print(f"{wrong} wrong" if found.complaints else "all as it should be")
    raise typer.Exit(DAMAGED if found.complaints else 0)


@command.command(short_help="Copy everything in one store into another.")
def copy(
    source: Annotated[str, typer.Argument(metavar="FROM", help="A store's URL, as in [project] store.")],
    target: Annotated[
        str,
        typer.Argument(
            metavar="TO", help="Another's. It is made where there is none, and keeps what it has."
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """Copy everything in one store into another, and compare both afterwards.

    To a server and back, or several people's stores into one. A copy that was stopped goes on with the same
    command. Nothing in the target is changed: where both hold different answers to one request, its own
    stays, and runs that were scored from the other are left out and named. Exits with 1 if something is not
    the same afterwards.
    """
    watch_moves(MovingLines())
    with ProgressBars() as progress:
        found = copy_stores(source, target, progress.copying)
    if as_json:
        print_json(asdict(found))
    else:
        _print_copied(found)
    raise typer.Exit(DAMAGED if found.differences else 0)


def _print_copied(found: CopiedStore) -> None:
    counts = ((kind, found.copied.new[kind], total) for kind, total in found.copied.found.items() if total)
    said = ", ".join(f"{new:,} of {total:,} {kind}" for kind, new, total in counts) or "nothing"
    console.print(Text(f"{found.source} → {found.target}: {said} new"), soft_wrap=True)
    for line in found.copied.left_out:
        console.print(Text(f"left out: {line}", style="yellow"), soft_wrap=True)
    for line in found.differences:
        console.print(Text(f"not the same: {line}", style="red"), soft_wrap=True)
    if not found.differences:
        console.print("read again, and the same in both")
