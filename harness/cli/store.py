"""`harness store`: looking after the results store."""

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
    help="Look after the results store.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@command.callback()
def store() -> None:
    """Look after the results store."""


@command.command(short_help="Check that everything in the store is what its hash says.")
def verify(config: Config = None, as_json: AsJson = False) -> None:
    """Check the file, every request, text and sample against its hash, and every key that is named.

    Exits with 1 where something is wrong. It cannot tell whether an answer is the one that the model gave.
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
