"""The header of a GGUF file (llama.cpp's format): its chat template, special tokens and number formats.

The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. The package `gguf` reads it too, but
makes an object of every token of the vocabulary (5 seconds for 49,152 tokens); here lists are skipped.
Weights and vocabulary are read by transformers, with that package.
"""

import struct
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, lru_cache
from math import prod
from mmap import ACCESS_READ, mmap
from pathlib import Path

from harness.errors import ModelError, UsageError

VERSIONS = (2, 3)
FIXED = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
"""How `struct` reads a value, by the number of its type."""
TEXT, LIST = 8, 9
ALIGNMENT = 32
"""Bytes to which tensors are aligned, where the file does not say otherwise."""

SPECIAL = {"bos": "bos_token", "eos": "eos_token", "unknown": "unk_token", "padding": "pad_token"}
"""The file's names of special tokens, and transformers'."""

READ_AGAIN = ("GGUFReader", "get_tensor_name_map")
"""Functions of the package `gguf` that transformers calls again and again."""

FLOATS = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}
"""Formats that hold numbers as they are, in the order in which one gives way to another."""

_Value = str | int | float | bool | None
"""None stands for a list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GgufHeader:
    """The metadata before the weights, without the vocabulary."""

    chat_template: str | None
    special_tokens: Mapping[str, int]
    """The numbers of its special tokens, by transformers' names."""
    formats: tuple[str, ...]
    """Number formats of its tensors, such as Q4_1, those of most tensors first."""
    shapes: Mapping[str, tuple[int, ...]]
    """The lengths of its tensors in all dimensions, by name."""

    @property
    def dtype(self) -> str:
        """The dtype that loses nothing: float32 for quantised blocks, which are dequantised in it."""
        if not set(self.formats) <= FLOATS.keys():
            return "float32"
        return [dtype for name, dtype in FLOATS.items() if name in self.formats][-1]

    @property
    def quantisation(self) -> str:
        """The formats as text; F32, which some small tensors always have, only where there is no other."""
        return ", ".join(name for name in self.formats if name != "F32") or "F32"


def read_header(file: Path) -> GgufHeader:
    """Read and check a file. Raises ModelError for a damaged one, UsageError without the package `gguf`."""
    state = file.stat()
    return _read_header(file, state.st_size, state.st_mtime_ns)


@contextmanager
def read_once() -> Iterator[None]:
    """Within it, transformers reads each GGUF file once, and not four times.

    It makes a new `gguf.GGUFReader` for the configuration, the weights and twice for the tokenizer, each of
    which takes 5 seconds for 49,152 tokens, and the same table of names for every module.
    """
    import gguf  # noqa: PLC0415 - an extra

    before = {name: getattr(gguf, name) for name in READ_AGAIN}
    for name, function in before.items():
        setattr(gguf, name, cache(function))
    try:
        yield
    finally:
        for name, function in before.items():
            setattr(gguf, name, function)


@lru_cache(maxsize=8)
def _read_header(file: Path, size: int, _changed: int) -> GgufHeader:
    with file.open("rb") as stream:
        if stream.read(4) != b"GGUF":
            raise ModelError(f"{file}: not a GGUF file: it does not begin with GGUF")
        with mmap(stream.fileno(), 0, access=ACCESS_READ) as content:
            try:
                return _parsed(file, _Reader(content))
            except (struct.error, UnicodeDecodeError, OverflowError, RecursionError) as error:
                raise ModelError(f"{file}: damaged, or cut off before its weights ({error})") from error


