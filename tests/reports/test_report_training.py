"""The page on how candidates came to be: every stage once, its lineage, its curves, its answers as text."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.store import KeptStage, Store
from reports.curves import curve
from reports.html import render_training
from reports.lineage import graph, sentences
from reports.training import Curve, trained_stages

HOSTILE = "<script>alert(1)</script> </td> \u202e \x1b[2J"


def kept(pipeline: str, name: str, position: int, parent: str | None, **more: Any) -> KeptStage:
    """A stage as the store has it. `name` is `PIPELINE-KIND`."""
    defined, _, kind = name.partition("-")
    manifest = {
        "pipeline": defined,
        "parent": parent,
        "rewards": more.get("rewards", []),
        "data": [{"source": "rows.jsonl", "rows": 1234}],
        "inputs": {
            "settings": {"epochs": 2, "micro_batch": None, **more.get("settings", {})},
            "seed": 7,
        },
        "metrics": {"steps": 20, **more.get("metrics", {})},
        "seconds": 3.5,
        "history": more.get("history", []),
        "completions": more.get("completions", []),
        "selection": more.get("selection", []),
    }
    return KeptStage(
        pipeline=pipeline,
        identity=f"id-{name}",
        position=position,
        kind=kind,
        folder=f"/somewhere/stages/{name}",
        manifest=manifest,
        started="2026-01-01",
        finished="2026-01-01",
    )


@pytest.fixture
def store() -> Iterator[Store]:
    """Two candidates that share `sft`; one of them learns from a reward model."""
    with Store.open("sqlite://") as opened:
        history = [{"step": 10, "loss": 2.0, "kl": 0.0}, {"step": 20, "loss": 1.0, "kl": 0.5}]
        written = {"step": 0, "prompt": [{"role": "user", "content": HOSTILE}], "completion": HOSTILE}
        reward = [{"reward": "reward", "weight": 1.0, "identity": "id-reward-reward"}]
        completions = [{**written, "rewards": {"case": 0.25, "none": None}}]
        for stage in (
            kept("sft", "sft-sft", 0, None, history=history),
            kept("grpo", "sft-sft", 0, None, history=history),
            kept("grpo", "reward-reward", 1, "sft-sft"),
            kept("grpo", "grpo-grpo", 2, "sft-sft", rewards=reward, completions=completions),
        ):
            opened.stages.keep(stage)
        yield opened


def test_a_shared_stage_stands_once(store: Store) -> None:
    """In the order of training, with the candidates that it ends and what it came from."""
    stages = trained_stages(store, ["sft", "grpo", "elsewhere"])

    assert ["sft · sft", "reward · reward", "grpo · grpo"] == [stage.name for stage in stages]
    assert [("sft",), (), ("grpo",)] == [stage.candidates for stage in stages]
    assert [None, "id-sft-sft", "id-sft-sft"] == [stage.parent for stage in stages]
    assert [(), (), ("id-reward-reward",)] == [stage.rewards for stage in stages]


def test_a_stage_trained_anew_replaces_the_earlier_one(store: Store) -> None:
    """A pipeline's candidate is the one that was kept last, not all that ever were."""
    again = kept("sft", "sft-sft", 0, None)
    store.stages.keep(KeptStage(**{**_fields(again), "identity": "id-later", "finished": "2026-02-01"}))

    assert ["id-later"] == [stage.identity for stage in trained_stages(store, ["sft"])]


def test_a_pipeline_is_shown_as_it_was_named_last(store: Store) -> None:
    """Changed and changed back, nothing is trained again; and a stage that was taken out is gone."""
    for identity, position, finished, named in [
        ("first", 0, "2026-01-01", "3"),
        ("second", 0, "2026-01-02", "2"),
        ("taken out", 1, "2026-01-02", "2"),
    ]:
        made = _fields(kept("p", "p-sft", position, None))
        manifest = {**made["manifest"], "named": named}
        fields = {"identity": identity, "finished": finished, "manifest": manifest}
        store.stages.keep(KeptStage(**{**made, **fields}))

    assert ["first"] == [stage.identity for stage in trained_stages(store, ["p"])]


