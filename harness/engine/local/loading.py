"""Loads a local model's weights onto a device with transformers and PEFT, and checks what they loaded.

Weights that are missing are an error, and never random. Embeddings get the rows that an adapter was trained
with. What the libraries raise for files that they cannot use becomes one of our errors, which names the file.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, redirect_stderr
from io import StringIO
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
import transformers
from peft import PeftModel, load_peft_weights
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from harness.engine.gguf import read_header, read_once
from harness.engine.hub import first_line
from harness.engine.identity import LocalIdentity
from harness.engine.local.devices import place_of
from harness.engine.local.network import Network, is_out_of_memory
from harness.errors import EngineError, ModelError
from harness.records.models import Local

UNREADABLE = (
    OSError,
    ValueError,
    LookupError,
    RuntimeError,
    ImportError,
    AttributeError,
    TypeError,
    EOFError,
    UnpicklingError,
    SafetensorError,
)
"""What transformers, PEFT, torch and the libraries below them raise for unusable files."""

NOT_TENSORS = (UnpicklingError, EOFError, LookupError)
"""What torch raises for a pickle that holds more than tensors, or for a file that is no pickle."""

PICKLES = ("pytorch_model*.bin", "adapter_model.bin")

QUANTISED = ("quantization_config", "hf_quantizer", "quantization_method")
"""Attributes that transformers leaves on a model loaded from quantised weights."""


def load(
    source: Local, identity: LocalIdentity, *, name: str, device: str | None
) -> tuple[Network, PreTrainedTokenizerBase]:
    """Load a model and its tokenizer. Raises ModelError where transformers cannot, or weights are missing.

    Raises UsageError for a device that this machine does not have.
    """
    place = place_of(device)
    with nullcontext() if identity.gguf is None else read_once():
        tokenizer = load_tokenizer(source, identity, name=name)
        model = load_weights(source, identity, tokenizer, name=name)
    move(model, place, name)
    return Network(model, name=name, device=place), tokenizer


def move(model: torch.nn.Module, place: torch.device, name: str) -> None:
    """Move a model to a device, ready to compute. Raises EngineError where it does not fit there."""
    try:
        model.eval().to(place)
    except torch.OutOfMemoryError as error:
        raise EngineError(f"{name}: the model does not fit into the memory of {place}") from error


def load_tokenizer(source: Local, identity: LocalIdentity, *, name: str) -> PreTrainedTokenizerBase:
    """The tokenizer of an identified model. Raises ModelError where transformers cannot load it."""
    transformers.utils.logging.set_verbosity_error()  # type: ignore[no-untyped-call]  # not annotated there
    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # not annotated there
    trusted: dict[str, Any] = {"trust_remote_code": source.trust_remote_code}
    with load_errors("tokenizer", name, identity):
        if identity.tokenizer != identity.path:  # a folder without the configuration that says which class
            config = AutoConfig.from_pretrained(identity.path, **_file(identity), **trusted)
            own: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
                identity.tokenizer, config=config, **trusted
            )
            return own
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            identity.path, **_file(identity), **trusted
        )
    if identity.gguf is not None:
        _name_special_tokens(tokenizer, identity.gguf)
    return tokenizer


def _file(identity: LocalIdentity) -> dict[str, str]:
    """The argument that names the file to read, where the model is a GGUF file."""
    return {} if identity.gguf is None else {"gguf_file": identity.gguf.name}


def _name_special_tokens(tokenizer: PreTrainedTokenizerBase, file: Path) -> None:
    """Set the file's special tokens: transformers (5.17) also takes Llama's BOS for its EOS."""
    for name, number in read_header(file).special_tokens.items():
        setattr(tokenizer, name, tokenizer.convert_ids_to_tokens(number))


@contextmanager
def load_errors(part: str, name: str, identity: LocalIdentity) -> Iterator[None]:
    """Turn what transformers raises for unusable files into a ModelError or EngineError."""
    try:
        yield
    except UNREADABLE as error:
        if is_out_of_memory(error):
            raise EngineError(f"{name}: the model does not fit into memory") from error
        if isinstance(error, NOT_TENSORS) and (found := pickles(identity.path, identity.adapter)):
            raise refused(found) from error
        said = f"no {error} in its files" if isinstance(error, KeyError) else first_line(error)
        place = identity.gguf or identity.path
        raise ModelError(f"{place}: transformers cannot load its {part}: {said}") from error


def refused(pickles: Sequence[Path]) -> ModelError:
    """The error for weights that torch refuses to open, because they may hold code."""
    return ModelError(
        f"{', '.join(map(str, pickles))}: torch opens a pickle only of tensors, and this one holds something "
        "else, such as code, or is damaged; take the weights as safetensors, or, if you trust their source, "
        "load and save them with transformers (`save_pretrained`)"
    )


def pickles(*folders: Path | None) -> list[Path]:
    """Weights in a format that can hold code."""
    there = [folder for folder in folders if folder is not None]
    return [file for folder in there for name in PICKLES for file in sorted(folder.glob(name))]


def load_weights(
    source: Local, identity: LocalIdentity, tokenizer: PreTrainedTokenizerBase, *, name: str
) -> PreTrainedModel | PeftModel:
    """A transformers model with its adapter. Raises ModelError where it cannot be loaded."""
    with load_errors("model", name, identity):
        model = _load_base(source, identity)
        if identity.adapter is None:
            return model
        _fit_vocabulary(model, tokenizer, identity.adapter)
        return PeftModel.from_pretrained(model, str(identity.adapter))


def _load_base(source: Local, identity: LocalIdentity) -> PreTrainedModel:
    file, trusted = _file(identity), source.trust_remote_code
    config = AutoConfig.from_pretrained(identity.path, trust_remote_code=trusted, **file)
    architecture = (config.architectures or [""])[0]
    if architecture.endswith("Classification"):
        raise ModelError(f"{identity.path}: a classifier ({architecture}), and no language model")
    unpacked = _unpacking() if file else {}
    loaded: Any
    with redirect_stderr(StringIO()) if file else nullcontext():  # a bar that nothing else turns off
        loaded = AutoModelForCausalLM.from_pretrained(
            identity.path,
            config=config,
            dtype=getattr(torch, identity.dtype),
            trust_remote_code=trusted,
            output_loading_info=True,
            **file,
            **unpacked,
        )
    model: PreTrainedModel
    model, report = loaded
    check_complete(identity, report)
    if file:
        _as_if_never_quantised(model)
    return model


def check_complete(identity: LocalIdentity, report: Mapping[str, Any]) -> None:
    """Raise ModelError where transformers reports, in its loading info, that weights are missing."""
    if missing := sorted(report["missing_keys"]):
        raise ModelError(
            f"{identity.path}: {len(missing)} weights are missing and would be random, such as {missing[0]}"
        )


def _unpacking() -> dict[str, Any]:
    """The request for dequantised weights: on some GPUs transformers could compute with quantised ones."""
    from transformers import GgufConfig  # noqa: PLC0415 - only the extra `gguf` asks for a transformers that has it

    return {"quantization_config": GgufConfig(dequantize=True)}


def _as_if_never_quantised(model: PreTrainedModel) -> None:
    """Remove what would keep a dequantised model from being trained and saved."""
    for owner in (model, model.config):
        for attribute in QUANTISED:
            if hasattr(owner, attribute):
                delattr(owner, attribute)
    model.config.architectures = [type(model).__name__]  # the file does not state it


def _fit_vocabulary(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, adapter: Path) -> None:
    """Resize the embeddings to the rows that the adapter has, or that its tokenizer needs.

    PEFT needs the base as it was in training. Rows that the adapter does not hold are the mean of the
    others: nothing was learned for them.
    """
    layers = _vocabulary_layers(model)
    rows = len(layers[0].weight)
    wanted = _saved_rows(model, adapter) or max(rows, len(tokenizer))
    if wanted == rows:
        return
    model.resize_token_embeddings(wanted, mean_resizing=False)
    for layer in _vocabulary_layers(model) if wanted > rows else ():
        layer.weight.data[rows:] = layer.weight.data[:rows].float().mean(0)


def _vocabulary_layers(model: PreTrainedModel) -> list[Any]:
    """The layers with a row for every token: the embeddings, and the head where there is one."""
    whole: Any = model  # some of it is not annotated
    layers = (whole.get_input_embeddings(), whole.get_output_embeddings())
    return [layer for layer in layers if layer is not None]


def missing_rows(source: Local, identity: LocalIdentity, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """The tokens for which neither the base nor the adapter has an embedding."""
    assert identity.adapter is not None
    trusted = source.trust_remote_code
    with load_errors("configuration", "", identity), torch.device("meta"):
        config = AutoConfig.from_pretrained(identity.path, trust_remote_code=trusted, **_file(identity))
        model = AutoModelForCausalLM.from_config(  # type: ignore[no-untyped-call]  # not annotated there
            config, trust_remote_code=trusted
        )
        held = _saved_rows(model, identity.adapter) or len(_vocabulary_layers(model)[0].weight)
    return list(range(held, len(tokenizer)))


def _saved_rows(model: PreTrainedModel, adapter: Path) -> int | None:
    """The number of rows of an adapter's embeddings, trained in full or as a low-rank pair; None: none."""
    layers = _vocabulary_layers(model)
    names = [name for name, module in model.named_modules() if any(module is layer for layer in layers)]
    for key, weight in load_peft_weights(str(adapter), device="cpu").items():
        if any(key.endswith(f"{name}.weight") for name in names):
            return int(weight.shape[0])
        if any(key.endswith(f"{name}.lora_embedding_A") for name in names):
            return int(weight.shape[1])
    return None
