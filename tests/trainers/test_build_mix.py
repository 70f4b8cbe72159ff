"""A mix from its sources: every step counted, draws that hold, and a card that says so."""

import re
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import ConfigError
from harness.records.models import Mix, MixSource
from trainers.build_mix import STEPS, BuiltMix, build_mix
from trainers.card import card, code, percentiles
from trainers.contamination import PromptTexts
from trainers.reading import Source, rows_hash

PLACES = ("the harbour", "an old mill", "the market square", "a quiet library", "the northern gate")
ROWS = [
    {
        "prompt": f"What is it like at {PLACES[number % 5]} in the year {number}?",
        "completion": f"Fine {number}.",
    }
    for number in range(50)
]
NOTHING = PromptTexts(by_suite={})


def source(*rows: Mapping[str, Any], name: str = "a.jsonl") -> Source:
    """Rows as if they had been read."""
    return Source(name=name, hash=rows_hash(rows), read=lambda: rows)


def mix(*sources: MixSource, **settings: Any) -> Mix:
    """A mix of demonstrations."""
    return Mix(
        **{"name": "m", "rows": "demonstrations", "sources": sources, "deduplicate": "exact", **settings}
    )


def two(left: Mapping[str, Any], right: Mapping[str, Any], **settings: Any) -> BuiltMix:
    """A mix of a source of 40 rows and one of 10, with what is said of either."""
    described = mix(MixSource(data="a.jsonl", **left), MixSource(data="b.jsonl", **right), **settings)
    return build_mix(described, [source(*ROWS[:40]), source(*ROWS[40:])], NOTHING)


def sampled(built: BuiltMix) -> list[int]:
    """Rows of each source in the mix."""
    return [counted.rows["sampled"] for counted in built.sources]


# ---------------------------------------------------------------- steps


def test_every_step_is_counted_for_every_source() -> None:
    """What is left after each, why the others are not there, and an example of each reason."""
    asked = {"prompt": "Where do the seven brown bears sleep in winter?", "completion": "In caves."}
    rows = [
        *ROWS[:4],
        {"prompt": "Hi", "completion": " "},
        {"prompt": "a", "completion": "b"},
        ROWS[0],
        {**ROWS[1], "prompt": ROWS[1]["prompt"].upper()},
        asked,
    ]
    sources = MixSource(data="a.jsonl", count=3), MixSource(data="b.jsonl")
    described = mix(*sources, min_characters=3, deduplicate="near")
    prompts = {"suite": ["where do the seven brown bears sleep in winter"]}
    built = build_mix(
        described, [source(*rows), source(*ROWS[2:6], name="b.jsonl")], PromptTexts(by_suite=prompts)
    )
    first = dict(zip(STEPS, [9, 8, 7, 6, 5, 4, 3], strict=True))
    second = dict(zip(STEPS, [4, 4, 4, 2, 2, 2, 2], strict=True))
    assert [first, second] == [counted.rows for counted in built.sources]
    reasons = {step.name: step.reasons for step in built.steps}
    assert {
        "mapped": {"a turn or text is empty": 1},
        "length": {"fewer than 3 characters": 1},
        "duplicates": {"like an earlier row": 1, "like a row of an earlier source": 2},
        "near-duplicates": {"like an earlier row": 1},
        "contaminated": {"shares words with suite": 1},
        "sampled": {"not drawn": 1},
    } == reasons
    assert all(step.removed == sum(step.reasons.values()) for step in built.steps)
    assert all(set(step.reasons) == {each.why for each in step.examples} for step in built.steps)


@pytest.mark.parametrize(
    ("settings", "steps"),
    [
        ({"deduplicate": "none"}, ["mapped", "length", "sampled"]),
        ({"deduplicate": "exact"}, ["mapped", "length", "duplicates", "sampled"]),
    ],
)
def test_a_step_that_was_not_wanted_is_not_counted(settings: dict[str, Any], steps: list[str]) -> None:
    """A card never says that nothing was found by a step that was not taken."""
    built = build_mix(mix(MixSource(data="a.jsonl"), **settings), [source(*ROWS)], NOTHING)
    assert steps == [step.name for step in built.steps]
    assert ["read", *steps] == list(built.sources[0].rows)


# ---------------------------------------------------------------- drawing


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ({}, {}, [40, 10]),
        ({"count": 7}, {}, [7, 10]),
        ({"weight": 1.0}, {"weight": 1.0}, [10, 10]),
        ({"weight": 3.0}, {"weight": 1.0}, [30, 10]),
        ({"weight": 0.9}, {"weight": 0.1}, [40, 4]),
        ({"weight": 5.0}, {"count": 1}, [40, 1]),
    ],
)
def test_amounts(left: dict[str, Any], right: dict[str, Any], expected: list[int]) -> None:
    """Exact counts; or as many as the weights' proportions allow without taking a row twice; or all."""
    assert expected == sampled(two(left, right))


