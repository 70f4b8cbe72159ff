"""Models and pipelines: what can be asked, and how a candidate is made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

Json = None | bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Local:
    """A model that this machine loads."""

    path: str
    """A folder, or a hub id."""
    revision: str | None = None
    """A hub commit, tag or branch; None is the hub's default."""
    adapter: str | None = None
    """A PEFT adapter's folder or hub id, applied on top."""
    dtype: str = "auto"
    """`float32`, `bfloat16`, `float16`, or `auto`: the checkpoint's own."""
    backend: Literal["transformers", "vllm"] = "transformers"
    """The library that runs it; vllm is an extra, and needs a GPU."""
    trust_remote_code: bool = False
    """Whether code that comes with the model may run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestLimits:
    """How much a service is asked at once, how fast and how patiently. No answer depends on it."""

    concurrency: int = 16
    """Requests on their way at once."""
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    """Limits of the service, prompt and answer together; None: it has none."""
    timeout: float = 300.0
    """Seconds for one whole answer."""
    retries: int = 6
    """Further tries of a request that failed for a reason that may pass."""
    max_reply_megabytes: float = 32.0
    """The most that is read of one answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A model behind an OpenAI-compatible server."""

    url: str
    model: str
    api: Literal["chat", "completions"] = "chat"
    """`chat`: it takes turns, and the server applies the chat template; `completions`: text only."""
    key_env: str | None = None
    """The environment variable that holds the key; the key itself is never in a file."""
    limits: RequestLimits = RequestLimits()


@dataclass(frozen=True, slots=True, kw_only=True)
class Gemini:
    """A model behind Google's Gemini interface."""

    model: str
    key_env: str = "GEMINI_API_KEY"
    url: str | None = None
    """Another address of the interface, such as a proxy's; None: Google's own."""
    limits: RequestLimits = RequestLimits()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugin:
    """A model that a third party's engine answers for (entry point group `harness.engines`)."""

    engine: str
    settings: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerFiles:
    """Answers that are there already: nobody is asked."""

    files: tuple[str, ...]
    """Files, or folders of them."""
    generator: str | None = None
    """Whose answers are meant, where a file holds several models'."""


Source = Local | Endpoint | Gemini | Plugin | AnswerFiles

CHAT_SETTINGS = ("thinking", "template_arguments", "system", "thinking_tokens", "thinking_tags")
"""The keys of a model's section that change how it is asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """Something that can be asked. A judge is a Model, and so is a finished pipeline."""

    name: str
    source: Source
    chat_template: str | None = None
    """A Jinja template's text that replaces the tokenizer's own; None keeps the tokenizer's."""
    thinking: bool | None = None
    """Whether it thinks before it answers; None leaves it to the model."""
    template_arguments: Mapping[str, Json] = field(default_factory=dict)
    """What its chat template is given besides the turns."""
    system: str | None = None
    """A system prompt, put before every conversation."""
    thinking_tokens: int | None = None
    """Room for thoughts beside the length that a suite gives an answer; None: they share it."""
    thinking_tags: tuple[str, str] | None = None
    """What its thoughts stand between, besides the tags that are known."""

    @property
    def chat_settings(self) -> Mapping[str, Json]:
        """Those that its section sets: a part of what its answers depend on."""
        values = {name: getattr(self, name) for name in CHAT_SETTINGS}
        return {name: value for name, value in values.items() if value not in (None, {})}

    def trained(self, name: str, source: Local) -> "Model":
        """The model trained from it, with its chat settings and the template of the source."""
        return replace(self, name=name, source=source, chat_template=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One training step of a pipeline."""

    kind: str
    """A name of the stage table: `pretrain`, `sft`, `reward`, `grpo`, `rloo`, `dpo`, …"""
    data: tuple[str, ...] = ()
    """Where its training rows come from, each `mix:NAME`, `toy:NAME`, a file, or a hub id."""
    reward: str | None = None
    """The stage's reward, if any: a pipeline ending in a reward stage, a model, or `module:function`."""
    settings: Mapping[str, Json] = field(default_factory=dict)
    """Every setting of the kind with its value, defaults included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MixSource:
    """One of the places that a mix takes rows from."""

    data: str
    """`toy:NAME`, a file, or a hub id (`ID`, `ID:SPLIT`, `ID:CONFIGURATION:SPLIT`)."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """What the source calls a column, by the schema's name for it."""
    count: int | None = None
    """The exact number of rows, from those that are left after cleaning."""
    weight: float | None = None
    """The source's share relative to other weighted sources. With neither: all rows left after cleaning."""
    licence: str | None = None
    """The licence in the user's words, for the data card."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """Training rows from several sources, cleaned and drawn: what a stage's data `mix:NAME` stand for."""

    name: str
    rows: Literal["texts", "demonstrations", "preferences", "prompts"]
    """The one shape that its rows get, whatever the sources' schemas are."""
    sources: tuple[MixSource, ...]
    deduplicate: Literal["near", "exact", "none"] = "near"
    similarity: float = 0.8
    """The Jaccard similarity from which rows count as near-duplicates."""
    min_characters: int = 1
    """The minimum length of a row, all turns together; shorter rows are left out."""
    max_characters: int | None = None
    decontaminate: tuple[str, ...] | None = None
    """The suites whose prompts no row may hold; None: every suite that is known."""
    seed: int = 0
    """The seed of the draw and the order; not the project's, so that all trainings share the same rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """An ordered chain of stages. Once run, it is a Model under the pipeline's name."""

    name: str
    base: str | None
    """A model or another pipeline; None for a chain that begins from nothing (`pretrain`)."""
    stages: tuple[Stage, ...]
    seed: int | None = None
    """The seed of these stages; None: the project's."""
    dtype: str = "auto"
    """The number format that its candidate is asked in; it is trained and kept in its base's."""
