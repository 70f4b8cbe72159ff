"""Held-out pairs: which they are, and what is said of a reward model on them."""

import json
from math import log
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import DataError
from harness.records.models import Stage
from harness.stats.calibration import calibration_error
from tests.trainers.test_stages import GRPO
from tests.trainers.world import World, pipeline, stage, write_rows
from trainers import reward_quality
from trainers.data import PreferencePair, pairs
from trainers.doctor.compare_reward_models import compare_reward_models
from trainers.doctor.examination import examine
from trainers.holdout import held_out
from trainers.planning import PlannedStage, plan
from trainers.reading import read
from trainers.reward_quality import (
    ScoredPair,
    calibration,
    compare_accuracies,
    figures,
    lengths,
)

HOLDING: dict[str, Any] = {"epochs": 8, "learning_rate": 5e-3, "holdout": 0.25}
TOLD = stage("reward", "pairs.jsonl", **HOLDING)


def pair(number: int, answer: str = "a") -> PreferencePair:
    """One of a prompt of its own."""
    return PreferencePair(
        [{"role": "user", "content": f"prompt {number}"}], f"{answer} better", f"{answer} worse"
    )


def seen(prompt: str, chosen: float, rejected: float, longer_by: int = 0) -> ScoredPair:
    """A judged pair of a prompt."""
    return ScoredPair(
        pair=f"{prompt} {chosen} {rejected}",
        prompt=prompt,
        chosen=chosen,
        rejected=rejected,
        longer_by=longer_by,
    )


# ---------------------------------------------------------------- what is held out


@given(
    numbers=st.lists(st.integers(0, 30), min_size=20, max_size=80).filter(lambda n: len(set(n)) > 10),
    seed=st.integers(0, 3),
)
def test_prompts_are_never_on_two_sides(numbers: list[int], seed: int) -> None:
    """Every row is in one part, with all others of its prompt, and in the order it came in."""
    rows = [pair(number, str(place)) for place, number in enumerate(numbers)]
    parts = held_out("rows", rows, 0.2, 0.3, seed=seed)

    assert sorted(map(str, rows)) == sorted(str(row) for part in parts for row in part)
    prompts = [{row.prompt[0]["content"] for row in part} for part in parts]
    assert len(set().union(*prompts)) == sum(map(len, prompts))
    for part in parts:
        assert [row for row in rows if row in part] == part


def test_shares_are_those_of_the_prompts() -> None:
    """A quarter of 40 prompts is 10, and nothing is held out where nothing was asked for."""
    rows = [pair(number) for number in range(40)]
    assert [10, 4, 26] == [len(part) for part in held_out("rows", rows, 0.25, 0.1, seed=0)]
    assert [0, 40] == [len(part) for part in held_out("rows", rows, None, seed=0)]


def test_the_seed_decides_which() -> None:
    """The same seed holds out the same prompts, also of other rows; another one others."""
    rows = [pair(number) for number in range(40)]
    first, again = held_out("rows", rows, 0.25, seed=0), held_out("rows", rows[::-1], 0.25, seed=0)
    assert sorted(map(str, first[0])) == sorted(map(str, again[0]))
    assert first[0] != held_out("rows", rows, 0.25, seed=1)[0]


def test_one_prompt_cannot_be_split() -> None:
    """Nothing would be left to train on."""
    with pytest.raises(DataError, match="have 1 different prompts: none is left to train on"):
        held_out("rows", [pair(1, "a"), pair(1, "b")], 0.1, seed=0)


# ---------------------------------------------------------------- what is said


def test_accuracy_counts_a_tie_as_half() -> None:
    """Two right, one wrong, one tied: 2.5 of 4."""
    found = [seen("a", 1, 0), seen("b", 2, 0), seen("c", 0, 1), seen("d", 1, 1)]
    share, interval = reward_quality.accuracy(found)
    assert 0.625 == share
    assert interval.low < 0.625 < interval.high


def test_pairs_of_one_prompt_count_as_one() -> None:
    """The same pairs of four prompts say less than of forty."""
    several = [seen(str(number), 1, 0) for number in range(40)]
    few = [seen(str(number % 4), 1, 0) for number in range(40)]
    assert reward_quality.accuracy(few)[1].low < reward_quality.accuracy(several)[1].low


