"""A gate's results as Markdown for a step summary: what GitHub shows on the page of a workflow's run."""

from collections.abc import Sequence

from harness.errors import UsageError
from harness.rulings import GateResult, without_policy
from reports.exported import Exported
from reports.gate import RULING_MARKS, demand, summary, title, why
from reports.markdown import as_table, escaped
from reports.whole_files import WholeFiles


def write(exported: Exported, files: WholeFiles) -> Sequence[str]:
    """`summary.md`: a comparison without a policy, a table for each candidate."""
    results = [without_policy(verdict) for verdict in exported.verdicts()]
    if not results:
        raise UsageError("the store alone has no verdicts: name the models to compare, the baseline first")
    files.write("summary.md", render(results))
    return ()


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
