"""`harness store`: check the results store for damage."""

import typer

from harness.cli.console import Text
from harness.cli.options import AsJson, Config
from harness.cli.terminal import console, introduce, print_json
from harness.pluralize import pluralize
from harness.verbs.project import open_project
from harness.verbs.verify import verify_store

DAMAGED = 1
"""The exit code where something is not as its hash says."""

command = typer.Typer(
    help="Check the results store for damage.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@command.callback()
def store() -> None:
    """Check the results store for damage."""


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