def test_curves_are_what_was_logged(store: Store) -> None:
    """Step by step, and nothing for what was logged once or never."""
    stage = trained_stages(store, ["sft"])[0]

    assert {"loss": ((10, 2.0), (20, 1.0)), "kl": ((10, 0.0), (20, 0.5))} == {
        each.name: each.points for each in stage.curves
    }
    assert {
        "data": "rows.jsonl (1,234 rows)",
        "settings": "epochs = 2",
        "steps": "20",
    }.items() <= stage.facts.items()


def test_the_choice_of_a_checkpoint_is_told() -> None:
    """Which it was and by what, a curve for every measure, and the warning in the page."""
    selection = [
        {"step": 10, "reward": 0.5, "suite": 0.4, "suite_metric": "ifeval strict"},
        {"step": 20, "reward": 0.9, "suite": 0.1, "suite_metric": "ifeval strict"},
    ]
    selected = {"by": "ifeval strict", "step": 10, "last": 20, "checkpoints": 2, "over_optimised": ["<up>"]}
    with Store.open("sqlite://") as opened:
        opened.stages.keep(
            kept(
                "sft",
                "sft-sft",
                0,
                None,
                settings={"select": {"by": "suite", "suite": "ifeval", "reward": None}},
                selection=selection,
                metrics={"selected": selected},
            )
        )
        stages = trained_stages(opened, ["sft"])

    assert "step 10 of 20, best of 2 by ifeval strict" == stages[0].facts["checkpoint"]
    assert 'epochs = 2, select = { by = "suite", suite = "ifeval" }' == stages[0].facts["settings"]
    assert {"select reward": ((10, 0.5), (20, 0.9)), "select suite": ((10, 0.4), (20, 0.1))} == {
        each.name: each.points for each in stages[0].curves
    }
    assert "checkpoints: ifeval strict on the samples that select" == stages[0].curves[1].meaning
    assert "Over-optimised? &lt;up&gt;." in render_training(stages, created="2026-01-01", label=None)


def test_what_moved_is_told() -> None:
    """A line for every stage in which it was measured, and a warning for one that did nothing."""
    moved = {"weights": 1e-6, "tensors": 9, "tensors_left_out": 0, "kl": 9e-8, "margin": None, "seconds": 1.0}
    metrics = {
        "sft-sft": {
            "moved": {**moved, "prompts": 32, "answers_changed": 14, "others": 16, "others_changed": 14}
        },
        "grpo-grpo": {
            "moved": {**moved, "prompts": 32, "answers_changed": 1},
            "steps_without_signal": 15,
        },
    }
    with Store.open("sqlite://") as opened:
        for position, (name, measured) in enumerate(metrics.items()):
            opened.stages.keep(kept("grpo", name, position, None, metrics=measured))
        sft, grpo = trained_stages(opened, ["grpo"])
        page = render_training([sft, grpo], created="2026-01-01", label=None)

    assert sft.facts["moved"] == (
        "14 of 32 greedy answers changed (14 of 16 to prompts of others); "
        "weights changed by 0.0001 %; KL 9e-08"
    )
    assert ("20", "20, 15 without signal") == (sft.facts["steps"], grpo.facts["steps"])
    nothing = "his stage moved almost nothing: 1 of 32 greedy answers changed; weights changed by 0.0001 %"
    assert () == sft.warnings
    assert (f"t{nothing}; KL 9e-08", "rewards gave no signal in 15 of 20 steps") == grpo.warnings
    assert f"T{nothing}; KL 9e-08." in page
    assert "Rewards gave no signal in 15 of 20 steps." in page


