"""The projects under `examples` are what this version reads."""

from pathlib import Path

import pytest

import harness

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.mark.official
def test_the_study_has_no_mistake_and_all_seeds() -> None:
    """Its file is read whole, with rows among the official data; each seed repeats the first one."""
    pipelines = harness.open_project(EXAMPLES / "smollm2" / "harness.toml").registry.pipelines

    for name in ("sft", "grpo", "grpo_dpo"):
        for seed in (1, 2):
            again = pipelines[f"{name}_{seed}"]
            assert (seed, pipelines[name].stages) == (again.seed, again.stages)
    assert {"grpo_raw", "dpo", "grpo_dpo_mix", "dpo_grpo", "reward", "toxicity"} <= pipelines.keys()
