"""What a local model's answers depend on, from its files alone.

The fingerprint covers weights, configuration, generation configuration, tokenizer, chat template, adapter and
number format, by content: the same files in another folder are the same model. An adapter's own tokenizer and
chat template take the place of the base's. The device is no part of it. Nothing here imports torch or
transformers, so that a finished comparison is recognised in milliseconds.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from harness.engine.gguf import GgufHeader, read_header
from harness.engine.hashing import file_hash
from harness.engine.hub import gguf_file, model_folder
from harness.engine.model_files import (
    DTYPES,
    TOKENIZER_FILES,
    VOCABULARIES,
    checked_files,
    configuration,
    has_tokenizer,
    may_append,
    named_templates,
    own_chat_template,
    read_json,
    stated_dtype,
    weight_files,
)
from harness.errors import ModelError, UsageError
from harness.protocols import EngineInfo
from harness.records.models import Json, Local, Model
from harness.thoughts import named_in, tags_of

ENGINE_VERSION = 3
"""Changes whenever the local engine would answer the same request differently."""

THOUGHTS_VERSION = 1
"""The same for how thoughts are separated from answers; only for models that may think."""


CLOCK = "strftime_now"
"""The name by which a chat template reads the clock."""

FIXED_DATE = date(2024, 7, 26)
"""The date that every chat template reads, so that a prompt is the same on every day.

