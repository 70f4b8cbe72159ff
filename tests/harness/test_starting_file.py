"""What `harness init` writes, and the toy world's file, against what stages and suites really know."""

import re
from importlib.resources import files
from pathlib import Path

import pytest

from harness.registry import load
from suites.catalogue import OWN, suite_settings
from suites.judge.settings import JudgeSettings
from trainers.stage_settings import STAGE_SETTINGS

STARTING = files("harness.cli").joinpath("starting.toml").read_text(encoding="utf-8")
TOY = files("harness.toyworld").joinpath("harness.toml").read_text(encoding="utf-8")
SETTING = re.compile(r"^#(?=[a-z\[])", re.MULTILINE)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with the files that the starting file speaks of."""
    for name in (
        "chat.jinja",
        "mix.jsonl",
        "perspective.jsonl",
        "questions.jsonl",
        "mine.jsonl",
        "prompts.jsonl",
    ):
        (tmp_path / name).touch()
    return tmp_path


def test_the_starting_file_is_right_as_it_is(tmp_path: Path) -> None:
    """`harness init` and `harness list` work before anything is filled in."""
    file = tmp_path / "harness.toml"
    file.write_text(STARTING, encoding="utf-8")
    registry = load(file, STAGE_SETTINGS, suite_settings(), own_suite=OWN, judge=JudgeSettings)
    assert registry.compare.suites == ("truthfulqa", "ifeval", "realtoxicityprompts")


def test_every_setting_of_the_starting_file_is_known(project: Path) -> None:
    """With every commented setting switched on, the whole file is valid, and holds the reference study with a
    classifier."""
    file = project / "harness.toml"
    file.write_text(SETTING.sub("", STARTING), encoding="utf-8")
    registry = load(file, STAGE_SETTINGS, suite_settings(), own_suite=OWN, judge=JudgeSettings)
    study = {"sft", "reward", "grpo_raw", "dpo", "grpo", "grpo_dpo_mix", "grpo_dpo", "dpo_grpo"}
    assert study | {"toxicity"} == set(registry.pipelines)


def test_the_reference_mixes_have_the_original_sizes(project: Path) -> None:
    """InstructGPT's 13 thousand demonstrations, 33 thousand comparisons and 31 thousand prompts."""
    file = project / "harness.toml"
    file.write_text(SETTING.sub("", STARTING), encoding="utf-8")
    mixes = load(file, STAGE_SETTINGS, suite_settings(), own_suite=OWN).mixes
    sizes = {name: sum(source.count or 0 for source in mix.sources) for name, mix in mixes.items()}
    expected = {"instructgpt_sft": 13_000, "instructgpt_reward": 33_000, "instructgpt_prompts": 31_000}
    assert expected == sizes


@pytest.mark.parametrize("line", [line for line in STARTING.splitlines() if SETTING.match(line)])
def test_a_commented_line_is_a_table_or_a_setting(line: str) -> None:
    """`#` without a space marks what can be switched on, and nothing else."""
    assert re.fullmatch(r"#(\[.+\]|[a-z_]+ = .+)", line)


def test_the_toy_world_is_right(tmp_path: Path) -> None:
    """The embedded project is valid wherever it is used from, and holds the seven pipelines of the study."""
    file = tmp_path / "harness.toml"
    file.write_text(TOY, encoding="utf-8")
    registry = load(file, STAGE_SETTINGS, suite_settings(), own_suite=OWN, judge=JudgeSettings)
    study = {"sft", "grpo_raw", "dpo", "grpo", "grpo_dpo_mix", "grpo_dpo", "dpo_grpo"}
    assert study <= set(registry.pipelines)
