"""`harness train`: candidates, stage by stage. It does not know how a stage trains."""

from typing import Annotated

import typer

from harness.cli.options import AsJson, Config, Seed
from harness.cli.progress import ProgressBars
from harness.cli.terminal import console, introduce, print_json
from harness.verbs.project import open_project
from harness.verbs.work import train


def command(
    names: Annotated[list[str], typer.Argument(help="Pipelines; `harness list` shows them.")],
    config: Config = None,
    seed: Seed = None,
    as_json: AsJson = False,
) -> None:
    """Produce what is missing of these pipelines. A stage that is there is used; a killed one goes on."""
    project = open_project(config, seed=seed)
    introduce(project)
    with ProgressBars() as watcher:
        candidates = train(project, names, watcher=watcher)
    if as_json:
        print_json({name: str(folder) for name, folder in candidates.items()})
        return
    for name, folder in candidates.items():
        console.print(f"{name}: {folder}", markup=False)
