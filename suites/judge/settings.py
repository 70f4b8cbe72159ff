"""Settings of judges: the schema of `[judge]` in harness.toml."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from harness.errors import UsageError
from suites.judge.templates import sentence_of, template_named


class JudgeSettings(BaseModel):
    """`[judge]`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    template: str = "pairwise"
    criteria: tuple[str, ...] = ("helpful", "honest", "harmless")
    order: Literal["both", "one"] = "both"
    max_tokens: Annotated[int, Field(ge=1)] = 1024
    """The maximum length of a reply. Thinking models think within it."""

    @field_validator("template")
    @classmethod
    def _is_known(cls, name: str) -> str:
        try:
            return template_named(name).name
        except UsageError as error:
            raise ValueError(str(error)) from error

    @field_validator("criteria")
    @classmethod
    def _say_something(cls, criteria: tuple[str, ...]) -> tuple[str, ...]:
        if not criteria:
            raise ValueError("no criterion is named")
        try:
            for criterion in criteria:
                sentence_of(criterion)
        except UsageError as error:
            raise ValueError(str(error)) from error
        return criteria
