"""A mix's data card: where its rows come from, what was removed and why, how long they are, and examples.

Markdown, for people. What comes from rows stands in code spans, so that nothing in it is read as markup.
"""

import re
from collections.abc import Iterable, Sequence

from harness.escape_controls import shortened
from harness.records.models import Mix
from trainers.build_mix import EXAMPLES, STEPS, BuiltMix
from trainers.mapping import SCHEMA, Removed
from trainers.reading import Row

PERCENTILES = (0, 5, 25, 50, 75, 95, 100)
SHOWN = 400
"""Characters of a turn in an example."""


def card(built: BuiltMix) -> str:
    """The whole card."""
    parts = [
        f"# Data card: {built.mix.name}",
        f"{len(built.rows):,} rows ({built.mix.rows}) of {len(built.sources)} sources.\n"
        f"Content: `sha256:{built.hash}`",
        _sources(built),
        _counts(built),
        _cleaning(built),
        _removed(built),
        _lengths(built),
        _examples(built.rows),
    ]
    return "\n\n".join(parts) + "\n"


def _sources(built: BuiltMix) -> str:
    rows = [
        (
            str(place + 1),
            code(counted.data),
            f"{counted.rows['read']:,}",
            f"{counted.rows['sampled']:,}",
            _amount(built.mix, place),
            "not stated" if counted.licence is None else counted.licence.replace("|", "\\|"),
            code(f"sha256:{counted.hash}"),
        )
        for place, counted in enumerate(built.sources)
    ]
    heading = ("#", "source", "rows", "in the mix", "drawn", "licence", "content")
    return "## Sources\n\n" + table(heading, rows)


def _amount(mix: Mix, place: int) -> str:
    source = mix.sources[place]
    if source.count is not None:
        return f"exactly {source.count:,}"
    return "all that are left" if source.weight is None else f"weight {source.weight:g}"


def _counts(built: BuiltMix) -> str:
    done = [step for step in STEPS if step in built.sources[0].rows]
    rows = [(code(counted.data), *(f"{counted.rows[step]:,}" for step in done)) for counted in built.sources]
    totals = [f"{sum(counted.rows[step] for counted in built.sources):,}" for step in done]
    return "## Rows left after each step\n\n" + table(("source", *done), [*rows, ("all", *totals)])


def _cleaning(built: BuiltMix) -> str:
    mix = built.mix
    most = "any number of" if mix.max_characters is None else f"{mix.max_characters:,}"
    duplicates = {
        "none": "Duplicates stay.",
        "exact": "Rows with the same texts as an earlier one are removed.",
        "near": "Rows with the same texts as an earlier one are removed, and rows whose prompt and answers "
        f"have {mix.similarity:.0%} of their 5-grams of words in common with those of an earlier one.",
    }
    lines = [
        f"- Length: {mix.min_characters:,} to {most} characters, all turns together.",
        f"- {duplicates[mix.deduplicate]}",
        f"- {_decontamination(built)}",
        *(f"- **Not compared with {suite}**: {reason}" for suite, reason in built.unread.items()),
        f"- Drawn and shuffled with seed {mix.seed}.",
    ]
    return "## How it was cleaned\n\n" + "\n".join(lines)


def _decontamination(built: BuiltMix) -> str:
    if not built.compared:
        return "**Rows were not compared with any suite's prompts.**"
    suites = ", ".join(f"{suite} ({number:,})" for suite, number in built.compared.items())
    return (
        "Rows that share 13 words in a row with a prompt of a suite, or all words of a shorter prompt, are "
        f"removed. Suites, with their prompts: {suites}."
    )


def _removed(built: BuiltMix) -> str:
    parts = ["## What was removed"]
    for step in built.steps:
        parts.append(f"### {step.name}: {step.removed:,}")
        if step.reasons:
            parts.append("\n".join(f"- {number:,}: {reason}" for reason, number in step.reasons.items()))
        if step.examples and step.name != "sampled":
            parts.append("For example:")
            parts.append("\n".join(_example(built, each) for each in step.examples))
    return "\n\n".join(parts)


def _example(built: BuiltMix, each: Removed) -> str:
    where = f"{built.sources[each.source].data}, row {each.number:,}"
    detail = f" ({code(each.detail)})" if each.detail else ""
    return f"- {code(where)}, {each.why}{detail}: {code(each.excerpt)}"


def _lengths(built: BuiltMix) -> str:
    heading = ("source", *(f"{percent} %" for percent in PERCENTILES))
    rows = [
        (code(counted.data), *percentiles(counted.characters))
        for counted in built.sources
        if counted.characters
    ]
    everything = sorted(length for counted in built.sources for length in counted.characters)
    text = "Characters of a row, all turns together, by percentile of the rows.\n\n"
    return "## Lengths\n\n" + text + table(heading, [*rows, ("all", *percentiles(everything))])


def percentiles(ascending: Sequence[int]) -> list[str]:
    """The values at `PERCENTILES`: each the smallest that so many percent do not exceed."""
    places = [max(0, -(-percent * len(ascending) // 100) - 1) for percent in PERCENTILES]
    return [f"{ascending[place]:,}" for place in places]


def _examples(rows: Sequence[Row]) -> str:
    """The first rows of the mix, which is shuffled."""
    shown = ["\n".join(_shown(row)) for row in rows[:EXAMPLES]]
    return "## Examples\n\n" + "\n\n".join(shown)


def _shown(row: Row) -> list[str]:
    """A list item for each column, with one for each of its turns."""
    lines = []
    for column in (name for name in row if name in SCHEMA):
        turns = row[column]
        if isinstance(turns, str):
            lines.append(f"- {column}: {code(shortened(turns, SHOWN))}")
        else:
            lines.append(f"- {column}")
            lines += [f"  - {turn['role']}: {code(shortened(turn['content'], SHOWN))}" for turn in turns]
    return lines


def code(text: str) -> str:
    """A code span, in which nothing is markup and which fits into a table's cell."""
    inside = " ".join(text.split()).replace("|", "¦")
    longest = max(map(len, re.findall(r"`+", inside)), default=0)
    fence = "`" * (longest + 1)
    return f"{fence} {inside} {fence}" if longest else f"{fence}{inside}{fence}"


def table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
