"""Settings under TRL's own names: the stage is the same as under ours, or it is said what to use instead."""

import dataclasses
from math import ceil
from pathlib import Path
from typing import Any

import pytest
from trl.scripts.utils import ScriptArguments
from trl.trainer.dpo_config import DPOConfig
from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.model_config import ModelConfig
from trl.trainer.reward_config import RewardConfig
from trl.trainer.rloo_config import RLOOConfig
from trl.trainer.sft_config import SFTConfig

from harness.errors import ConfigError
from harness.registry import load
from suites.catalogue import suite_settings
from trainers.settings import Training
from trainers.stage_settings import STAGE_SETTINGS
from trainers.trl_names import CONVERSIONS, ELSEWHERE, RENAMED, in_our_names

CONFIGURATIONS = (SFTConfig, RewardConfig, DPOConfig, GRPOConfig, RLOOConfig, ModelConfig, ScriptArguments)
OLD = {
    "warmup_ratio",
    "max_prompt_length",
    "max_seq_length",
    "overwrite_output_dir",
    "evaluation_strategy",
    "no_cuda",
    "torch_dtype",
    "dataset_text_field",
}
"""Names that scripts for earlier versions have."""


def settings(folder: Path, kind: str, written: str) -> Training:
    """The settings of a stage, from a file that has them so."""
    (folder / "harness.toml").write_text(
        f'[models.m]\npath = "m"\n[pipelines.p]\nbase = "m"\n[[pipelines.p.stages]]\nkind = "{kind}"\n'
        f'data = "hub/rows"\n{"reward = " + chr(34) + "m" + chr(34) if kind == "grpo" else ""}\n{written}\n'
    )
    registry = load(folder / "harness.toml", STAGE_SETTINGS, suite_settings(), rename=in_our_names)
    return STAGE_SETTINGS[kind].model_validate(registry.pipelines["p"].stages[0].settings)


@pytest.mark.parametrize(
    ("kind", "theirs", "ours"),
    [
        ("sft", "num_train_epochs = 2.0", "epochs = 2"),
        ("sft", "num_train_epochs = 0.5", "epochs = 0.5"),
        ("sft", "max_steps = 40", "steps = 40"),
        ("sft", "max_steps = -1\nnum_train_epochs = 2", "epochs = 2"),
        ("grpo", "max_steps = 40", "steps = 40"),
        ("sft", "save_steps = 50", "save_every = 50"),
        ("grpo", "save_steps = 50", "checkpoint_steps = 50"),
        ("sft", "per_device_train_batch_size = 8", "batch_size = 8"),
        (
            "dpo",
            "per_device_train_batch_size = 4\ngradient_accumulation_steps = 8",
            "batch_size = 32\nmicro_batch = 4",
        ),
        (
            "grpo",
            "per_device_train_batch_size = 8\ngradient_accumulation_steps = 4\nnum_generations = 4",
            "prompts_per_step = 8\ngenerations = 4\nmicro_batch = 8",
        ),
        ("grpo", "per_device_train_batch_size = 32", "prompts_per_step = 4"),
        ("grpo", "max_completion_length = 64", "max_new_tokens = 64"),
        ("sft", 'lr_scheduler_type = "linear"', 'schedule = "linear"'),
        ("sft", 'lr_scheduler_type = "constant_with_warmup"', 'schedule = "constant"'),
        ("sft", 'lr_scheduler_type = "constant"\nwarmup_steps = 0', 'schedule = "constant"\nwarmup = 0'),
        ("sft", "warmup_ratio = 0.1", "warmup = 0.1"),
        ("sft", "warmup_steps = 0.1", "warmup = 0.1"),
        ("sft", "max_steps = 100\nwarmup_steps = 10", "steps = 100\nwarmup = 0.1"),
        ("grpo", "warmup_steps = 10", "warmup = 0.05"),
        ("dpo", 'loss_type = "ipo"', 'loss = ["ipo"]'),
        ("dpo", 'loss_type = ["sigmoid", "sft"]', 'loss = ["sigmoid", "sft"]'),
        ("sft", 'report_to = "tensorboard"', 'report_to = ["tensorboard"]'),
        ("sft", 'report_to = "none"', ""),
        ("sft", "logging_steps = 5\nlearning_rate = 1e-4\nweight_decay = 0.1\nmax_length = 512", None),
    ],
)
def test_another_name_for_the_same_is_the_same_stage(
    tmp_path: Path, kind: str, theirs: str, ours: str | None
) -> None:
    """Under either name; None: they have one name for it."""
    assert settings(tmp_path, kind, theirs) == settings(tmp_path, kind, theirs if ours is None else ours)


