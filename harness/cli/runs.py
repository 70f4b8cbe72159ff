"""`harness runs`: list the runs in the store, show one with its answers, or drop some."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.filesize import decimal
from rich.panel import Panel
from rich.table import Column, Table

from harness.cli.console import Text
from harness.cli.evaluate import measured_table
from harness.cli.introduction import introduce
from harness.cli.options import AsJson, Config, Yes
from harness.cli.terminal import console, print_json, record_as_json
from harness.errors import UsageError
from harness.pluralize import pluralize
from harness.records.answers import LogLikelihood, Response, Row, Score
from harness.records.models import Json
from harness.turns import as_text
from harness.verbs.project import open_project
from harness.verbs.runs import (
    SHOWN_OF_ID,
    Drop,
    KeptRun,
    ShownRun,
    drop_runs,
    list_runs,
    plan_drops,
    show_run,
)
from reports.conditions import samples

Id = Annotated[str, typer.Argument(metavar="ID", help="The run's id, or the beginning of it.")]

command = typer.Typer(
    help="List the runs in the store, show one, or drop some.",
    invoke_without_command=True,
    rich_markup_mode=None,
)


@command.callback()
def runs(context: typer.Context, config: Config = None, as_json: AsJson = False) -> None:
    """List the runs in the store with their model, suite, settings, time and result."""
    if context.invoked_subcommand is not None:
        return
    project = introduce(open_project(config))
    found = list_runs(project)
    if as_json:
        print_json([asdict(run) for run in found])
    elif found:
        console.print(_table(found))
    else:
        console.print("no runs yet; `harness eval` makes some")


@command.command(short_help="Show one run: conditions, metrics, some answers.")
def show(
    run: Id,
    answers: Annotated[
        int, typer.Option("--answers", "-n", min=0, help="The number of answers to show.")
    ] = 3,
    worst: Annotated[
        bool,
        typer.Option("--worst", help="Show unscored answers first, then the worst by the headline metric."),
    ] = False,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Show a run's conditions, its metrics, and its first answers in the suite's order."""
    project = introduce(open_project(config))
    shown = show_run(project, run, answers=answers, worst_first=worst)
    if as_json:
        print_json(record_as_json(shown))
    else:
        _print(shown)


