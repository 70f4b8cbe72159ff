"""What the files in a model's folder say of it: weights, configuration, tokenizer, chat template.

Read without torch or transformers. A file that is damaged or cut off raises ModelError before it is loaded.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from harness.engine.hub import GGUF
from harness.errors import ModelError
from harness.files import read_text
from harness.records.models import Json

DTYPES = ("float32", "bfloat16", "float16")

VOCABULARIES = (
    "tokenizer.json",
    "tokenizer.model",
    "vocab.json",
    "vocab.txt",
    "spiece.model",
    "sentencepiece.bpe.model",
    "tekken.json",
)
"""At least one of these makes a tokenizer."""

TOKENIZER_FILES = (*VOCABULARIES, "merges.txt", "special_tokens_map.json", "added_tokens.json")

UNSTATED_LABELS = 2
"""transformers' default where a configuration does not state its number of labels."""

APPENDING = ("BertProcessing", "RobertaProcessing")
"""Post-processors that append a token to every text."""


def configuration(folder: Path) -> dict[str, Json]:
    """A model folder's config.json. Raises ModelError where there is none."""
    if not (folder / "config.json").is_file():
        raise ModelError(
            f"{folder}: no config.json in it, so it is not a model folder{_held_instead(folder)}"
        )
    return read_json(folder / "config.json")


def _held_instead(folder: Path) -> str:
    if (folder / "adapter_config.json").is_file():
        return "; it holds an adapter: name it as `adapter`, beside its base"
    files = sorted(folder.glob(f"*{GGUF}"))
    return f'; it holds GGUF files: name one of them (path = "{files[0]}")' if files else ""


def stated_dtype(config: Mapping[str, Json]) -> str:
    """The number format that a configuration states; float32 where it is none of `DTYPES`."""
    text = config.get("text_config")
    for part in (config, text if isinstance(text, Mapping) else {}):
        stated = part.get("dtype") or part.get("torch_dtype")
        if isinstance(stated, str):
            return stated if stated in DTYPES else "float32"
    return "float32"


def labels_of(folder: Path) -> int | None:
    """The number of labels of a sequence classifier, by its configuration; None for other models."""
    config = configuration(folder)
    architectures = config.get("architectures")
    first = str(architectures[0]) if isinstance(architectures, list) and architectures else ""
    if not first.endswith("ForSequenceClassification"):
        return None
    names, number = config.get("id2label"), config.get("num_labels")
    if isinstance(names, Mapping):
        return len(names)
    return number if isinstance(number, int) else UNSTATED_LABELS


def stated_ends(folder: Path) -> tuple[int, ...]:
    """The tokens that end a text by a model folder's generation_config.json, or else by its config.json."""
    config = read_json(folder / "config.json")
    text = config.get("text_config")
    for part in (read_json(folder / "generation_config.json"), config, text):
        stated = part.get("eos_token_id") if isinstance(part, Mapping) else None
        numbers = stated if isinstance(stated, list) else [stated]
        if found := tuple(number for number in numbers if isinstance(number, int)):
            return found
    return ()


def has_tokenizer(folder: Path) -> bool:
    """Whether a folder, such as an adapter's, has a tokenizer of its own."""
    return any((folder / name).is_file() for name in VOCABULARIES)


def may_append(folder: Path) -> bool:
    """Whether a tokenizer's files say that it appends something to every text.

    What it appends shows only when it encodes: see `harness.engine.local.tokens.appended`.
    """
    if read_json(folder / "tokenizer_config.json").get("add_eos_token") is True:
        return True
    processor = read_json(folder / "tokenizer.json").get("post_processor")
    return isinstance(processor, Mapping) and _appends(processor)


def _appends(processor: Mapping[str, Json]) -> bool:
    several = processor.get("processors")
    if isinstance(several, list):
        return any(isinstance(each, Mapping) and _appends(each) for each in several)
    single = processor.get("single")
    ends_in_text = (
        not isinstance(single, list) or not single or "Sequence" in cast(dict[str, Json], single[-1])
    )
    return processor.get("type") in APPENDING or not ends_in_text