@pytest.mark.parametrize("steps", [3, 7, 10, 49, 100, 120, 333, 1000])
def test_warm_up_steps_are_as_many(steps: int) -> None:
    """The trainer rounds a share of the steps up, and must come to the number that was given."""
    for warmup in range(steps):
        share = in_our_names("sft", {"steps": steps, "warmup_steps": warmup}).settings["warmup"]
        assert isinstance(share, float)
        assert warmup == ceil(steps * share)


@pytest.mark.parametrize(
    ("kind", "written", "message"),
    [
        (
            "sft",
            "num_train_epochs = 2\nepochs = 3",
            "num_train_epochs: stands beside `epochs`, and both set `epochs`",
        ),
        ("sft", "num_train_epochs = 2\nmax_steps = 40", "`steps` and `epochs` both say how long to train"),
        ("sft", 'num_train_epochs = "two"', 'stages[0].num_train_epochs: expected a number, got "two"'),
        (
            "sft",
            "per_device_train_batch_size = 0",
            "per_device_train_batch_size: expected more than 0, got 0",
        ),
        ("sft", "per_device_train_batch_size = 2.5", "per_device_train_batch_size: expected a whole number"),
        ("sft", "gradient_accumulation_steps = 4", "needs `per_device_train_batch_size` beside it"),
        ("sft", "save_steps = 0.1", "save_steps: expected a whole number, got 0.1"),
        ("sft", "save_steps = 50\nsave_every = 20", "save_steps: stands beside `save_every`"),
        ("grpo", "num_train_epochs = 1", "num_train_epochs: this stage counts `steps`"),
        (
            "grpo",
            "per_device_train_batch_size = 8",
            "8 answers of a step, with `gradient_accumulation_steps`, are 1",
        ),
        ("grpo", "per_device_train_batch_size = 20", "are 2.5 prompts with 8 answers each"),
        ("sft", 'lr_scheduler_type = "polynomial"', "lr_scheduler_type: there is no choice"),
        (
            "sft",
            'lr_scheduler_type = "constant"\nwarmup_ratio = 0.1',
            "`lr_scheduler_type`, and both set `warmup`",
        ),
        ("sft", "warmup_steps = 10", "the number of steps is not known beforehand"),
        ("sft", "warmup_steps = 10\nsteps = 10", "the rate rises in 10 of 10 steps"),
        ("grpo", 'loss_type = "dapo"', "loss_type: cannot be set: TRL's default is used"),
        ("sft", "bf16 = true", "bf16: follows from the machine"),
        ("sft", "seed = 1", "seed: a pipeline has a `seed`"),
        ("sft", 'eval_strategy = "steps"', 'eval_strategy: `select = { by = "loss", holdout = 0.1 }`'),
        ("sft", "num_generations = 4", "num_generations: unknown key"),
        ("sft", "max_stepps = 4", "max_stepps: unknown key"),
    ],
)
def test_what_has_no_counterpart_says_what_to_use(
    tmp_path: Path, kind: str, written: str, message: str
) -> None:
    """Under the name that stands in the file."""
    with pytest.raises(ConfigError) as raised:
        settings(tmp_path, kind, written)
    assert message in str(raised.value)


def test_every_mistake_is_reported_at_once(tmp_path: Path) -> None:
    """As for names of ours."""
    with pytest.raises(ConfigError) as raised:
        settings(tmp_path, "sft", "bf16 = true\nlora_r = 8\nlearning_rate = 0")
    assert 3 == len(str(raised.value).splitlines())


def test_names_are_trls() -> None:
    """A name that TRL no longer has is listed as an old one, and none is one of ours in every kind."""
    known: set[str] = set()
    for configuration in CONFIGURATIONS:
        known |= {field.name for field in dataclasses.fields(configuration)}
    ours: dict[str, Any] = {kind: set(schema.model_fields) for kind, schema in STAGE_SETTINGS.items()}
    theirs = {*CONVERSIONS, *RENAMED, *ELSEWHERE}

    assert theirs - known <= OLD
    assert not theirs & set.union(*ours.values())
    assert all(set(RENAMED.values()) & names for names in ours.values())
