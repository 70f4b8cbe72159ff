"""A gate's results as Markdown for a step summary: what GitHub shows on the page of a workflow's run."""

from collections.abc import Sequence

from harness.rulings import GateResult
from reports.gate import RULING_MARKS, demand, summary, title, why
from reports.markdown import as_table, escaped


def render(results: Sequence[GateResult], notes: Sequence[str] = ()) -> str:
    """A heading and a table for each candidate, then what to know."""
    parts = [part for result in results for part in _result(result)]
    if notes:
        parts.append("\n".join(f"- {escaped(note)}" for note in notes))
    return "\n\n".join(parts) + "\n"


def _result(result: GateResult) -> list[str]:
    rows = [
        [f"{RULING_MARKS[rule.ruling]} {rule.ruling}", escaped(demand(rule)), escaped(why(rule))]
        for rule in result.rules
    ]
    return [
        f"## {escaped(title(result))}: {summary(result)}",
        as_table(["", "rule", "why"], rows, numbers_from=3),
    ]
