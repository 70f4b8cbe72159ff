"""What stages can be set to, and that a plan stays light."""

import json
import subprocess
import sys
from typing import Any

import pytest
from pydantic import ValidationError

from trainers.stage_settings import STAGE_SETTINGS, Grpo, Sft
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
        ("sft", {"epochs": 2, "steps": 40}, "`steps` and `epochs` both say how long"),
        ("grpo", {"save_every": 50, "checkpoint_steps": 20}, "`save_every` and `checkpoint_steps` both say"),
        ("sft", {"save_every": "10 minutes"}, 'a number of steps .50. or a time .*, got "10 minutes"'),
        ("sft", {"save_every": "0 s"}, 'a time .*, got "0 s"'),
        ("sft", {"save_every": 0}, "a time .*, got 0"),
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


@pytest.mark.parametrize(
    ("kind", "whole", "adapted"),
    [
        ("sft", 2e-5, 2e-4),
        ("reward", 1e-5, 1e-4),
        ("dpo", 5e-7, 5e-6),
        ("grpo", 1e-6, 1e-5),
        ("rloo", 1e-6, 1e-5),
    ],
)
def test_an_adapter_has_a_learning_rate_of_its_own(kind: str, whole: float, adapted: float) -> None:
    """Ten times that of the whole model, unless a rate is given; plan and identity see the number."""
    settings = STAGE_SETTINGS[kind]
    with_adapter = settings.model_validate_json('{"adapter": {"targets": ["q_proj"]}}', strict=True)
    given = settings.model_validate({"adapter": {}, "learning_rate": whole})

    assert (whole, adapted, whole) == (
        settings().learning_rate,
        with_adapter.learning_rate,
        given.learning_rate,
    )
    assert adapted == with_adapter.identifying()["learning_rate"]
    assert with_adapter == settings.model_validate(with_adapter.model_dump(mode="json"))


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


def test_steps_stand_for_epochs() -> None:
    """Either says how long a stage is trained; whole epochs are the same stage however they are written."""
    counted = Sft.model_validate({"steps": 40})

    assert (40, None) == (counted.steps, counted.epochs)
    assert counted == Sft.model_validate(counted.model_dump(mode="json"))
    assert {"steps"} == counted.identifying().keys() - Sft().identifying().keys()
    assert json.dumps(Sft().identifying()) == json.dumps(Sft.model_validate({"epochs": 3.0}).identifying())


@pytest.mark.parametrize(
    ("settings", "rows", "steps", "epochs", "checkpoints"),
    [
        ({"epochs": 3}, 40, 9, 3, 3),
        ({"epochs": 0.5}, 40, 2, 0.5, 1),
        ({"epochs": 1.5}, 40, 5, 1.5, 2),
        ({"steps": 6}, 40, 6, 2, 2),
        ({"steps": 5, "save_every": 2}, 400, 5, 0.2, 3),
        ({"epochs": 2, "save_every": 2}, 40, 6, 2, 4),
    ],
)
def test_what_a_length_comes_to(
    settings: dict[str, Any], rows: int, steps: int, epochs: float, checkpoints: int
) -> None:
    """In batches of 16, the last of an epoch being what is left."""
    asked = Sft.model_validate(settings)

    assert (steps, epochs) == (asked.steps_over(rows), asked.epochs_over(rows))
    assert checkpoints == asked.checkpoints_over(rows)


@pytest.mark.parametrize(("kind", "kept"), [("sft", None), ("grpo", 20)])
def test_when_a_stage_is_saved_and_logged_is_no_part_of_it(kind: str, kept: int | None) -> None:
    """Nor is it trained again where that changes; by default it is saved at least every ten minutes."""
    usual = STAGE_SETTINGS[kind]()
    other = STAGE_SETTINGS[kind].model_validate({"save_every": "30 s", "logging_steps": 3})

    assert (600.0, kept) == (usual.save_seconds, usual.keep_every)
    assert (30.0, kept) == (other.save_seconds, other.keep_every)
    assert usual.identifying() == other.identifying()


def test_steps_between_checkpoints_count_where_one_is_selected() -> None:
    """Since the candidate can be one of them; a checkpoint that time asked for cannot be selected."""
    select = {"by": "loss", "holdout": 0.1}
    identities = [
        Sft.model_validate(settings).identifying()
        for settings in (
            {"save_every": 50},
            {},
            {"save_every": 50, "select": select},
            {"select": select},
            {"save_every": "1 h", "select": select},
        )
    ]
    assert identities[0] == identities[1]
    assert identities[2] != identities[3] == identities[4]


def test_steps_between_checkpoints_have_one_name_in_a_stage_that_samples() -> None:
    """`save_every = 50` is `checkpoint_steps = 50`, which has always been a part of what the stage is."""
    assert (None, 50) == ((asked := Grpo.model_validate({"save_every": 50})).save_seconds, asked.keep_every)
    assert Grpo.model_validate({"checkpoint_steps": 50}).identifying() == asked.identifying()


def test_a_plan_imports_no_model_library() -> None:
    """A second comparison must be quick; everything heavy waits until something is trained."""
    script = (
        "import sys, trainers.pipeline, trainers.data, trainers.stages, trainers.settings;"
        "print(sorted({'torch','transformers','trl','datasets','pandas','numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "[]" == done.stdout.strip()
