"""`harness compare`: train and evaluate what is missing, compare, and write the leaderboards."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated

import typer

from harness.cli.evaluation_plan import show_plan
from harness.cli.hours import at_most
from harness.cli.introduction import introduce
from harness.cli.options import (
    AsJson,
    AskRefused,
    Baseline,
    Budget,
    Config,
    Device,
    DryRun,
    Folder,
    Force,
    Hours,
    Limit,
    Names,
    On,
    Replicas,
    Seed,
    Suites,
)
from harness.cli.progress import FEWER_SAMPLES, ProgressBars
from harness.cli.terminal import complain_of_failures, outcome_as_json, print_json, print_outcome
from harness.errors import UsageError
from harness.records.comparisons import Decision, MarginDecision, Verdict
from harness.verbs.comparing import compare
from harness.verbs.evaluation_plan import plan_evaluation
from harness.verbs.project import open_project


class FailOn(StrEnum):
    """What ends with exit code 1."""

    WORSE = "worse"
    """A candidate is worse than the baseline on a headline metric, or its price is WORSE."""
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
        typer.Option(
            "--fail-on",
            help="Exit with 1 if a candidate is worse (on a headline metric, or on one with a margin), or "
            "if it is not shown to be better.",
        ),
    ] = None,
    output: Folder = None,
    config: Config = None,
    seed: Seed = None,
    device: Device = None,
    on: On = None,
    replicas: Replicas = None,
    hours: Hours = None,
    dry_run: DryRun = False,
    budget: Budget = None,
    ask_refused: AskRefused = False,
    as_json: AsJson = False,
) -> None:
    """Train and evaluate what is missing, compare each name with the baseline, write the leaderboards.

    The first name is the baseline. Finished stages and stored answers are reused.
    """
    if len({*names, *([baseline] if baseline else [])}) < 2:
        raise UsageError(
            "a comparison needs two different names, the baseline first: harness compare sft grpo_dpo"
        )
    project = introduce(
        open_project(
            config,
            seed=seed,
            limit=limit,
            device=device,
            on=on,
            replicas=replicas,
            budget=budget,
            ask_refused=ask_refused,
        )
    )
    if dry_run:
        show_plan(project, plan_evaluation(project, names, suites=suites or ()), as_json=as_json)
        return
    with at_most(hours), ProgressBars(shorten=FEWER_SAMPLES) as progress:
        outcome = compare(
            project,
            names,
            baseline=baseline,
            suites=suites or (),
            force=force,
            progress=progress,
            folder=output,
        )
    if as_json:
        print_json(outcome_as_json(outcome))
    else:
        print_outcome(outcome)
    complain_of_failures(outcome.failed)
    raise typer.Exit(exit_code(outcome.verdicts, fail_on))


def exit_code(verdicts: Iterable[Verdict], fail_on: FailOn | None) -> int:
    """1 where one of the verdicts is what `fail_on` names, else 0."""
    failing = FAILURES[fail_on] if fail_on else set()
    return int(
        any(
            verdict.decision in failing or (fail_on is FailOn.WORSE and _costs(verdict))
            for verdict in verdicts
        )
    )


def _costs(verdict: Verdict) -> bool:
    """Whether a price is WORSE, whatever the headlines say."""
    results = (each.non_inferiority for each in verdict.comparisons)
    return any(result is not None and result.decision is MarginDecision.WORSE for result in results)