@command.command(short_help="Drop runs and the answers that nothing else uses.")
def drop(
    named: Annotated[
        list[str], typer.Argument(metavar="ID...", help="Ids of runs, or the beginnings of ids.")
    ],
    yes: Yes = False,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Drop runs with their scores, the preferences about them, and the answers that nothing else uses.

    A run that a blind test shows is not dropped. Questions and judges' replies stay.
    """
    project = introduce(open_project(config))
    drops = plan_drops(project, named)
    if as_json:
        if yes:
            drop_runs(project, drops)
        print_json({"dropped": yes, "runs": [{"id": each.run.id, **asdict(each.removal)} for each in drops]})
        return
    for each in drops:
        console.print(_going(each), soft_wrap=True)
    if not yes and not _agreed():
        console.print("nothing was dropped")
        return
    drop_runs(project, drops)
    console.print("dropped; `harness prune` frees the space in the store's file")


def _agreed() -> bool:
    """Whether the user says so. Raises UsageError where nobody can be asked."""
    if not sys.stdin.isatty():
        raise UsageError("nothing was dropped, for nobody can be asked here; add --yes to drop")
    console.print("drop? [y/N] ", end="", markup=False)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


# ---------------------------------------------------------------- the list


def _table(found: Sequence[KeptRun]) -> Table:
    table = Table(
        Column("run", no_wrap=True),
        Column("model", overflow="fold"),
        Column("suite", overflow="fold"),
        Column("samples", justify="right"),
        Column("settings", overflow="fold"),
        Column("headline", overflow="fold"),
        Column("finished", overflow="fold"),
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    for run in found:
        table.add_row(
            run.short,
            Text(run.model),
            Text(run.suite),
            _samples(run),
            Text(_settings(run.settings)),
            Text("\n".join(_headline(*each) for each in run.headlines.items())),
            _moment(run.finished) if run.finished else "not whole yet",
        )
    return table


def _samples(run: KeptRun) -> str:
    rows = run.samples if run.finished else f"{run.rows:,} of {run.samples}"
    return f"{rows}\n{run.unscored:,} unscored" if run.unscored else rows


def _headline(metric: str, value: float | None) -> str:
    return f"{metric} {'–' if value is None else f'{value:.3f}'}"


def _moment(time: str) -> str:
    """A time as people read it: to the minute, in UTC."""
    return time[:16].replace("T", " ")


def _settings(settings: Mapping[str, Json]) -> str:
    return ", ".join(f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in settings.items())


# ---------------------------------------------------------------- one run


def _print(shown: ShownRun) -> None:
    run = shown.run
    for key, value in _conditions(shown).items():
        console.print(Text.assemble((f"{key:<9} ", "bold"), value), soft_wrap=True)
    if run.metrics:
        console.print(measured_table(shown.measured))
    for metric, reasons in shown.unscored.items():
        for reason, count in reasons.items():
            console.print(Text(f"unscored: {metric}: {count} × {reason}", style="yellow"))
    if shown.failures is not None:
        failed = shown.failures
        console.print(Text(f"answers failed: {failed.answers}, mostly: {failed.reason}", style="yellow"))
    for row in shown.answers:
        console.print(_panel(row))


def _conditions(shown: ShownRun) -> dict[str, str]:
    run = shown.run
    rows = f"{shown.rows:,} of {samples(run)}" if shown.rows < run.size else samples(run)
    return {
        "run": run.id,
        "model": f"{run.model} ({run.fingerprint})",
        "suite": f"{run.suite}, version {run.suite_version}",
        "samples": rows,
        "data": run.data_hash,
        "settings": _settings(run.settings),
        "seed": str(run.seed),
        "started": run.started,
        "finished": run.finished or "not whole yet: the same `harness eval` goes on with it",
        "engine": _settings(engine if isinstance(engine := run.environment.get("engine"), Mapping) else {}),
    }


def _panel(row: Row) -> Panel:
    """A sample: what was asked, what would be right, what was answered, and what that is worth."""
    parts = [Text(as_text(row.sample.prompt), style="dim")]
    if row.sample.target is not None:
        parts.append(_labelled("target", row.sample.target))
    answers = [_answer(row, place) for place in range(len(row.responses))]
    likelihoods = all(isinstance(answer, LogLikelihood) for answer in row.responses)
    parts += [Text("\n").join(answers)] if likelihoods else answers
    scores = ", ".join(map(_score, row.scores))
    return Panel(
        Text("\n\n").join(parts), title=Text(row.sample.id), title_align="left", subtitle=Text(scores)
    )


def _answer(row: Row, place: int) -> Text:
    """An answer; of choices that were scored, the choice and its log-likelihood."""
    answer = row.responses[place]
    if isinstance(answer, LogLikelihood):
        choice = (
            row.sample.choices[place] if len(row.responses) == len(row.sample.choices) else f"{place + 1}"
        )
        return Text(f"{answer.logprob:10.3f}  {choice}")
    said = "answer" if len(row.responses) == 1 else f"answer {place + 1} of {len(row.responses)}"
    return Text("\n").join([*_thought(answer), _labelled(f"{said} ({_stopped(answer)})", answer.text)])


def _thought(answer: Response) -> list[Text]:
    """How long it thought; what it thought stands in the report."""
    if answer.thought is None:
        return []
    return [Text(f"thought: {len(answer.thought.split()):,} words", style="dim italic")]


def _stopped(answer: Response) -> str:
    if answer.unanswered is not None:
        return answer.unanswered
    return "cut at its limit" if answer.stop_reason == "length" else f"{answer.completion_tokens} tokens"


def _score(score: Score) -> str:
    value = "unscored" if score.value is None else f"{score.value:g}"
    return f"{score.metric} {value}" + (f" ({score.reason})" if score.reason else "")


def _labelled(label: str, text: str) -> Text:
    return Text.assemble((f"{label}: ", "bold"), text)


# ---------------------------------------------------------------- what goes with a run


def _going(drop: Drop) -> Text:
    """What goes with a run, and what stays."""
    run, removal = drop.run, drop.removal
    whole = "" if run.finished else "; not whole: make sure that no command is at it"
    lines = [
        f"run {run.id[:SHOWN_OF_ID]}: {run.model} on {run.suite}, begun {_moment(run.started)}{whole}",
        f"  goes: {pluralize(removal.rows, 'sample')} with {pluralize(removal.scores, 'score')}, "
        f"{pluralize(removal.answers, 'answer')}: {decimal(removal.size)} of the store",
    ]
    lines += [
        f"  goes: {pluralize(count, 'preference')} of {rater} about its answers"
        for rater, count in removal.preferences.items()
    ]
    if removal.shared:
        lines.append(
            f"  stays: {pluralize(removal.shared, 'answer')} that other runs or preferences may need"
        )
    if removal.replies:
        lines.append(f"  stays: judges' replies ({removal.replies:,})")
    return Text("\n".join(lines))
