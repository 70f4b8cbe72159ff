"""What is trained stays trained: the names of known stages and mixes, as earlier versions gave them.

A value here changes only where the same inputs would give other weights or rows; then `version` in the table
of stages, or that of mixes, goes up.
"""

from pathlib import Path

import pytest

import harness
from harness.records.models import Mix, MixSource
from tests.trainers.world import World, pipeline, stage, write_rows
from trainers.contamination import PromptTexts
from trainers.mix_cache import cached_mix

TOY = {
    "base": "pretrain-d64d57495ca5",
    "toxicity": "toxicity-645b5c98bd3f",
    "sft": "sft-e2034491d835",
    "reward": "reward-c7cadc096309",
    "grpo_raw": "grpo-33904d34888b",
    "dpo": "dpo-3956bbf37c29",
    "grpo": "grpo-20eae1e7b8c6",
    "grpo_dpo_mix": "dpo-df25bbfadea2",
    "grpo_dpo": "dpo-3850366cd845",
    "dpo_grpo": "grpo-7b8059e91c70",
}


def test_the_toys_stages_keep_their_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An output folder of the embedded project made before is not trained again."""
    monkeypatch.chdir(tmp_path)
    project = harness.open_project()

    assert TOY == {name: project.plan(name)[-1].folder.name for name in project.registry.pipelines}


def test_a_stage_that_selects_keeps_its_name(tmp_path: Path) -> None:
    """What a choice depends on, an adapter and several rewards are parts of the identity too."""
    reward = "trainers.toy_rewards:follow"
    chosen = stage(
        "rloo",
        "toy:grpo",
        select={"by": "reward", "reward": reward, "prompts": "toy:grpo", "suite": "toy-ifeval"},
        adapter={"rank": 4},
        learning_rate=1e-6,
        rewards=[{"name": reward}, {"name": "reward", "weight": 0.5}],
        vllm={"mode": "server", "url": "http://localhost:8000"},
    )
    planned = World(tmp_path).plan("chosen", pipeline("chosen", "sft", chosen))

    assert "rloo-532acb9cee01" == planned[-1].folder.name


def test_a_mix_keeps_its_name(tmp_path: Path) -> None:
    """A mix that is kept is not made again, and holds the same rows in the same order."""
    prompts = [f"Say {number} in words." for number in range(20)]
    write_rows(tmp_path / "rows.jsonl", [{"prompt": each, "completion": each.upper()} for each in prompts])
    mix = Mix(name="m", rows="demonstrations", sources=(MixSource(data="rows.jsonl", count=10),))
    asked = PromptTexts(by_suite={"suite": [prompts[3]]})
    kept = cached_mix(mix, folders=[tmp_path], output=tmp_path, known={"suite": "1"}, prompts=lambda: asked)

    assert ("m-e44b5ca67535", "74401b4ebf5f") == (kept.folder.name, kept.hash[:12])
