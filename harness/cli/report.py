"""`harness report`: write the leaderboards again, from the store alone."""

from typing import Annotated

import typer

from harness.cli.introduction import introduce
from harness.cli.options import AsJson, Baseline, Config, Folder, Force, StoreUrl, Suites
from harness.cli.terminal import outcome_as_json, print_json, print_outcome
from harness.verbs.comparing import report
from harness.verbs.project import open_project


def command(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Models to show, the baseline first. Default: all in the store."),
    ] = None,
    suites: Suites = None,
    baseline: Baseline = None,
    force: Force = False,
    output: Folder = None,
    config: Config = None,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    """Write the leaderboards again from the store alone: nothing is trained, and no model is loaded."""
    project = introduce(open_project(config, store=store))
    outcome = report(project, names or (), baseline=baseline, suites=suites or (), force=force, folder=output)
    if as_json:
        print_json(outcome_as_json(outcome))
    else:
        print_outcome(outcome)
