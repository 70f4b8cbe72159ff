"""What each section of harness.toml may hold."""

import re
from dataclasses import fields
from typing import Annotated, Literal, Self
from urllib.parse import parse_qsl, urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, model_validator

from harness.records.models import RequestLimits

LARGEST_SEED = 2**32 - 1
"""NumPy, which training draws with, takes none above it."""
_KEY_BEGINNINGS = ("sk-", "AIza", "hf_", "gsk_", "xai-")
"""How keys of well-known services begin."""
_KEY_NAMES = re.compile(
    r"(key|token|secret|password|passwd|signature|credentials?|authorization|\b(sig|code|auth))$",
    re.IGNORECASE,
)
"""How the names of an address's parameters end that hold a key: `key`, `api_key`, `access-token`, …"""
_LONG = 20
"""Characters from which on letters and digits in one piece are taken for a key."""

_TEMPLATE_PARAMETERS = frozenset(
    {
        "conversation",
        "messages",
        "chat_template",
        "add_generation_prompt",
        "continue_final_message",
        "tokenize",
        "padding",
        "truncation",
        "max_length",
        "return_tensors",
        "return_dict",
        "return_assistant_tokens_mask",
        "tokenizer_kwargs",
        "strftime_now",
    }
)
"""What the call that applies a chat template is given already, which no argument of the template replaces."""


def _variable(name: str) -> str:
    # The message does not repeat the value: it may be a secret.
    if name.startswith(_KEY_BEGINNINGS) or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise ValueError(
            "this is no name of an environment variable; put the key itself into a variable "
            "and name that variable here, never the key"
        )
    return name


def _web_address(url: str) -> str:
    parts = urlsplit(url)
    if parts.username or parts.password:  # the message does not repeat them
        raise ValueError("no name or password in an address; put a key into a variable, named by `key_env`")
    if any(_may_be_a_key(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True)):
        raise ValueError("no key in an address; put it into a variable, named by `key_env`")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f'expected an address such as "http://localhost:8000/v1", got "{url}"')
    return url


def _may_be_a_key(name: str, value: str) -> bool:
    """Whether a parameter of an address looks like a secret; `api-version=2024-10-21` does not."""
    pieces = re.findall(rf"[A-Za-z0-9_]{{{_LONG},}}", value)
    mixed = any(re.search("[A-Za-z]", piece) and re.search("[0-9]", piece) for piece in pieces)
    return bool(_KEY_NAMES.search(name)) or value.startswith(_KEY_BEGINNINGS) or mixed


def _database(url: str) -> str:
    if not re.match(r"[a-z][a-z0-9+_]*://", url):
        raise ValueError(f'expected a database URL such as "sqlite:///harness.db", got "{url}"')
    return url


def _says_something(text: str) -> str:
    if not text.strip():
        raise ValueError("is empty; leave it out for no system prompt")
    return text


def _free_arguments(arguments: dict[str, JsonValue]) -> dict[str, JsonValue]:
    taken = sorted(_TEMPLATE_PARAMETERS & arguments.keys())
    if taken:
        raise ValueError(f"`{taken[0]}` is no argument of a template: harness sets it")
    return arguments


def _pair_of_tags(tags: tuple[str, ...]) -> tuple[str, ...]:
    if len(tags) != 2 or not all(tag.strip() for tag in tags) or tags[0] == tags[1]:
        raise ValueError('expected an opening and a closing tag, such as ["<think>", "</think>"]')
    return tags


Variable = Annotated[str, AfterValidator(_variable)]
NumberFormat = Literal["auto", "float32", "bfloat16", "float16"]
Address = Annotated[str, AfterValidator(_web_address)]


