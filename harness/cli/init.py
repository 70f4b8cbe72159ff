"""`harness init`: write a commented harness.toml to start from."""

from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.console import say
from harness.errors import UsageError


def command(
    folder: Annotated[Path, typer.Argument(help="The folder to write it to.")] = Path(),
) -> None:
    """Write a commented harness.toml for a project of your own. An existing one is never replaced."""
    target = folder / "harness.toml"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with target.open("x", encoding="utf-8") as file:
            file.write(files("harness.cli").joinpath("starting.toml").read_text(encoding="utf-8"))
    except FileExistsError as error:
        raise UsageError(f"{target} is there already, and is left as it is") from error
    say(f"written: {target}\nnext: fill in your models, then `harness list` and `harness compare A B`")
