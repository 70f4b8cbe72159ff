"""How large a model is, from its files alone: parameters, bytes as a candidate, bytes of an adapter."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path

from harness.engine.gguf import read_header
from harness.engine.identity import identify
from harness.engine.model_files import configuration, stated_dtype, tensor_shapes, weight_files
from trainers.planning import StageOrigin
from trainers.settings import Adapter
from trainers.tokenizer_files import tokenizer_files

BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
"""Of a number, by its format."""
NOT_LINEAR = re.compile(r"embed|embd|lm_head|^output\b")
"""In the names, also GGUF's, of matrices that `all-linear` adapters leave alone."""
OUTPUT_LAYER = "lm_head.weight"
ALL = ("all-linear",)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSize:
    """The size of a model that stages start from."""

    parameters: int
    dtype: str
    """The number format of its files, and of candidates made from it."""
    other_files: int
    """Bytes of tokenizer and configuration, which lie beside the weights."""
    shapes: Mapping[str, tuple[int, ...]] = field(repr=False)
    """The lengths of its tensors in all dimensions, by name; empty where its files do not say."""

    def adapter(self, adapter: Adapter) -> int:
        """How many parameters such an adapter has."""
        widths = [
            sum(shape)
            for name, shape in self.shapes.items()
            if len(shape) == 2 and not NOT_LINEAR.search(name) and _targeted(name, adapter)
        ]
        return adapter.rank * sum(widths)

    @property
    def output_layer(self) -> int:
        """The parameters of an output layer of its own, which a reward model does without."""
        return prod(self.shapes[OUTPUT_LAYER]) if OUTPUT_LAYER in self.shapes else 0


def model_size(origin: StageOrigin) -> ModelSize:
    """The size of a model that exists. Raises ModelError."""
    others = _other_files(tokenizer_files(origin).folder)
    if origin.written_from is None or origin.folder.is_dir():
        return _of_folder(origin.folder, stated_dtype(configuration(origin.folder)), others)
    identity = identify(origin.written_from)
    if identity.gguf is None:
        return _of_folder(identity.path, identity.dtype, others)
    shapes = read_header(identity.gguf).shapes
    return ModelSize(
        parameters=sum(map(prod, shapes.values())), dtype=identity.dtype, other_files=others, shapes=shapes
    )


def _of_folder(folder: Path, dtype: str, others: int) -> ModelSize:
    files = weight_files(folder)
    shapes = {
        name: shape
        for file in files
        if file.suffix == ".safetensors"
        for name, shape in tensor_shapes(file).items()
    }
    parameters = sum(map(prod, shapes.values()))
    if not shapes:  # an old checkpoint, which is a pickle: its size in float16
        parameters = sum(file.stat().st_size for file in files) // 2
    return ModelSize(parameters=parameters, dtype=dtype, other_files=others, shapes=shapes)


def _other_files(folder: Path) -> int:
    files = [*folder.glob("*.json"), *folder.glob("*.jinja"), *folder.glob("tokenizer.model")]
    return sum(file.stat().st_size for file in files if ".index." not in file.name)


def _targeted(name: str, adapter: Adapter) -> bool:
    return adapter.targets == ALL or name.removesuffix(".weight").endswith(adapter.targets)
