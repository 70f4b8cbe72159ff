"""How lighteval asked, as far as its results say it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.imported.fields import as_number, as_object
from harness.records.models import Json

NOT_KNOWN = "not known"
ELSEWHERE = frozenset(("max_new_tokens", "stop_tokens", "num_blocks", "block_size", "cache_implementation"))
"""Parameters of generation that change no answer, or that are read under another name."""
OF_DRAWS = frozenset(("temperature", "top_p", "top_k", "min_p", "seed"))
"""Those that change nothing where the likeliest tokens are taken, at temperature 0."""
OF_THE_MODEL = ("revision", "subfolder", "tokenizer", "provider")
"""What is kept of a model's configuration, which may hold secrets, such as a service's key."""


@dataclass(frozen=True, slots=True)
class LightevalConditions:
    """What the results say of one task: the model's configuration and the task's."""

    task: str
    model: Mapping[str, Any]
    config: Mapping[str, Any]

    @property
    def definition(self) -> str:
        """The task's name without its number of examples."""
        return definition_of(self.task)

    @property
    def shots(self) -> Json:
        """The number of examples, which is a part of the task's name."""
        said = self.task.rpartition("|")[2]
        return int(said) if said.isdecimal() else self.config.get("num_fewshots", 0)

    @property
    def template(self) -> bool | None:
        """Whether a chat template was applied; None: where the tokenizer has one, which nobody says."""
        said = self.model.get("override_chat_template")
        return said if isinstance(said, bool) else None

    @property
    def parameters(self) -> dict[str, Json]:
        """How texts were written, besides their length."""
        given = as_object(self.model.get("generation_parameters"))
        stop = [*(given.get("stop_tokens") or ()), *(self.config.get("stop_sequence") or ())]
        found = {key: value for key, value in given.items() if value is not None and key not in ELSEWHERE}
        return {**found, **({"stop": stop} if stop else {})}

    @property
    def max_tokens(self) -> int | None:
        """The most tokens of a text: the model's, or else the task's."""
        given = as_object(self.model.get("generation_parameters"))
        said = given.get("max_new_tokens") or self.config.get("generation_size")
        return said if isinstance(said, int) and said > 0 else None

    @property
    def seed(self) -> int:
        """That of drawn answers."""
        return int(as_number(self.parameters.get("seed")) or 0)

    def settings(self, *, writes: bool) -> dict[str, Json]:
        """What must be the same for two runs; `writes`: there are texts."""
        return {
            "chat_template": NOT_KNOWN if self.template is None else self.template,
            "num_fewshot": self.shots,
            **{
                key: self.config.get(key)
                for key in ("prompt_function", "few_shots_split", "few_shots_select")
            },
            "generation": {**self.parameters, "max_tokens": self.max_tokens} if writes else None,
        }

    def asked_otherwise(self, *, writes: bool) -> dict[str, Json]:
        """What was not as a suite of ours asks."""
        greedy = self.parameters.get("temperature", 0) == 0
        sampling = {key: value for key, value in self.parameters.items() if not (greedy and key in OF_DRAWS)}
        if self.max_tokens is None:
            sampling["max_tokens"] = NOT_KNOWN
        return {
            **({"chat_template": NOT_KNOWN} if self.template is None else {}),
            **({"sampling": sampling} if writes else {}),
        }

    @property
    def described(self) -> dict[str, Json]:
        """What the results say of the model."""
        system = self.model.get("system_prompt")
        return {
            **({"system": system} if isinstance(system, str) else {}),
            "dtype": str(self.model.get("dtype") or "unknown").removeprefix("torch."),
            "model_args": {key: str(self.model[key]) for key in OF_THE_MODEL if self.model.get(key)},
        }


def definition_of(task: str) -> str:
    """A task's name without its number of examples."""
    return task.rpartition("|")[0] or task
