"""Prints what a comparison would take: what is trained and asked, where, how long, and for how much."""

from dataclasses import asdict
from typing import Any

from rich.box import SIMPLE
from rich.table import Table

from harness.cli.console import Text
from harness.cli.pace import duration
from harness.cli.terminal import console, print_json
from harness.cli.training_plan import UNKNOWN, print_plan
from harness.pluralize import pluralize
from harness.verbs.evaluation_plan import ComparisonForecast, EvaluationForecast
from harness.verbs.project import Project
from harness.verbs.training import free_space


def show_plan(project: Project, found: ComparisonForecast, *, as_json: bool) -> None:
    """Print a plan, for people or for machines."""
    if as_json:
        print_json(_as_json(found))
    else:
        _print(found, free_space(project))


def _print(found: ComparisonForecast, free: int) -> None:
    """Print the stages where one is to be trained, then every suite of every model, then the whole."""
    if not all(stage.done for stage in found.stages):
        print_plan(found.stages, free)
    paid = any(each.cost for each in found.evaluations)
    table = Table(box=SIMPLE, padding=(0, 1, 0, 0))
    table.add_column("model", overflow="fold")
    table.add_column("suite", overflow="fold")
    for heading in ("samples", "answers", "to ask", "time", *(["at most"] if paid else [])):
        table.add_column(heading, justify="right", no_wrap=True)
    for each in found.evaluations:
        table.add_row(*_row(each, found.currency, paid=paid))
    console.print(table)
    for line in _summary(found):
        console.print(Text(line), soft_wrap=True)


def _as_json(found: ComparisonForecast) -> dict[str, Any]:
    """The same for machines."""
    stages = [{**asdict(stage), "folder": str(stage.folder)} for stage in found.stages]
    return {**asdict(found), "stages": stages, "seconds": found.seconds}


def _row(each: EvaluationForecast, currency: str, *, paid: bool) -> list[Text | str]:
    is_done = each.requests == 0
    cost = UNKNOWN if each.cost is None else f"{each.cost:.2f} {currency}"
    return [
        Text(each.model),
        Text(each.suite),
        f"{each.samples:,}",
        "kept" if is_done else _number(each.requests),
        "–" if is_done else _number(each.missing),
        UNKNOWN if each.seconds is None or is_done else f"~{duration(each.seconds)}",
        *([cost] if paid else []),
    ]


def _number(value: int | None) -> str:
    return UNKNOWN if value is None else f"{value:,}"


def _summary(found: ComparisonForecast) -> list[str]:
    lines = [f"{pluralize(len(found.loads), 'model')} to load, each once: {', '.join(found.loads) or 'none'}"]
    if found.cluster is not None and found.allotment is not None:
        share = found.allotment
        room = f"{share.gpus:g} GPUs" if share.gpus else pluralize(share.cpus, "CPU")
        replicas = pluralize(share.replicas, "replica")
        lines.append(
            f"on Ray: {found.at_once} at a time, the largest first, each with {replicas} of {room}; "
            f"{found.cluster.slots} have room"
        )
    unknown = dict.fromkeys(each.suite for each in found.evaluations if each.seconds is None)
    if unknown:
        lines.append(
            f"time: not known for {', '.join(unknown)}, which nobody was asked with these settings yet"
        )
    if found.seconds:
        lines.append(f"time for what is asked: about {duration(found.seconds)}, as earlier runs took")
    costs = [each.cost for each in found.evaluations if each.cost]
    if costs:
        lines.append(f"cost: at most {sum(costs):.2f} {found.currency}, without judges of suites")
    return lines
