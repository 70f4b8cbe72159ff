"""`harness eval`: suites asked of models, into the store. It does not know how a suite asks."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import typer
from rich.table import Column, Table

from harness.cli.options import AsJson, Config, Device, Limit, Names, Seed, Suites
from harness.cli.progress import ProgressBars
from harness.cli.terminal import complain_of_failures, console, introduce, print_json
from harness.verbs.overview import Measured, classifier_notes, left_out_notes, means
from harness.verbs.project import open_project
from harness.verbs.work import evaluate, failed_answers
from reports.conditions import limits
from reports.wording import between, could_be, cut_short, number

Rescore = Annotated[
    bool,
    typer.Option(
        "--rescore",
        help="Score the answers in the store as the suites now are: the model is not loaded or asked. A "
        "suite's judge belongs to its scoring: what it has not said yet, it is asked.",
    ),
]


def command(
    names: Names,
    suites: Suites = None,
    limit: Limit = None,
    config: Config = None,
    seed: Seed = None,
    device: Device = None,
    rescore: Rescore = False,
    as_json: AsJson = False,
) -> None:
    """Run suites on models and keep every answer. Pipelines are trained first; what is answered is used."""
    project = open_project(config, seed=seed, limit=limit, device=device)
    introduce(project)
    with ProgressBars() as watcher:
        runs = evaluate(project, names, suites=suites or (), rescore=rescore, watcher=watcher)
    asked = [run for theirs in runs.values() for run in theirs]
    measured = means(project, asked)
    if as_json:
        print_json([asdict(line) for line in measured])
    else:
        console.print(_table(measured))
        for note in [*limits(asked), *left_out_notes(project, asked), *classifier_notes(project, asked)]:
            console.print(note, markup=False)
    complain_of_failures(failed_answers(project, asked))


def _table(measured: Sequence[Measured]) -> Table:
    table = Table("model", "suite", Column("metric", no_wrap=True))
    for heading in ("value", "interval", "n", "unscored"):
        table.add_column(heading, justify="right")
    for line in measured:
        interval = between(line.interval) if line.interval else "–"
        value = "–" if line.value is None else number(line.value)
        cut = f"\n{cut_short(line.cut)}" if line.cut else ""
        missing = f"{line.unscored} ({could_be(line.bounds)})" if line.bounds else str(line.unscored)
        table.add_row(line.model, line.suite, line.metric, value + cut, interval, str(line.n), missing)
    return table