class StrictSection(BaseModel):
    """A table in which an unknown key is a mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class ProjectSection(StrictSection):
    """`[project]`."""

    store: Annotated[str, AfterValidator(_database)] = "sqlite:///harness.db"
    output: str = "candidates"
    reports: str = "reports"
    seed: Annotated[int, Field(ge=0, le=LARGEST_SEED)] = 0
    label: str | None = None


class AskedSection(StrictSection):
    """How any model can be asked."""

    system: Annotated[str, AfterValidator(_says_something)] | None = None
    thinking: bool | None = None
    template_arguments: Annotated[dict[str, JsonValue], AfterValidator(_free_arguments)] = {}
    thinking_tokens: Annotated[int, Field(ge=1)] | None = None
    thinking_tags: Annotated[tuple[str, ...], AfterValidator(_pair_of_tags)] | None = None


class LocalSection(AskedSection):
    """`[models.NAME]` with `path`."""

    path: str
    revision: str | None = None
    adapter: str | None = None
    dtype: NumberFormat = "auto"
    backend: Literal["transformers", "vllm"] = "transformers"
    chat_template: str | None = None
    trust_remote_code: bool = False


class ServiceSection(AskedSection):
    """The settings of every model behind a service."""

    concurrency: Annotated[int, Field(ge=1, le=1000)] = RequestLimits().concurrency
    requests_per_minute: Annotated[int, Field(ge=1)] | None = None
    tokens_per_minute: Annotated[int, Field(ge=1)] | None = None
    timeout: Annotated[float, Field(gt=0)] = RequestLimits().timeout
    retries: Annotated[int, Field(ge=0, le=100)] = RequestLimits().retries
    max_reply_megabytes: Annotated[float, Field(gt=0)] = RequestLimits().max_reply_megabytes

    @property
    def limits(self) -> RequestLimits:
        """The same as a record."""
        return RequestLimits(**self.model_dump(include={field.name for field in fields(RequestLimits)}))


class EndpointSection(ServiceSection):
    """`[models.NAME]` with `endpoint`."""

    endpoint: Address
    model: str
    api: Literal["chat", "completions"] = "chat"
    key_env: Variable | None = None


class GeminiSection(ServiceSection):
    """`[models.NAME]` with `gemini`."""

    gemini: str
    key_env: Variable = "GEMINI_API_KEY"
    url: Address | None = None


class PluginSection(AskedSection):
    """`[models.NAME]` with `engine`."""

    engine: str
    settings: dict[str, JsonValue] = {}


class AnswersSection(StrictSection):
    """`[models.NAME]` with `answers`."""

    answers: str | Annotated[tuple[str, ...], Field(min_length=1)]
    generator: str | None = None
    thinking_tags: Annotated[tuple[str, ...], AfterValidator(_pair_of_tags)] | None = None


ModelSection = LocalSection | EndpointSection | GeminiSection | PluginSection | AnswersSection
MODEL_SECTIONS: dict[str, type[ModelSection]] = {
    "path": LocalSection,
    "endpoint": EndpointSection,
    "gemini": GeminiSection,
    "engine": PluginSection,
    "answers": AnswersSection,
}
"""The key that says which kind of model it is, and what such a table may hold."""


class PipelineSection(StrictSection):
    """`[pipelines.NAME]`."""

    base: str | None = None
    seed: Annotated[int, Field(ge=0, le=LARGEST_SEED)] | None = None
    """The seed of its own stages; None: the project's."""
    dtype: NumberFormat = "auto"
    stages: tuple[dict[str, JsonValue], ...] = ()


class StageSection(StrictSection):
    """`[[pipelines.NAME.stages]]`, without the settings of its kind."""

    kind: str
    data: str | tuple[str, ...] = ()
    reward: str | None = None


Column = Literal[
    "text",
    "messages",
    "conversations",
    "prompt",
    "completion",
    "chosen",
    "rejected",
    "instruction",
    "input",
    "output",
]
"""What training rows' schemas call their columns."""


class MixSourceSection(StrictSection):
    """`[[data.NAME.sources]]`."""

    data: str
    columns: dict[Column, str] = {}
    count: Annotated[int, Field(gt=0)] | None = None
    weight: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    licence: str | None = None

    @model_validator(mode="after")
    def _one_amount(self) -> Self:
        if self.count is not None and self.weight is not None:
            raise ValueError("`count` and `weight` exclude each other; keep one")
        return self


class MixSection(StrictSection):
    """`[data.NAME]`."""

    rows: Literal["texts", "demonstrations", "preferences", "prompts"]
    sources: tuple[MixSourceSection, ...]
    deduplicate: Literal["near", "exact", "none"] = "near"
    similarity: Annotated[float, Field(ge=0.5, le=1)] = 0.8
    min_characters: Annotated[int, Field(ge=1)] = 1
    max_characters: Annotated[int, Field(ge=1)] | None = None
    decontaminate: bool | tuple[str, ...] = True
    seed: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _some_length(self) -> Self:
        if self.max_characters is not None and self.max_characters < self.min_characters:
            raise ValueError(
                f"no row has `min_characters` = {self.min_characters} and `max_characters` = "
                f"{self.max_characters}"
            )
        return self


class CompareSection(StrictSection):
    """`[compare]`."""

    suites: tuple[str, ...] = ()
    judges: tuple[str, ...] = ()
    baseline: str | None = None
    level: Annotated[float, Field(gt=0, lt=1)] = 0.95
    resamples: Annotated[int, Field(gt=0)] = 10_000


class BetterSection(StrictSection):
    """One of the rules `[gate] better`."""

    suite: str
    metric: str | None = None


class NotWorseSection(BetterSection):
    """One of the rules `[gate] not_worse`."""

    margin: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    proof: bool = True


class AgreementSection(StrictSection):
    """`[gate] agreement`."""

    share: Annotated[float, Field(gt=0, le=1)] | None = None
    kappa: Annotated[float, Field(gt=0, le=1)] | None = None
    judge: str | None = None
    proof: bool = True

    @model_validator(mode="after")
    def _one_coefficient(self) -> Self:
        if (self.share is None) == (self.kappa is None):
            raise ValueError("needs either `share` (of equal verdicts) or `kappa` (Cohen's)")
        return self


class GateSection(StrictSection):
    """`[gate]`."""

    candidate: str | None = None
    baseline: str | None = None
    better: tuple[BetterSection, ...] = ()
    not_worse: tuple[NotWorseSection, ...] = ()
    unscored: Annotated[float, Field(ge=0, lt=1)] | None = None
    agreement: AgreementSection | None = None


class RunSection(StrictSection):
    """`[run]`."""

    on: Annotated[str, Field(min_length=1)] | None = None
    replicas: Annotated[int, Field(ge=1)] | None = None
    gpus_per_replica: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None


class PriceSection(StrictSection):
    """`[prices.MODEL]`."""

    input: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    output: Annotated[float, Field(ge=0, allow_inf_nan=False)]


class CurrencySection(StrictSection):
    """`[prices]`, without the tables of the models."""

    currency: Annotated[str, Field(min_length=1)] = "USD"