@given(st.floats(0.5, 3), st.floats(0.5, 3))
def test_weights_keep_their_proportion(left: float, right: float) -> None:
    """To the row; and one of the sources gives all it has."""
    amounts = sampled(two({"weight": left}, {"weight": right}))
    assert abs(amounts[0] / left - amounts[1] / right) <= max(1 / left, 1 / right)
    assert amounts[0] == 40 or amounts[1] == 10


def test_the_same_seed_gives_the_same_rows() -> None:
    """And another one others, in another order; what is drawn is a part of what a greater count draws."""
    few, again, other = (two({"count": 5}, {"count": 5}, seed=seed) for seed in (0, 0, 1))
    assert few.rows == again.rows
    assert few.hash == again.hash == rows_hash(few.rows)
    assert few.hash != other.hash
    assert {str(row) for row in few.rows} < {str(row) for row in two({"count": 9}, {"count": 5}).rows}


def test_a_draw_does_not_move_when_another_source_changes() -> None:
    """The rows that are drawn of a source depend on its own rows and the seed."""
    before, after = two({"count": 5}, {"count": 5}), two({"count": 5}, {"count": 2})
    assert {str(row) for row in after.rows} < {str(row) for row in before.rows}


def test_sources_are_shuffled_together() -> None:
    """The second source's rows do not stand at the end."""
    asked = [row["messages"][0]["content"] for row in two({}, {}).rows]
    late = [asked.index(row["prompt"]) for row in ROWS[40:]]
    assert max(late) - min(late) > 20


# ---------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("left", "settings", "message"),
    [
        (
            {"count": 41},
            {},
            r"data\.m\.sources\[0\]\.count: asks for 41 rows, and a\.jsonl has 40 \(read 40 → mapped 40",
        ),
        (
            {},
            {"min_characters": 1000},
            r"data\.m: no row is left of this mix \(a\.jsonl: read 40 → .*length 0",
        ),
        ({"weight": 1e-6}, {}, r"data\.m\.sources\[0\]\.weight: no row of a\.jsonl can be drawn"),
    ],
)
def test_what_cannot_be_drawn_is_said_with_what_became_of_the_rows(
    left: dict[str, Any], settings: dict[str, Any], message: str
) -> None:
    """A count larger than the source, a mix of which nothing is left, a weight too small for one row."""
    with pytest.raises(ConfigError, match=message):
        two(left, {"weight": 1.0} if "weight" in left else {}, **settings)


# ---------------------------------------------------------------- the card


def test_the_card_says_where_rows_come_from_and_what_became_of_them() -> None:
    """Sources with hash and licence, rows by step, reasons, lengths, examples, and what was not compared."""
    described = mix(MixSource(data="a|b.jsonl", licence="MIT", count=2), min_characters=3)
    rows = [*ROWS, {"prompt": "`x|", "completion": ""}]
    asked = PromptTexts(by_suite={"ifeval": ["one two three four five"]}, unread={"general": "no network"})
    built = build_mix(described, [source(*rows)], asked)
    text = card(built)
    assert f"| 1 | `a¦b.jsonl` | 51 | 2 | exactly 2 | MIT | `sha256:{rows_hash(rows)}` |" in text
    assert "| `a¦b.jsonl` | 51 | 50 | 50 | 50 | 50 | 2 |" in text
    assert "| all | 51 | 50 | 50 | 50 | 50 | 2 |" in text
    assert "- 1: a turn or text is empty" in text
    assert "- `a¦b.jsonl, row 51`, a turn or text is empty: `` `x¦ / ``\n" in text
    assert "ifeval (1)" in text
    assert "**Not compared with general**: no network" in text
    assert f"sha256:{built.hash}" in text
    assert all(re.search(rf"user: `{re.escape(row['messages'][0]['content'])}`", text) for row in built.rows)


def test_a_card_without_decontamination_says_so() -> None:
    """Nobody should think that it was looked for."""
    assert "not compared with any suite's prompts" in card(two({}, {}))


def test_percentiles_are_values_that_occur() -> None:
    """Of 1 to 20, 5 % have at most 1, half at most 10, all at most 20."""
    assert ["1", "1", "5", "10", "15", "19", "20"] == percentiles(range(1, 21))
    assert ["7"] * 7 == percentiles([7])


@given(st.text())
def test_a_code_span_is_on_one_line_and_in_one_cell(text: str) -> None:
    """Whatever a row says, it cannot end the span, the cell or the line."""
    span = code(text)
    fence = re.match("`+", span)
    assert fence is not None
    inside = span[len(fence[0]) : -len(fence[0])]
    assert fence[0] not in re.findall("`+", inside)
    assert not re.search(r"[|\n\r]", span)