def test_calibration_by_hand() -> None:
    """A margin of log 3 says three quarters: of four such pairs three right is no error, and two is 1/4."""
    margin = log(3)
    right, wrong = seen("r", margin, 0), seen("w", 0, margin)
    [good] = calibration([right, right, right, wrong])
    assert (0.7, 0.8, 4) == good[:3]
    assert pytest.approx((0.75, 0.75)) == good[3:]
    assert pytest.approx(0.25) == calibration_error(calibration([right, right, wrong, wrong]))


def test_calibration_errors_are_weighted_by_pairs() -> None:
    """Three pairs that are an error of 1/2 and one of none: 3/8."""
    sure = [seen("s", 100, 0)]
    unsure = [seen("u", 0, 0)] * 2
    table = calibration([*sure, *unsure, seen("w", 0, 100)])
    assert [(0.5, 0.6, 2), (0.9, 1.0, 2)] == [each[:3] for each in table]
    assert pytest.approx(0.25) == calibration_error(table)  # the last bin: sure, half right, half of all


def test_length_that_is_taken_for_quality() -> None:
    """All longer ones get more, and half of them are better: the difference is one half, and is no chance."""
    found = [seen(f"{n}", 1, 0, longer_by=5) for n in range(20)]
    found += [seen(f"m{n}", 0, 1, longer_by=-5) for n in range(20)]
    reported = lengths(found)
    assert reported is not None
    assert (40, 1.0, 0.5) == reported[:3]
    assert reported.interval.low > 0
    assert lengths([seen("a", 1, 0)]) is None


def test_a_right_reward_model_has_no_length_bias() -> None:
    """Where the longer answer is the better one, giving it more is no fault."""
    reported = lengths([seen(f"{n}", 1, 0, longer_by=5) for n in range(20)])
    assert reported is not None
    assert reported.interval.low < 0 < reported.interval.high


def test_figures_are_json() -> None:
    """As the manifest keeps them, with None for what cannot be said."""
    reported = figures([seen("a", 1, 0), seen("b", 0, 1)])
    assert reported == json.loads(json.dumps(reported, allow_nan=False))
    assert reported["lengths"] is None
    table: Any = reported["calibration"]
    assert [{"low", "high", "pairs", "said", "was"}] == [set(each) for each in table]


# ---------------------------------------------------------------- two reward models


def test_two_reward_models_by_hand() -> None:
    """Only shared pairs count: of ten, the right model wins six and loses none."""
    left = [
        ScoredPair(pair=str(n), prompt=str(n), chosen=float(n >= 6), rejected=0.5, longer_by=0)
        for n in range(10)
    ]
    right = [ScoredPair(pair=str(n), prompt=str(n), chosen=1.0, rejected=0.5, longer_by=0) for n in range(10)]
    apart = ScoredPair(pair="else", prompt="else", chosen=0.0, rejected=1.0, longer_by=0)
    found = compare_accuracies(left, [*right, apart])
    assert found is not None
    assert (10, 0.4, 1.0) == (found.pairs, found.left, found.right)
    assert pytest.approx(0.6) == found.difference.value
    assert found.difference.interval.low > 0
    assert 2 / 2**6 == found.p  # exact sign flips of six changed pairs
    assert compare_accuracies(left, [apart]) is None


# ---------------------------------------------------------------- trained


def metrics_of(folder: Path) -> dict[str, Any]:
    """The manifest's metrics."""
    found: dict[str, Any] = json.loads((folder / "manifest.json").read_text())["metrics"]
    return found


def test_held_out_pairs_are_measured_and_not_learned(world: World) -> None:
    """A quarter of 48 rows is kept apart, and what the finished model gives them is kept."""
    folder = world.produce("holding", pipeline("holding", "base", TOLD))
    reported, kept = metrics_of(folder), reward_quality.read(folder)
    every = pairs("pairs.jsonl", read("pairs.jsonl", world.root).rows)
    apart, learned = held_out("pairs.jsonl", every, 0.25, seed=0)

    assert (len(learned), len(apart)) == (reported["rows"], reported["rows_held_out"])
    assert len(apart) == reported["held_out"]["pairs"] == len(kept)
    assert reported["held_out"]["accuracy"] == sum(each.right for each in kept) / len(kept)


