"""`harness compare`: the main job. It does not know how anything is trained, asked or compared."""

from enum import StrEnum
from typing import Annotated

import typer

from harness.cli.options import AsJson, Baseline, Config, Device, Folder, Force, Limit, Names, Seed, Suites
from harness.cli.progress import ProgressBars
from harness.cli.terminal import complain_of_failures, introduce, outcome_as_json, print_json, print_outcome
from harness.errors import UsageError
from harness.records import Decision
from harness.verbs.project import open_project
from harness.verbs.work import Outcome, compare


class FailOn(StrEnum):
    """What ends with exit code 1."""

    WORSE = "worse"
    """A candidate is worse than the baseline on a headline metric."""
    NOT_BETTER = "not-better"
    """A candidate is not shown to be better than the baseline."""


FAILURES = {
    FailOn.WORSE: {Decision.WORSE, Decision.MIXED},
    FailOn.NOT_BETTER: set(Decision) - {Decision.BETTER},
}


def command(
    names: Names,
    suites: Suites = None,
    baseline: Baseline = None,
    limit: Limit = None,
    force: Force = False,
    fail_on: Annotated[
        FailOn | None,
        typer.Option("--fail-on", help="Exit with 1 if a candidate is worse, or is not shown to be better."),
    ] = None,
    output: Folder = None,
    config: Config = None,
    seed: Seed = None,
    device: Device = None,
    as_json: AsJson = False,
) -> None:
    """Train and evaluate what is missing, compare each name with the baseline, write the leaderboards.

    The first name is the baseline. What is trained and answered already is used as it is.
    """
    if len({*names, *([baseline] if baseline else [])}) < 2:
        raise UsageError(
            "a comparison needs two different names, the baseline first: harness compare sft grpo_dpo"
        )
    project = open_project(config, seed=seed, limit=limit, device=device)
    introduce(project)
    with ProgressBars() as watcher:
        outcome = compare(
            project,
            names,
            baseline=baseline,
            suites=suites or (),
            force=force,
            watcher=watcher,
            folder=output,
        )
    if as_json:
        print_json(outcome_as_json(outcome))
    else:
        print_outcome(outcome)
    complain_of_failures(outcome.failed)
    raise typer.Exit(_exit_code(outcome, fail_on))


def _exit_code(outcome: Outcome, fail_on: FailOn | None) -> int:
    failing = FAILURES[fail_on] if fail_on else set()
    return int(any(verdict.decision in failing for verdict in outcome.verdicts))