def test_held_out_pairs_are_told() -> None:
    """Accuracy, calibration and length bias of a reward model, in words."""
    held_out = {
        "pairs": 40,
        "accuracy": 0.75,
        "accuracy_interval": [0.6, 0.86],
        "calibration_error": 0.125,
        "calibration": [{"low": 0.5, "high": 0.6, "pairs": 40, "said": 0.55, "was": 0.75}],
        "lengths": {"pairs": 30, "rewarded": 0.8, "preferred": 0.5, "interval": [0.1, 0.5]},
    }
    with Store.open("sqlite://") as opened:
        opened.stages.keep(kept("reward", "reward-reward", 0, None, metrics={"held_out": held_out}))
        facts = trained_stages(opened, ["reward"])[0].facts

    assert "75% [60%, 86%] of 40 pairs" == facts["held-out accuracy"]
    assert "expected error 0.12; 0.5–0.6: said 0.55, was 0.75 (40)" == facts["calibration"]
    assert (
        "given more in 80% and better in 50% of 30 pairs (difference [+10%, +50%])" == facts["longer answers"]
    )


def test_nothing_is_told_of_models_that_were_not_trained_here(store: Store) -> None:
    """A model from a folder has no stages."""
    assert () == trained_stages(store, ["elsewhere"])


def test_a_curve_lies_within_its_axes_and_is_told_in_words() -> None:
    """Falling values fall on the page, where y grows downwards."""
    drawn = curve(Curve(name="loss", meaning="loss", points=((10, 2.0), (15, 1.0), (20, 0.0))), "c")
    [points] = re.findall(r'polyline class="curve" points="([^"]+)"', drawn)
    places = [tuple(map(float, point.split(","))) for point in points.split()]

    assert sorted(places) == places
    assert [y for _, y in places] == sorted(y for _, y in places)
    assert all(0 <= x <= 300 and 0 <= y <= 130 for x, y in places)
    assert "from 2 at step 10 to 0 at step 20" in drawn


@pytest.mark.parametrize("value", [0.0, 1.0, -3.5, 1e-12, 1e9])
def test_a_flat_curve_is_drawn(value: float) -> None:
    """A loss that does not move is no division by zero."""
    assert "polyline" in curve(Curve(name="loss", meaning="loss", points=((1, value), (2, value))), "c")


def test_the_graph_leads_from_each_stage_to_what_needs_it(store: Store) -> None:
    """Two solid lines from sft, a dashed one from the reward model; the same in words."""
    stages = trained_stages(store, ["sft", "grpo"])
    drawn = graph(stages)

    lanes = 1  # of the line from sft to grpo, past the reward model
    assert (3 + lanes, 1) == (drawn.count('class="edge"'), drawn.count('class="edge reward"'))
    assert 2 == drawn.count("box candidate")
    assert (
        "grpo · grpo starts from sft · sft, rewarded by reward · reward, and is grpo" == sentences(stages)[-1]
    )


def test_answers_are_shown_as_text(store: Store) -> None:
    """Markup in an answer or a name is text, unseen characters are shown, and no script may run."""
    page = render_training(
        trained_stages(store, ["grpo"]), created="2026-01-01T00:00:00+00:00", label=HOSTILE
    )

    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "⟨U+202E⟩" in page
    assert "\x1b" not in page
    assert "script-src &#39;none&#39;" in page
    assert "case 0.25, none –" in page


def test_an_old_store_without_histories_still_gives_a_page(tmp_path: Path) -> None:
    """Stages that were kept before anything was logged have no curves, and no pipeline of their own."""
    with Store.open("sqlite://") as old:
        stage = kept("sft", "sft-sft", 0, None)
        manifest = {
            k: v for k, v in stage.manifest.items() if k not in ("history", "completions", "pipeline")
        }
        old.stages.keep(KeptStage(**{**_fields(stage), "manifest": manifest}))
        stages = trained_stages(old, ["sft"])

    assert ["sft · sft"] == [stage.name for stage in stages]
    assert "Nothing was logged often enough" in render_training(stages, created="2026-01-01", label=None)


def _fields(stage: KeptStage) -> dict[str, Any]:
    return {name: getattr(stage, name) for name in KeptStage.__slots__}