def test_what_selects_a_reward_model_is_not_what_it_is_measured_on(world: World) -> None:
    """Two parts of the pairs, and what is learned is in neither."""
    select = {"by": "loss", "holdout": 0.25}
    asked = stage("reward", "pairs.jsonl", **{**HOLDING, "epochs": 2}, select=select)
    folder = world.produce("both", pipeline("both", "base", asked))
    reported = metrics_of(folder)
    every = pairs("pairs.jsonl", read("pairs.jsonl", world.root).rows)
    measuring, selecting, learned = held_out("pairs.jsonl", every, 0.25, 0.25, seed=0)

    assert len(measuring) == reported["held_out"]["pairs"]
    assert (len(learned), len(measuring) + len(selecting)) == (reported["rows"], reported["rows_held_out"])
    alone = reward_quality.read(world.produce("holding", pipeline("holding", "base", TOLD)))
    assert {each.pair for each in alone} == {each.pair for each in reward_quality.read(folder)}


def test_a_stage_without_a_holdout_is_what_it_was(world: World) -> None:
    """The option is no part of the identity where it is not asked for, and then all rows are learned."""
    asked = world.plan("reward")[-1].settings.identifying()
    assert not {"holdout", "select"} & asked.keys()
    assert 48 == metrics_of(world.produce("reward"))["rows"]


def test_the_doctor_uses_held_out_pairs_where_there_are_some(world: World) -> None:
    """What was learned by heart says little: the accuracy reported is that of pairs that were not learned."""
    world.produce("holding", pipeline("holding", "base", TOLD))
    holding = pipeline("holding", "base", TOLD)
    learning = pipeline("inspected", "sft", stage("grpo", "prompts.jsonl", "holding", **GRPO))
    stages = plan(world.context(holding, learning), "inspected")
    [reported] = (examine(stages[-1]).measured or {}).values()
    [own] = [examine(each).measured or {} for each in stages if each.kind == "reward"]

    assert "held-out pairs right" in reported
    assert [reported] == list(own.values())


@pytest.mark.parametrize(
    ("changed", "check", "severity"),
    [
        ({"accuracy": 0.5, "accuracy_interval": [0.3, 0.7]}, "reward model no better than chance", "error"),
        (
            {"lengths": {"pairs": 40, "rewarded": 0.9, "preferred": 0.5, "interval": [0.2, 0.6]}},
            "length taken for quality",
            "warning",
        ),
    ],
)
def test_what_a_bad_reward_model_shows(
    world: World, changed: dict[str, Any], check: str, severity: str
) -> None:
    """Found in the finished stage's own figures."""
    asked: Stage = stage("reward", "pairs.jsonl", **{**HOLDING, "epochs": 1, "learning_rate": 5.1e-3})
    folder = world.produce("bad", pipeline("bad", "base", asked))
    file = folder / "manifest.json"
    manifest = json.loads(file.read_text())
    manifest["metrics"]["held_out"] |= {"accuracy_interval": [0.6, 0.9], "lengths": None, **changed}
    file.write_text(json.dumps(manifest))
    findings = {
        each.check: each for each in examine(world.plan("bad", pipeline("bad", "base", asked))[-1]).findings
    }

    assert severity == findings[check].severity


def test_the_doctor_compares_two_reward_models(world: World) -> None:
    """From different bases, on the pairs that both held out; or it says why there are none."""
    folders = {}
    for name, base in (("from_base", "base"), ("from_sft", "sft")):
        folders[name] = world.produce(name, pipeline(name, base, TOLD))
    left = world.plan("from_base", pipeline("from_base", "base", TOLD))[-1]
    right = world.plan("from_sft", pipeline("from_sft", "sft", TOLD))[-1]
    none = world.plan("reward")[-1]
    [finding] = compare_reward_models(left, right).findings

    found = compare_accuracies(*(reward_quality.read(folder) for folder in folders.values()))
    assert found is not None
    assert f"of {found.pairs} pairs that both held out, from_base ranks {found.left:.0%}" in finding.evidence
    assert ("note", found.pairs) == (finding.severity, metrics_of(folders["from_sft"])["held_out"]["pairs"])
    assert ["reward: nothing is held out yet (`holdout = 0.1` in the stage, and train it)"] == list(
        compare_reward_models(left, none).left_out
    )
    assert "the same data" in compare_reward_models(left, _of_other_pairs(world)).left_out[0]


def _of_other_pairs(world: World) -> PlannedStage:
    """A reward model that held out pairs of other rows."""
    rows = [{"prompt": f"Say {n}.", "chosen": f"{n}", "rejected": "no"} for n in range(24)]
    write_rows(world.root / "others.jsonl", rows)
    asked = pipeline("others", "base", stage("reward", "others.jsonl", epochs=1, holdout=0.25))
    world.produce("others", asked)
    return world.plan("others", asked)[-1]