It is what Llama 3's templates fall back on where there is no clock.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What a model's answers depend on, as a hash, and its chat template."""

    fingerprint: str
    """For a local model, `sha256:` and the hash of everything the answers depend on."""
    chat_template: str | None
    """The template in effect: the override, or the model's own."""

    def info(self, description: Mapping[str, Json]) -> EngineInfo:
        return EngineInfo(
            fingerprint=self.fingerprint, chat_template=self.chat_template, description=description
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalIdentity(Identity):
    """A local model whose files are found and hashed, ready to be loaded."""

    dtype: str
    """One of `DTYPES`; `auto` is resolved."""
    path: Path
    """The folder that holds the model."""
    gguf: Path | None = None
    """The file in it that is the model, where that is a GGUF file."""
    quantisation: str | None = None
    """The number formats of a GGUF file's weights."""
    adapter: Path | None
    """The folder that holds the PEFT adapter."""
    tokenizer: Path
    """The folder whose tokenizer is used: the adapter's, where it has one."""
    thinks: bool = False
    """Whether it may think before it answers, by its template, its tokenizer or its section."""
    date: str | None = None
    """The date that the chat template reads, where it reads the clock."""

    @property
    def described(self) -> dict[str, Json]:
        """What a run records besides the fingerprint: only what differs from the usual."""
        recorded: dict[str, Json] = {}
        if self.quantisation is not None:
            recorded["gguf"] = self.quantisation
        if self.tokenizer == self.adapter:
            recorded["tokenizer"] = "the adapter's"
        if self.date is not None:
            recorded["chat_template_date"] = self.date
        return recorded


def identify(model: Model) -> LocalIdentity:
    """Find a local model's files, check that they are complete, and hash what its answers depend on.

    Raises ModelError for a folder that is missing or is no usable model, DownloadNeeded for a hub id that
    is neither cached nor reachable, UsageError for a model that does not run on this machine.
    """
    if not isinstance(model.source, Local):
        raise UsageError(f"model {model.name!r} does not run on this machine: it has no files to identify")
    source = model.source
    file = gguf_file(source.path, source.revision)
    if file is not None and source.backend != "transformers":
        raise UsageError(
            f"model {model.name!r}: a GGUF file is run by transformers; leave `backend` out of its section"
        )
    base = _of_folder(model_folder(source.path, source.revision)) if file is None else _of_gguf(file)
    adapter = None if source.adapter is None else model_folder(source.adapter, None)
    own = adapter if adapter is not None and has_tokenizer(adapter) else None
    read = own or base.tokenizer
    template = _template(model, adapter, base)
    clock = FIXED_DATE.isoformat() if template is not None and CLOCK in template else None
    dtype = _dtype(source.dtype, base.dtype)
    thinks = _thinks(model, template, read)
    parts: dict[str, Json] = {
        "engine": ENGINE_VERSION,
        **base.parts,
        **({} if own is None else {"tokenizer": _tokenizer_parts(own)}),
        "chat_template": template,
        "adapter": None if adapter is None else _adapter_parts(adapter),
        "dtype": dtype,
        "code": _code(source, base.folder, own),
    }
    return LocalIdentity(
        fingerprint=_hash(parts | _parts_of_few(source, read, clock, thinks)),
        chat_template=template,
        dtype=dtype,
        path=base.folder,
        gguf=file,
        quantisation=None if base.gguf is None else base.gguf.quantisation,
        adapter=adapter,
        tokenizer=own or base.folder,
        date=clock,
        thinks=thinks,
    )


def _parts_of_few(source: Local, tokenizer: Path | None, clock: str | None, thinks: bool) -> dict[str, Json]:
    """Parts that few models have. They count only where present: all others keep their fingerprints."""
    parts: dict[str, Json] = {}
    if tokenizer is not None and may_append(tokenizer):
        parts["appended"] = "left off"
    if clock is not None:
        parts["date"] = clock
    if source.backend != "transformers":
        parts["backend"] = source.backend
    if thinks:
        parts["thoughts"] = THOUGHTS_VERSION
    return parts


def _hash(parts: Mapping[str, Json]) -> str:
    canonical = json.dumps(parts, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return "sha256:" + hashlib.sha256(canonical.encode()).hexdigest()


def as_asked(identity: Identity, model: Model) -> Identity:
    """The identity of a model asked as its section says: with thoughts or without, a system prompt, …

    Raises ModelError for a system prompt where the model takes no turns.
    """
    if not model.chat_settings:
        return identity
    if model.system is not None and identity.chat_template is None:
        raise ModelError(
            f"model {model.name!r}: `system` precedes turns, and the model has no chat template; leave it "
            "out, or name a `chat_template`"
        )
    canonical = json.dumps([identity.fingerprint, model.chat_settings], sort_keys=True)
    return replace(identity, fingerprint="sha256:" + hashlib.sha256(canonical.encode()).hexdigest())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Base:
    """A model without its adapter: where it is, and what its fingerprint covers."""

    folder: Path
    gguf: GgufHeader | None = None
    template: str | None
    dtype: str
    """What `auto` stands for."""
    parts: Mapping[str, Json]

    @property
    def tokenizer(self) -> Path | None:
        """The folder with its tokenizer's files; None for a GGUF file, which holds its own."""
        return self.folder if self.gguf is None else None


def _of_folder(folder: Path) -> _Base:
    config = configuration(folder)
    weights = weight_files(folder)
    parts: dict[str, Json] = {
        "config": config,
        "generation_config": read_json(folder / "generation_config.json"),
        "weights": {file.name: file_hash(file) for file in weights},
        "tokenizer": _tokenizer_parts(folder),
    }
    return _Base(folder=folder, template=own_chat_template(folder), dtype=stated_dtype(config), parts=parts)


def _of_gguf(file: Path) -> _Base:
    header = read_header(file)
    return _Base(
        folder=file.parent,
        gguf=header,
        template=header.chat_template,
        dtype=header.dtype,
        parts={"gguf": file_hash(file)},
    )


def _template(model: Model, adapter: Path | None, base: _Base) -> str | None:
    """The template in effect: the override, else the adapter's, else the base's."""
    if model.chat_template is not None:
        return model.chat_template
    theirs = None if adapter is None else own_chat_template(adapter)
    template = theirs if theirs is not None else base.template
    folders = [folder for folder in (adapter, base.tokenizer) if folder is not None]
    if template is None and (names := [name for folder in folders for name in named_templates(folder)]):
        raise ModelError(
            f"{folders[0]}: it has chat templates named {', '.join(names)}, and none without a name; "
            'write the one to be used into a file, and name that (`chat_template = "FILE"` in harness.toml)'
        )
    return template


def _code(source: Local, *folders: Path | None) -> dict[str, Json]:
    """The code that may run, by its content."""
    there = [folder for folder in folders if folder is not None and source.trust_remote_code]
    return {file.name: file_hash(file) for folder in there for file in sorted(folder.glob("*.py"))}


def _tokenizer_parts(folder: Path) -> dict[str, Json]:
    files = [folder / name for name in TOKENIZER_FILES if (folder / name).is_file()]
    files += sorted(folder.glob("*.tiktoken"))
    if not any(file.name in VOCABULARIES or file.suffix == ".tiktoken" for file in files):
        raise ModelError(f"{folder}: no tokenizer in it (tokenizer.json, tokenizer.model, vocab.json, …)")
    if (folder / "tokenizer.json") in files:
        read_json(folder / "tokenizer.json")
    config = read_json(folder / "tokenizer_config.json")
    config.pop("chat_template", None)  # counts by its text, wherever it is written
    return {"config": config, "files": {file.name: file_hash(file) for file in files}}


def _thinks(model: Model, template: str | None, folder: Path | None) -> bool:
    """Whether a thought's tags are in its template or among its tokens, or its section speaks of thoughts."""
    if model.thinking or model.thinking_tokens or model.thinking_tags:
        return True
    names = [name for name in (*TOKENIZER_FILES, "tokenizer_config.json") if name.endswith(".json")]
    files = [] if folder is None else [folder / name for name in names if (folder / name).is_file()]
    # a file that is not UTF-8 is reported where it is loaded
    texts = [file.read_text("utf-8", errors="replace") for file in files]
    return named_in([template or "", *texts], tags_of(model))


def _adapter_parts(folder: Path) -> dict[str, Json]:
    if not (folder / "adapter_config.json").is_file():
        raise ModelError(f"{folder}: no adapter_config.json in it, so it is not a PEFT adapter")
    weights = [
        folder / name
        for name in ("adapter_model.safetensors", "adapter_model.bin")
        if (folder / name).is_file()
    ][:1]
    if not weights:
        raise ModelError(f"{folder}: no adapter weights in it (adapter_model.safetensors)")
    config = read_json(folder / "adapter_config.json")
    config.pop("base_model_name_or_path", None)  # where the base stood when it was trained changes no answer
    return {"config": config, "weights": [file_hash(file) for file in checked_files(weights)]}


def _dtype(asked: str, own: str) -> str:
    if asked == "auto":
        return own
    if asked not in DTYPES:
        raise ModelError(f"dtype {asked!r} is not one of auto, {', '.join(DTYPES)}")
    return asked
