"""Nothing that is asked in evaluation is in any training set, whatever its wording."""

import re
from collections.abc import Iterator

import pytest

from harness.toyworld import EVALUATION_SETS, TRAINING_SETS, evaluation_set, splits, training_set
from harness.toyworld.world import creatures


def texts(value: object) -> Iterator[str]:
    """Every text inside a row."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner)


def normalised(text: str) -> str:
    """Lower case, words only, one space between them and one at each end."""
    return f" {' '.join(re.findall(r'[a-z0-9]+', text.lower()))} "


def asked(name: str) -> list[str]:
    """What an evaluation set asks, in its own words."""
    return [str(row.get("prompt") or row["question"]) for row in evaluation_set(name)]


def demands(prompt: str) -> frozenset[str]:
    """A prompt's sentences, whatever their order, with the request reduced to its topic."""
    request, *constraints = re.findall(r"[^.?]+", prompt)
    return frozenset([request.split()[-1], *(constraint.strip() for constraint in constraints)])


@pytest.mark.parametrize("training", TRAINING_SETS)
def test_no_item_in_training(training: str) -> None:
    """No evaluation item is within any text of a training set, exactly or but for case and punctuation."""
    seen = [text for row in training_set(training) for text in texts(row)]
    exact, loose = "\n".join(seen), "\n".join(map(normalised, seen))
    items = [item for name in EVALUATION_SETS for item in asked(name)]
    assert [] == [item for item in items if item in exact or normalised(item) in loose]


def test_no_reworded_instruction_in_training() -> None:
    """No training prompt asks for what an evaluation prompt asks for, in other words or another order."""
    trained = {
        demands(text)
        for name in TRAINING_SETS
        for row in training_set(name)
        for text in texts(row)
        if re.match(r"(Name|List|Write|Give me) only", text)
    }
    assert trained
    assert set() == trained & {demands(prompt) for prompt in asked("toy-ifeval")}


def test_held_out_creatures_are_reported_of_and_never_asked_about() -> None:
    """Training asks what a known creature does; of the others it only repeats what books and people say."""
    held_out = {fact.creature for fact in splits.held_out_facts()}
    known = {fact.creature for fact in splits.known_facts()}
    questions = {
        creature
        for name in TRAINING_SETS
        for row in training_set(name)
        for text in texts(row)
        for creature in re.findall(r"(?:What do|Tell me what) the (\w+)", text)
    }
    assert (set(creatures()), set(), known) == (held_out | known, held_out & known, questions)


@pytest.mark.parametrize(
    ("known", "held_out"),
    [
        (splits.known_facts(), splits.held_out_facts()),
        (splits.known_tasks(), splits.held_out_tasks()),
        (splits.known_quarrels(), splits.held_out_quarrels()),
    ],
    ids=["facts", "tasks", "quarrels"],
)
def test_sides_are_disjoint(known: tuple[object, ...], held_out: tuple[object, ...]) -> None:
    """Every fact, task and quarrel is on one side, and both sides have some."""
    assert set() == set(known) & set(held_out)
    assert known
    assert held_out


def test_sizes() -> None:
    """Enough is asked for differences to show: 208 questions on 104 facts, 400 instructions, 222 quarrels."""
    assert {"toy-truthfulqa": 208, "toy-ifeval": 400, "toy-toxicity": 222} == {
        name: len(evaluation_set(name)) for name in EVALUATION_SETS
    }
    assert len({row["fact"] for row in evaluation_set("toy-truthfulqa")}) == 104


@pytest.mark.parametrize("name", EVALUATION_SETS)
def test_items_differ(name: str) -> None:
    """No item is asked twice, and no id is given twice."""
    rows = evaluation_set(name)
    assert (len(rows), len(rows)) == (len({row["id"] for row in rows}), len(set(asked(name))))
