"""`harness train`: train pipelines, stage by stage."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.hours import at_most
from harness.cli.introduction import introduce
from harness.cli.options import AsJson, Config, Hours, On, Seed
from harness.cli.progress import ProgressBars
from harness.cli.terminal import console, errors, print_json, print_notes
from harness.cli.training_plan import print_plan
from harness.verbs.project import open_project
from harness.verbs.training import free_space, plan_training, train, training_notes
from trainers.launcher import read_launch


def command(
    names: Annotated[list[str], typer.Argument(help="Pipelines; `harness list` shows them.")],
    plan: Annotated[
        bool,
        typer.Option(
            "--plan", help="Show what would be trained or reused, with tokens, disk and time; train nothing."
        ),
    ] = False,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict", help="Stop at a stage in which `harness doctor` finds an error or a warning."
        ),
    ] = False,
    launch: Annotated[
        str | None,
        typer.Option("--launch", help="Train in several processes, started by `accelerate` or `torchrun`."),
    ] = None,
    launch_config: Annotated[
        Path | None,
        typer.Option("--launch-config", help="A configuration for accelerate, from `accelerate config`."),
    ] = None,
    processes: Annotated[
        int | None,
        typer.Option(
            "--processes",
            min=1,
            help="The number of processes on all machines. Default: what --launch-config says.",
        ),
    ] = None,
    config: Config = None,
    seed: Seed = None,
    on: On = None,
    hours: Hours = None,
    as_json: AsJson = False,
) -> None:
    """Train the missing stages of pipelines. Finished stages are reused, and interrupted ones continue."""
    launched = read_launch(launch, processes=processes, config=launch_config)
    project = introduce(open_project(config, seed=seed, strict=strict, launch=launched, on=on))
    if plan:
        stages = plan_training(project, names)
        if as_json:
            print_json([{**asdict(stage), "folder": str(stage.folder)} for stage in stages])
        else:
            print_plan(stages, free_space(project))
        return
    with at_most(hours), ProgressBars() as progress:
        candidates = train(project, names, progress=progress)
    print_notes(training_notes(project, names), where=errors)
    if as_json:
        print_json({name: str(folder) for name, folder in candidates.items()})
        return
    for name, folder in candidates.items():
        console.print(f"{name}: {folder}", markup=False)
