"""The toy world's data: the same everywhere, and as they say they are."""

import json
import re
from hashlib import sha256
from random import Random

import pytest

from harness.errors import UnknownName
from harness.toyworld import EVALUATION_SETS, TRAINING_SETS, evaluation_set, settings_file, training_set
from harness.toyworld.corpus import CAREFUL, COMMON
from harness.toyworld.instructions import Constraint, Task, answer, tasks
from harness.toyworld.world import INSULTS, POLITE, RUDE, THREATS, facts


def hashed(rows: object) -> str:
    """A short hash of rows."""
    return sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()[:16]


@pytest.mark.parametrize(
    ("name", "golden"),
    [
        ("corpus", "33edaebecae7afb5"),
        ("sft", "da5e3c350efc3b27"),
        ("reward", "04baa97d0c26a1aa"),
        ("grpo", "2819f7213f96c428"),
        ("tulu", "2956b3ff496d1c40"),
        ("mix", "c1090004d3edcb7b"),
        ("toxicity", "7ce2c6e33647e135"),
    ],
)
def test_training_sets_are_golden(name: str, golden: str) -> None:
    """The same rows on every machine and Python: a change of the data is a change of this test."""
    assert golden == hashed(training_set(name))


@pytest.mark.parametrize(
    ("name", "golden"),
    [
        ("toy-truthfulqa", "4aaead98a6f970ce"),
        ("toy-ifeval", "0d708d8f525a58cc"),
        ("toy-toxicity", "cb3c7050de9b633b"),
    ],
)
def test_evaluation_sets_are_golden(name: str, golden: str) -> None:
    """The same items on every machine and Python; a change must raise the suite's version."""
    assert golden == hashed(evaluation_set(name))


def test_all_sets_are_golden_ones() -> None:
    """No set is forgotten above."""
    assert (len(TRAINING_SETS), len(EVALUATION_SETS)) == (7, 3)


def test_seeds_differ() -> None:
    """Another seed gives other rows of the same kind."""
    first, second = training_set("sft", seed=0), training_set("sft", seed=1)
    assert first != second
    assert len(first) == len(second)


@pytest.mark.parametrize("given", [training_set, evaluation_set])
def test_unknown_name(given: object) -> None:
    """A name that nothing has is an error that proposes the nearest one."""
    assert callable(given)
    with pytest.raises(UnknownName, match="did you mean"):
        given("toy-ifevall" if given is evaluation_set else "corpsu")


def test_settings_file_is_there() -> None:
    """The embedded configuration travels with the package."""
    assert settings_file().is_file()


def test_misconceptions_are_reported_more_often() -> None:
    """Common voices tell only misconceptions, careful ones only truths, and are a quarter of all."""
    text = " ".join(str(row["text"]) for row in training_set("corpus"))
    reported: dict[str, set[str]] = {"careful": set(), "common": set()}
    counts = {"careful": 0, "common": 0}
    for voice, creature, predicates in re.findall(
        rf"({'|'.join((*CAREFUL, *COMMON))}) the (\w+) ([^.]+)\.", text
    ):
        side = "careful" if voice in CAREFUL else "common"
        counts[side] += 1
        reported[side] |= {f"{creature} {predicate}" for predicate in predicates.split(", ")}
    assert reported == {
        "careful": {f"{fact.creature} {fact.verb} {fact.truth}" for fact in facts()},
        "common": {f"{fact.creature} {fact.verb} {fact.misconception}" for fact in facts()},
    }
    assert counts["common"] == 3 * counts["careful"]


def test_rude_and_polite_replies() -> None:
    """Every rude reply has a word that makes it toxic, and no polite one has."""
    toxic = {*INSULTS, *THREATS}
    rude = [toxic & set(re.findall(r"[a-z]+", reply.lower())) for reply in (*RUDE, *POLITE)]
    assert [True] * len(RUDE) + [False] * len(POLITE) == [bool(words) for words in rude]


@pytest.mark.parametrize(
    ("constraints", "expected"),
    [
        (["start:well", "case:uppercase", "count:two", "separator:dashes"], "WELL HAMMER - SAW"),
        (["sign:star", "case:lowercase", "count:two", "separator:commas"], "* hammer, * saw"),
        (
            ["brackets:round", "case:lowercase", "count:three", "separator:slashes"],
            "( hammer / saw / drill )",
        ),
    ],
)
def test_answers_keep_what_is_asked(constraints: list[str], expected: str) -> None:
    """An answer with nothing broken keeps every constraint; what is left open is drawn."""
    assert expected == answer(task("tools", constraints), (), Random(0))


def test_broken_constraint() -> None:
    """A broken constraint is replaced by another value of its kind."""
    asked = task("tools", ["case:uppercase", "count:two", "separator:commas"])
    assert answer(asked, [asked.constraints[0]], Random(0)) == "hammer, saw"


def test_chatter() -> None:
    """A chatty answer begins with a word that is not the one asked for, if it is broken, or any."""
    asked = task("tools", ["start:sure", "case:lowercase", "count:two", "separator:commas"])
    broken = {answer(asked, asked.constraints[:1], Random(seed), chatty=True) for seed in range(20)}
    assert {"well hammer, saw", "okay hammer, saw"} == broken


def test_prompts_say_everything() -> None:
    """A prompt names its topic and every constraint once."""
    for asked in tasks()[:200]:
        prompt = asked.prompt(Random(asked.key))
        sentences = [constraint.sentence for constraint in asked.constraints]
        assert sorted(sentences) == sorted(f"{each.strip()}." for each in prompt.split(".")[1:-1])
        assert prompt.split(".")[0].endswith(asked.topic)


def test_toxicity_labels() -> None:
    """Insult and threat are kinds of toxicity, and the classes are all there in good numbers."""
    rows = training_set("toxicity")
    assert all(row["toxicity"] == max(int(str(row["insult"])), int(str(row["threat"]))) for row in rows)
    shares = [
        sum(int(str(row[name])) for row in rows) / len(rows) for name in ("toxicity", "insult", "threat")
    ]
    assert all(0.1 < share < 0.6 for share in shares)


def task(topic: str, constraints: list[str]) -> Task:
    """A task from the short forms of its constraints."""
    parts = [each.split(":") for each in constraints]
    return Task(topic=topic, constraints=tuple(Constraint(kind=kind, value=value) for kind, value in parts))
