"""What stages can be set to, and that a plan stays light."""

import subprocess
import sys
from typing import Any

import pytest
from pydantic import ValidationError

from trainers.settings import STAGE_SETTINGS, Grpo
from trainers.stages import STAGES, stage_kind


def test_every_kind_has_settings_and_a_row_in_the_table() -> None:
    """The two tables name the same kinds."""
    assert list(STAGES) == list(STAGE_SETTINGS)


def test_an_unknown_kind_proposes_the_nearest() -> None:
    """As every unknown name does."""
    with pytest.raises(Exception, match="did you mean 'grpo'"):
        stage_kind("grop")


@pytest.mark.parametrize("kind", list(STAGE_SETTINGS))
def test_unknown_keys_are_refused_and_defaults_are_valid(kind: str) -> None:
    """A misspelt setting would silently be a default."""
    assert STAGE_SETTINGS[kind]()
    with pytest.raises(ValidationError, match="Extra inputs"):
        STAGE_SETTINGS[kind].model_validate({"epoch": 3})


@pytest.mark.parametrize(
    ("kind", "wrong", "message"),
    [
        ("sft", {"batch_size": 16, "micro_batch": 3}, "micro_batch must divide"),
        ("grpo", {"prompts_per_step": 4, "generations": 4, "micro_batch": 3}, "the 16 rows of a step"),
        ("grpo", {"prompts_per_step": 1}, "greater than or equal to 2"),
        ("pretrain", {"width": 60, "heads": 4}, "even multiple of heads"),
        ("dpo", {"loss": ["sigmoid", "sft"], "loss_weights": [1.0]}, "one weight per loss"),
        ("dpo", {"on_policy": 1}, "at least 2 answers"),
        ("sft", {"learning_rate": 0}, "greater than 0"),
        ("grpo", {"vllm": {"mode": "server"}}, "needs the server's `url`"),
        ("grpo", {"vllm": {"mode": "server", "url": "http://a", "memory": 0.5}}, "are the server.s own"),
        ("rloo", {"vllm": {"mode": "colocate", "url": "http://a"}}, 'for mode = "server"'),
        ("rloo", {"vllm": {"mode": "serve"}}, "'server' or 'colocate'"),
    ],
)
def test_settings_that_cannot_work_are_refused(kind: str, wrong: dict[str, Any], message: str) -> None:
    """At load, not after an hour of training."""
    with pytest.raises(ValidationError, match=message):
        STAGE_SETTINGS[kind].model_validate(wrong)


def test_known_mistakes_are_not_the_default() -> None:
    """The KL penalty is on, several prompts are in a step, and the chat template is applied."""
    settings = Grpo()
    assert settings.beta > 0
    assert settings.prompts_per_step > 1
    assert settings.chat_template


def test_what_came_later_changes_no_stage_that_has_none() -> None:
    """A stage that was trained before vLLM could be asked for is still the same stage."""
    assert "vllm" not in Grpo().identifying()


def test_where_vllm_runs_is_no_part_of_a_stage() -> None:
    """Another server or more memory trains nothing anew; vLLM instead of the policy's own answers does."""

    def identifying(**asked: Any) -> object:
        return Grpo.model_validate({"vllm": asked}).identifying()["vllm"]

    here, there = (identifying(mode="server", url=url) for url in ("http://a", "http://b"))
    assert here == there
    assert identifying(mode="colocate") == identifying(mode="colocate", memory=0.5) != here


def test_a_plan_imports_no_model_library() -> None:
    """A second comparison must be quick; everything heavy waits until something is trained."""
    script = (
        "import sys, trainers.pipeline, trainers.data, trainers.stages, trainers.settings;"
        "print(sorted({'torch','transformers','trl','datasets','pandas','numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "[]" == done.stdout.strip()
