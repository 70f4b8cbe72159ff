"""From sources' schemas to the one shape of a mix."""

from typing import Any

import pytest

from harness.errors import DataError
from harness.records.models import MixSource
from trainers.data import demonstrations, pairs, texts, training_prompts
from trainers.mapping import map_rows

USER = {"role": "user", "content": "Hi"}
ANSWER = {"role": "assistant", "content": "Hello"}
WORSE = {"role": "assistant", "content": "No"}
TRANSCRIPT = "\n\nHuman: Hi\n\nAssistant: "


def mapped(shape: str, *rows: dict[str, Any], **columns: str) -> list[dict[str, Any]]:
    """The rows in this shape."""
    items, _ = map_rows(0, MixSource(data="a.jsonl", columns=columns), rows, shape)
    return [dict(item.row) for item in items]


@pytest.mark.parametrize(
    ("columns", "row"),
    [
        ({}, {"prompt": "Hi", "completion": "Hello"}),
        ({}, {"messages": [USER, ANSWER]}),
        ({}, {"instruction": "Hi", "input": "", "output": "Hello"}),
        ({"prompt": "q", "completion": "a"}, {"q": "Hi", "a": "Hello", "messages": [USER, WORSE]}),
        ({"instruction": "instruction", "output": "reply"}, {"instruction": "Hi", "reply": "Hello"}),
        ({"messages": "chosen"}, {"chosen": f"{TRANSCRIPT}Hello", "rejected": f"{TRANSCRIPT}No"}),
    ],
)
def test_demonstrations_become_conversations(columns: dict[str, str], row: dict[str, Any]) -> None:
    """Whatever the schema; columns that are mapped come before the source's own of those names."""
    assert [{"messages": [USER, ANSWER]}] == mapped("demonstrations", row, **columns)


@pytest.mark.parametrize(
    ("columns", "row"),
    [
        ({}, {"prompt": "Hi", "chosen": "Hello", "rejected": "No"}),
        ({}, {"chosen": [USER, ANSWER], "rejected": [USER, WORSE]}),
        ({}, {"chosen": f"{TRANSCRIPT}Hello", "rejected": f"{TRANSCRIPT}No"}),
        ({}, {"instruction": "Hi", "input": "", "output": "Hey", "chosen": "Hello", "rejected": "No"}),
        ({"prompt": "q", "chosen": "best", "rejected": "worst"}, {"q": "Hi", "best": "Hello", "worst": "No"}),
    ],
)
def test_preferences_become_a_prompt_and_two_answers(columns: dict[str, str], row: dict[str, Any]) -> None:
    """In TRL's conversational form, whatever the schema."""
    assert [{"prompt": [USER], "chosen": [ANSWER], "rejected": [WORSE]}] == mapped(
        "preferences", row, **columns
    )


def test_prompts_keep_what_rewards_may_want_and_no_answers() -> None:
    """Columns that no schema knows stay; answers to a prompt do not."""
    row = {"prompt": "Hi", "completion": "Hello", "topic": "greeting"}
    assert [{"prompt": [USER], "topic": "greeting"}] == mapped("prompts", row)


@pytest.mark.parametrize(
    ("shape", "row", "read"),
    [
        ("texts", {"text": "Hi"}, texts),
        ("demonstrations", {"messages": [USER, ANSWER, USER, WORSE]}, demonstrations),
        ("preferences", {"chosen": [USER, ANSWER], "rejected": [USER, WORSE]}, pairs),
        ("prompts", {"messages": [USER, ANSWER, USER], "topic": "t"}, training_prompts),
    ],
)
def test_what_is_mapped_reads_as_the_row_itself(shape: str, row: dict[str, Any], read: Any) -> None:
    """A stage learns from a mix what it would have learned from the source."""
    assert read("source", [row]) == read("mix", mapped(shape, row))


@pytest.mark.parametrize(
    ("shape", "row", "why"),
    [
        ("preferences", {"prompt": "Hi", "chosen": "No", "rejected": "No "}, "are the same"),
        ("preferences", {"chosen": [USER, ANSWER], "rejected": [ANSWER, WORSE]}, "before their last turns"),
        ("demonstrations", {"prompt": "Hi", "completion": " "}, "is empty"),
        ("texts", {"text": ""}, "is empty"),
    ],
)
def test_rows_that_say_nothing_are_left_out_with_a_reason(shape: str, row: dict[str, Any], why: str) -> None:
    """And with their number, so that they can be looked at."""
    good = {"prompt": "Hi", "completion": "a", "chosen": "Hello", "rejected": "No", "text": "Hi"}
    items, (left_out,) = map_rows(3, MixSource(data="a.jsonl"), [good, row], shape)
    assert [1] == [item.number for item in items]
    assert (3, 2) == (left_out.source, left_out.number)
    assert why in left_out.why


def test_an_empty_system_turn_is_as_good_as_none() -> None:
    """Published conversations have some, and their answers are worth learning."""
    turns = [{"role": "system", "content": ""}, USER, ANSWER]
    assert [{"messages": turns}] == mapped("demonstrations", {"messages": turns})


def test_a_missing_column_is_named_with_row_and_columns() -> None:
    """And with the key of the configuration that asks for it."""
    expected = r"a\.jsonl, row 2: there is no column `q`, which `columns\.prompt` names; its columns are a, b"
    with pytest.raises(DataError, match=expected):
        mapped("prompts", {"q": "Hi"}, {"a": "Hi", "b": 1}, prompt="q")


@pytest.mark.parametrize(
    ("shape", "rows", "message"),
    [
        ("preferences", [{"prompt": "a", "chosen": "b", "rejected": "b"}] * 2, "none of its 2 rows can be"),
        ("texts", [{"text": "a"}] * 3, "its 3 rows are all the same, 'a'"),
    ],
)
def test_a_source_of_one_class_is_refused(shape: str, rows: list[dict[str, Any]], message: str) -> None:
    """Where every pair is twice the same answer, or every row the same, a file has gone wrong."""
    with pytest.raises(DataError, match=message):
        mapped(shape, *rows)