def own_chat_template(folder: Path) -> str | None:
    """A model folder's own chat template: chat_template.jinja, else tokenizer_config.json's.

    Raises DataError for a file that is not UTF-8.
    """
    file = folder / "chat_template.jinja"
    if file.is_file():
        return read_text(file).replace("\r\n", "\n")  # as transformers reads it, a byte-order mark apart
    template = read_json(folder / "tokenizer_config.json").get("chat_template")
    if isinstance(template, list):  # several named ones; transformers uses this one where none is asked for
        named = {entry["name"]: entry["template"] for entry in template if isinstance(entry, Mapping)}
        template = named.get("default")
    return template if isinstance(template, str) else None


def named_templates(folder: Path) -> tuple[str, ...]:
    """The names of the chat templates that a folder has beside, or instead of, the default one."""
    listed = read_json(folder / "tokenizer_config.json").get("chat_template")
    names = (
        [str(entry["name"]) for entry in listed if isinstance(entry, Mapping)]
        if isinstance(listed, list)
        else []
    )
    files = [file.stem for file in sorted((folder / "additional_chat_templates").glob("*.jinja"))]
    return tuple(name for name in dict.fromkeys([*names, *files]) if name != "default")


def weight_files(folder: Path) -> list[Path]:
    """The files transformers would load weights from, each checked as far as that is cheap."""
    for stem, suffix in (("model", "safetensors"), ("pytorch_model", "bin")):
        single, index = folder / f"{stem}.{suffix}", folder / f"{stem}.{suffix}.index.json"
        if single.is_file():
            return checked_files([single])
        if index.is_file():
            shards = read_json(index).get("weight_map")
            if not isinstance(shards, Mapping):
                raise ModelError(f"{index}: no 'weight_map' in it; the file is damaged")
            return checked_files([folder / str(shard) for shard in sorted(set(shards.values()), key=str)])
    raise ModelError(f"{folder}: no weights in it (model.safetensors or pytorch_model.bin, or their shards)")


def checked_files(files: list[Path]) -> list[Path]:
    """Weight files that are there and whole. Raises ModelError for one that is not."""
    for file in files:
        if not file.is_file():
            raise ModelError(
                f"{file.parent}: its weight file {file.name} is missing; was a download cut off?"
            )
        if file.stat().st_size == 0:
            raise ModelError(f"{file}: the file is empty")
        if file.suffix == ".safetensors":
            _check_safetensors(file)
    return files


def tensor_shapes(file: Path) -> dict[str, tuple[int, ...]]:
    """The lengths of a safetensors file's tensors in all dimensions, by name."""
    with file.open("rb") as stream:
        header = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
    return {name: tuple(entry["shape"]) for name, entry in header.items() if name != "__metadata__"}


def _check_safetensors(file: Path) -> None:
    """Compare the size with what the header announces (https://github.com/huggingface/safetensors#format)."""
    size = file.stat().st_size
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if length > size - 8:
            raise ModelError(f"{file}: not a safetensors file, or cut off in its header")
        try:
            header = json.loads(stream.read(length))
        except ValueError as error:
            raise ModelError(
                f"{file}: not a safetensors file: its header cannot be read ({error})"
            ) from error
    ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
    announced = 8 + length + max(ends, default=0)
    if not ends:
        raise ModelError(f"{file}: no tensor in it")
    if announced != size:
        why = "it is cut off" if size < announced else "something stands behind its last tensor"
        raise ModelError(f"{file}: {size} bytes, where its header announces {announced}: {why}")


def read_json(file: Path) -> dict[str, Json]:
    """A JSON object from a file; empty where there is no file."""
    if not file.is_file():
        return {}
    try:
        value = json.loads(file.read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{file}: not valid JSON ({error})") from error
    if not isinstance(value, dict):
        raise ModelError(f"{file}: a JSON object was expected")
    return value