def _parsed(file: Path, reader: "_Reader") -> GgufHeader:
    version, tensors, entries = reader.numbers("IQQ")
    if version not in VERSIONS:
        raise ModelError(
            f"{file}: version {version} of GGUF, where {VERSIONS[0]} and {VERSIONS[1]} can be read"
        )
    stated = dict(reader.entry() for _ in range(entries))
    if isinstance(parts := stated.get("split.count"), int) and parts > 1:
        raise ModelError(
            f"{file}: one of {parts} files of a model; join them (`llama-gguf-split --merge`) first"
        )
    places = [reader.tensor() for _ in range(tensors)]
    formats = _checked(file, places, reader.at, stated.get("general.alignment"), len(reader.content))
    template = stated.get("tokenizer.chat_template")
    numbers = {name: stated.get(f"tokenizer.ggml.{theirs}_token_id") for theirs, name in SPECIAL.items()}
    return GgufHeader(
        chat_template=template if isinstance(template, str) else None,
        special_tokens={name: number for name, number in numbers.items() if isinstance(number, int)},
        formats=formats,
        shapes={tensor.name: tensor.shape for tensor in places},
    )


@dataclass(slots=True)
class _Reader:
    """A position in a file's content that advances with each read."""

    content: mmap
    at: int = 4

    def numbers(self, layout: str) -> tuple[int, ...]:
        """Little-endian numbers."""
        found = struct.unpack_from(f"<{layout}", self.content, self.at)
        self.at += struct.calcsize(f"<{layout}")
        return found

    def text(self) -> str:
        [length] = self.numbers("Q")
        [text] = struct.unpack_from(f"<{length}s", self.content, self.at)
        self.at += length
        return str(text, "utf-8")

    def entry(self) -> tuple[str, _Value]:
        key, [kind] = self.text(), self.numbers("I")
        return key, self.value(kind)

    def value(self, kind: int) -> _Value:
        if kind == TEXT:
            return self.text()
        if kind == LIST:
            self.step_over()
            return None
        if kind not in FIXED:
            raise struct.error(f"a value of the unknown type {kind}")
        return self.numbers(FIXED[kind])[0]

    def step_over(self) -> None:
        kind, length = self.numbers("IQ")
        if kind in FIXED:
            self.at += length * struct.calcsize(f"<{FIXED[kind]}")
            return
        for _ in range(length):
            self.value(kind)

    def tensor(self) -> "_Tensor":
        name, [dimensions] = self.text(), self.numbers("I")
        shape = self.numbers(f"{dimensions}Q")
        kind, offset = self.numbers("IQ")
        return _Tensor(name, shape, kind, offset)


@dataclass(frozen=True, slots=True)
class _Tensor:
    """Name, lengths in all dimensions, format, and offset in bytes among the weights."""

    name: str
    shape: tuple[int, ...]
    kind: int
    offset: int

    @property
    def size(self) -> int:
        """The number of values."""
        return prod(self.shape)


def _checked(file: Path, tensors: list[_Tensor], at: int, alignment: _Value, size: int) -> tuple[str, ...]:
    """The formats of all tensors, if the file is long enough to hold them."""
    if not tensors:
        raise ModelError(f"{file}: no tensor in it")
    aligned = alignment if isinstance(alignment, int) else ALIGNMENT
    if aligned < 1:
        raise ModelError(f"{file}: damaged: it aligns its tensors to {aligned} bytes")
    begin = -(-at // aligned) * aligned
    formats = list(_formats(file, tensors))
    announced = begin + max(
        tensor.offset + length for tensor, (_, length) in zip(tensors, formats, strict=True)
    )
    if announced > size:
        raise ModelError(f"{file}: {size} bytes, where its header announces {announced}: it is cut off")
    return tuple(name for name, _ in Counter(name for name, _ in formats).most_common())


def _formats(file: Path, tensors: list[_Tensor]) -> Iterator[tuple[str, int]]:
    """The name of each tensor's format, and how many bytes it takes."""
    try:
        from gguf import GGML_QUANT_SIZES, GGMLQuantizationType  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise UsageError(
            f"{file}: a GGUF file needs the package 'gguf', which is not installed: "
            'pip install "harness[gguf]"'
        ) from error
    for tensor in tensors:
        try:
            kind = GGMLQuantizationType(tensor.kind)
        except ValueError as error:
            raise ModelError(
                f"{file}: a tensor in format number {tensor.kind}, which the installed package 'gguf' does "
                "not know; upgrade it, or take a file in another format"
            ) from error
        numbers, length = GGML_QUANT_SIZES[kind]
        yield kind.name, tensor.size // numbers * length
