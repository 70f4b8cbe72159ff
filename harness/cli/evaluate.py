"""`harness eval`: run suites on models and store the results."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import typer
from rich.table import Column, Table

from harness.cli.evaluation_plan import show_plan
from harness.cli.hours import at_most
from harness.cli.introduction import introduce
from harness.cli.options import (
    AsJson,
    AskRefused,
    Budget,
    Config,
    Device,
    DryRun,
    Hours,
    Limit,
    Names,
    On,
    Replicas,
    Seed,
    Suites,
)
from harness.cli.progress import SHORTER_ANSWERS, ProgressBars
from harness.cli.terminal import complain_of_failures, console, errors, print_json, print_notes
from harness.comparison.comparability import from_files, unused_system
from harness.errors import UsageError
from harness.verbs.evaluating import evaluate, failed_answers, length_notes, refused_answers
from harness.verbs.evaluation_plan import plan_evaluation
from harness.verbs.overview import classifier_notes, left_out_notes, summarise_runs
from harness.verbs.project import open_project
from reports.board import MetricSummary
from reports.conditions import limits
from reports.wording import could_be, cut_short, number

MaxTokens = Annotated[
    int | None,
    typer.Option(
        "--max-tokens",
        min=1,
        help="The maximum length of an answer, in tokens, in place of each suite's own. Runs of different "
        "lengths are not comparable.",
    ),
]
Rescore = Annotated[
    bool,
    typer.Option(
        "--rescore",
        help="Score the stored answers again with the suites' current rules, without loading the models. A "
        "suite's judge is asked for verdicts that are missing.",
    ),
]


def command(
    names: Names,
    suites: Suites = None,
    limit: Limit = None,
    max_tokens: MaxTokens = None,
    config: Config = None,
    seed: Seed = None,
    device: Device = None,
    on: On = None,
    replicas: Replicas = None,
    hours: Hours = None,
    dry_run: DryRun = False,
    budget: Budget = None,
    rescore: Rescore = False,
    ask_refused: AskRefused = False,
    as_json: AsJson = False,
) -> None:
    """Run suites on models and keep every answer. Pipelines are trained first; stored answers are reused."""
    if rescore and ask_refused:
        raise UsageError("--rescore asks the models nothing, and --ask-refused does; leave one of them out")
    project = introduce(
        open_project(
            config,
            seed=seed,
            limit=limit,
            max_tokens=max_tokens,
            device=device,
            on=on,
            replicas=replicas,
            budget=budget,
            ask_refused=ask_refused,
        )
    )
    for note in length_notes(project, suites or ()):
        errors.print(note, markup=False)
    if dry_run:
        show_plan(project, plan_evaluation(project, names, suites=suites or ()), as_json=as_json)
        return
    with at_most(hours), ProgressBars(shorten=SHORTER_ANSWERS) as progress:
        runs = evaluate(project, names, suites=suites or (), rescore=rescore, progress=progress)
    asked = [run for theirs in runs.values() for run in theirs]
    measured = summarise_runs(project, asked)
    if as_json:
        print_json([asdict(line) for line in measured])
    else:
        console.print(measured_table(measured))
        for note in [
            *limits(asked),
            *left_out_notes(project, asked),
            *classifier_notes(project, asked),
            *filter(None, map(unused_system, asked)),
            *filter(None, map(from_files, asked)),
        ]:
            console.print(note, markup=False)
        print_notes(refused_answers(project, asked))
    complain_of_failures(failed_answers(project, asked))


def measured_table(measured: Sequence[MetricSummary]) -> Table:
    """Every metric of some runs, with its interval."""
    table = Table("model", "suite", Column("metric", no_wrap=True))
    for heading in ("value", "interval", "n", "unscored"):
        table.add_column(heading, justify="right")
    for line in measured:
        interval = number(line.interval) if line.interval else "–"
        value = "–" if line.value is None else number(line.value)
        cut = f"\n{cut_short(line.cut)}" if line.cut else ""
        missing = f"{line.unscored} ({could_be(line.bounds)})" if line.bounds else str(line.unscored)
        table.add_row(line.model, line.suite, line.metric, value + cut, interval, str(line.n), missing)
    return table
