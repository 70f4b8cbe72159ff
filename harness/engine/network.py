"""A causal language model as torch runs it: loading, one forward pass, and what this machine gives it.

It does not know texts: tokens go in and logits come out.
"""

import copy
import gc
import inspect
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, redirect_stderr
from functools import cached_property
from io import StringIO
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, cast

import psutil  # type: ignore[import-untyped]  # accelerate brings it, without types
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
from harness.engine.grouped import share_keys
from harness.engine.hub import first_line
from harness.engine.identity import LocalIdentity
from harness.engine.widening import computing_in_float32
from harness.errors import EngineError, ModelError, UsageError
from harness.records import Json, Local

SMALL = 5_000_000
"""Parameters. Below, a second CPU thread costs more than it brings, and large batches cost little."""

DEFAULT_MAX_LENGTH = 2048
"""lm-eval's, where neither the configuration nor the tokenizer states a length."""

NO_LENGTH = 1_000_000_000
"""A tokenizer that states more than this states nothing (transformers' own mark is 1e30)."""

NO_MEMORY = ("not enough memory", "can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED")
"""What torch says where memory runs out and it has no error of its own for that."""

HIDDEN_STATE = ("recurrent_gemma",)
"""Kinds of models that accept a cache, and keep their state within their layers all the same."""

DEVICE_FAILED = ("CUDA error", "cuDNN error")
"""How torch begins to say that a device-side assertion failed, or memory was read that is not there."""

NAMES_AND_TOKENS = ("_name_or_path", "_version", "token_id")
"""How the keys of a configuration end that say where a model is from, or what its tokens are for."""
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
"""What transformers, PEFT, torch and the libraries beneath raise for files that they cannot use."""

NOT_TENSORS = (UnpicklingError, EOFError, LookupError)
"""What torch raises for a pickle of anything but tensors, or for what is no pickle."""

PICKLES = ("pytorch_model*.bin", "adapter_model.bin")
QUANTISED = ("quantization_config", "hf_quantizer", "quantization_method")
"""What transformers leaves on a model that it read from quantised weights."""

Mask = torch.Tensor | Mapping[str, torch.Tensor]
"""Which positions are seen: batch × length for padding, or a finished additive mask
(batch × 1 × new × all), or several, one for each kind of layer."""


class Network:
    """A model on its device. `batch` × `length` token ids in, float logits out."""

    def __init__(self, model: PreTrainedModel | PeftModel, *, name: str, device: torch.device) -> None:
        self.name = name
        self.device = device
        self._model: PreTrainedModel | PeftModel | None = model
        base = cast(PreTrainedModel, model.get_base_model() if isinstance(model, PeftModel) else model)
        share_keys(base)
        self.config = base.config
        self.generation_config = base.generation_config
        self.dtype = base.dtype
        self.parameters = sum(parameter.numel() for parameter in model.parameters())
        self.small = self.parameters < SMALL
        self.threads = 1 if self.small and device.type == "cpu" else torch.get_num_threads()
        self._accepts = inspect.signature(base.forward).parameters

    @contextmanager
    def computing(self) -> Iterator[None]:
        """Around all work with tensors: no gradients, and on the CPU the threads that suit the model.

        The process's own number of threads is put back, so never hand out an answer from within.
        """
        before = torch.get_num_threads()
        torch.set_num_threads(self.threads)
        try:
            with torch.inference_mode():
                yield
        finally:
            torch.set_num_threads(before)

    def forward(
        self,
        tokens: torch.Tensor,
        mask: Mask,
        *,
        keep: int | torch.Tensor,
        positions: torch.Tensor | None = None,
        cache: object | None = None,
        use_cache: bool = False,
    ) -> tuple[torch.Tensor, Any]:
        """One pass over `tokens` (batch × length), seeing what `mask` says of cached and new positions.

        `keep` selects the positions whose logits are wanted: the last so many, or these indices.
        Returns logits (batch × kept × vocabulary) in the model's dtype, and the cache.
        """
        asked: dict[str, Any] = {"input_ids": tokens, "attention_mask": mask, "use_cache": use_cache}
        if positions is not None and "position_ids" in self._accepts:
            asked["position_ids"] = positions
        if cache is not None:
            asked["past_key_values"] = cache
        if "logits_to_keep" in self._accepts:
            asked["logits_to_keep"] = keep
        output = self._open_model(**asked)
        logits = output.logits
        if "logits_to_keep" not in self._accepts:
            logits = logits[:, -keep:] if isinstance(keep, int) else logits[:, keep]
        return logits, output.get("past_key_values")

    @contextmanager
    def in_float32(self) -> Iterator["Network"]:
        """The network as it computes in float32, on the same weights; it computes nothing else meanwhile."""
        with computing_in_float32(self._open_model):
            wide = copy.copy(self)
            wide.dtype = torch.float32
            yield wide

    @property
    def _open_model(self) -> PreTrainedModel | PeftModel:
        if self._model is None:
            raise EngineError(f"{self.name}: the engine is closed")
        return self._model

    def not_finite(self) -> EngineError:
        """The error for logits that are NaN or infinite."""
        advice = (
            "the weights are damaged, or its training diverged: check the training losses"
            if self.dtype == torch.float32
            else 'its numbers may exceed what this format holds: set dtype = "float32" (or "bfloat16")'
        )
        dtype = str(self.dtype).removeprefix("torch.")
        return EngineError(f"{self.name}: the model gave NaN or infinite logits in {dtype}; {advice}")

    def out_of_memory(self) -> EngineError:
        """The error for a single request that does not fit."""
        return EngineError(
            f"{self.name}: out of memory on {self.device} with a single request; use a smaller number "
            "format, a shorter max_tokens, or a bigger machine"
        )

    def cache_bytes(self) -> int:
        """Bytes that one token takes in the key-value cache.

        Of a model without attention, which has none: those of a row that is read again for every token.
        """
        text = self.config.get_text_config()
        if getattr(text, "num_attention_heads", None) is None:
            return int(2 * text.num_hidden_layers * text.hidden_size * self.dtype.itemsize)
        heads = getattr(text, "num_key_value_heads", None) or text.num_attention_heads
        width = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
        return int(2 * text.num_hidden_layers * heads * width * self.dtype.itemsize)

    @property
    def takes_cache(self) -> bool:
        """Whether it reads what went before from a cache that is handed to it, as attention does."""
        return "past_key_values" in self._accepts and self.config.model_type not in HIDDEN_STATE

    @cached_property
    def uniform_length(self) -> float:
        """Up to how many tokens a pass computes the same, whatever else is in it; infinite for most models.

        "longrope" rotates all positions of a pass in another way where its longest request is longer.
        """
        text = self.config.get_text_config()
        rope = getattr(text, "rope_parameters", None) or {}
        if rope.get("rope_type") != "longrope":
            return math.inf
        original = rope.get("original_max_position_embeddings") or getattr(
            text, "original_max_position_embeddings", None
        )
        return float(original or text.max_position_embeddings)

    @cached_property
    def structure(self) -> dict[str, Json] | None:
        """What decides how it computes, besides weights; None for code that came with them and may change."""
        model = self._open_model
        base = model.get_base_model() if isinstance(model, PeftModel) else model
        if not type(base).__module__.startswith("transformers.models."):
            return None
        config = json.loads(self.config.to_json_string(use_diff=False))
        adapter = model.active_peft_config.to_dict() if isinstance(model, PeftModel) else {}
        described = self.describe()
        return {
            **{key: described[key] for key in ("device", "dtype", "attention")},
            "config": {key: value for key, value in config.items() if not key.endswith(NAMES_AND_TOKENS)},
            "adapter": str(adapter.get("peft_type")),
        }

    def logits_bytes(self) -> int:
        """Bytes that the logits of one position take, in the model's dtype and in float32."""
        return int(self.config.get_text_config().vocab_size * (4 + self.dtype.itemsize))

    def pass_bytes(self) -> int:
        """Bytes that one token takes on its way through a layer: a generous guess, halved where it fails."""
        text = self.config.get_text_config()
        inner = getattr(text, "intermediate_size", None) or 4 * text.hidden_size
        if isinstance(inner, list | tuple):  # layers of several widths
            inner = max(inner)
        return int((4 * text.hidden_size + 3 * inner) * self.dtype.itemsize) + self.cache_bytes()

    def free_bytes(self) -> int:
        """Memory that can be used beside the weights, in bytes."""
        if self.device.type == "cuda":
            return int(torch.cuda.mem_get_info(self.device)[0])
        return int(psutil.virtual_memory().available)

    def describe(self) -> dict[str, Json]:
        """What a run records."""
        cuda = self.device.type == "cuda"
        return {
            "device": torch.cuda.get_device_name(self.device) if cuda else self.device.type,
            "dtype": str(self.dtype).removeprefix("torch."),
            "architecture": str((self.config.architectures or ["unknown"])[0]),
            "parameters": self.parameters,
            # transformers keeps its choice under this name only
            "attention": str(self.config._attn_implementation),
            "threads": self.threads,
        }

    def release(self) -> None:
        """Hand back memory that torch holds for later."""
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def close(self) -> None:
        """Let go of the weights."""
        self._model = None
        self.release()


def load(
    source: Local, identity: LocalIdentity, *, name: str, device: str | None
) -> tuple[Network, PreTrainedTokenizerBase]:
    """Load what `identity` found. Raises ModelError where transformers cannot, or would invent weights.

    Raises UsageError for a device that this machine does not have.
    """
    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # not annotated there
    place = place_of(device)
    with nullcontext() if identity.gguf is None else read_once():
        tokenizer = load_tokenizer(source, identity, name=name)
        model = load_weights(source, identity, tokenizer, name=name)
    try:
        model.to(place)  # type: ignore[arg-type]  # transformers hides torch's overloads
    except torch.OutOfMemoryError as error:
        raise EngineError(f"{name}: the model does not fit into the memory of {place}") from error
    return Network(model.eval(), name=name, device=place), tokenizer


def load_tokenizer(source: Local, identity: LocalIdentity, *, name: str) -> PreTrainedTokenizerBase:
    """The tokenizer of what `identity` found. Raises ModelError where transformers cannot load it."""
    transformers.utils.logging.set_verbosity_error()  # type: ignore[no-untyped-call]  # not annotated there
    trusted: dict[str, Any] = {"trust_remote_code": source.trust_remote_code}
    with loading("tokenizer", name, identity):
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
    """What transformers is to read of the folder, where that is a GGUF file."""
    return {} if identity.gguf is None else {"gguf_file": identity.gguf.name}


def _name_special_tokens(tokenizer: PreTrainedTokenizerBase, file: Path) -> None:
    """Let special tokens be those of the file: transformers (5.17) takes Llama's BOS for its EOS, too."""
    for name, number in read_header(file).special_tokens.items():
        setattr(tokenizer, name, tokenizer.convert_ids_to_tokens(number))


def max_length(network: Network, tokenizer: PreTrainedTokenizerBase) -> int:
    """The window in tokens, found as lm-eval finds it: text configuration, then tokenizer, then 2048."""
    return window_of(network.config, tokenizer)


def window_of(config: Any, tokenizer: PreTrainedTokenizerBase) -> int:
    """The same, of any model's configuration."""
    text = getattr(config, "text_config", None) or config
    for key in ("n_positions", "max_position_embeddings", "n_ctx"):
        stated = getattr(text, key, None)
        if stated is not None:
            return int(stated)
    stated = tokenizer.model_max_length
    return int(stated) if stated is not None and stated < NO_LENGTH else DEFAULT_MAX_LENGTH


def is_out_of_memory(error: BaseException) -> bool:
    """Whether torch or Python ran out of memory: CUDA has an error of its own, the CPU only a message."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    message = str(error)
    return isinstance(error, RuntimeError) and any(words in message for words in NO_MEMORY)


def is_device_failure(error: BaseException) -> bool:
    """Whether the device itself failed: no word on what a model can do, and nothing runs on it any more."""
    return isinstance(error, torch.AcceleratorError) or (
        isinstance(error, RuntimeError) and any(words in str(error) for words in DEVICE_FAILED)
    )


def place_of(device: str | None) -> torch.device:
    """The device of this name; None: a GPU where there is one. Raises UsageError where it is not there."""
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device is None:
        return torch.device("cuda" if gpus else "cpu")
    if not re.fullmatch(r"cpu|cuda(:\d+)?", device):
        raise UsageError(f"device {device!r} is not one of cpu, cuda, cuda:N")
    place = torch.device(device)
    if place.type == "cuda" and (place.index or 0) >= gpus:
        seen = ", ".join(f"cuda:{number}" for number in range(gpus)) or "no GPU"
        raise UsageError(
            f"device {device!r}: torch {torch.__version__} finds {seen} on this machine; choose another "
            "device, or mend the driver or the installation of torch"
        )
    return place


@contextmanager
def loading(part: str, name: str, identity: LocalIdentity) -> Iterator[None]:
    """Turn what transformers says of files it cannot use into our errors."""
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
    """The error for weights that torch does not open, because they may hold code."""
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
    """A model as transformers has it, with its adapter. Raises ModelError where that cannot be loaded."""
    with loading("model", name, identity):
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
    if report["missing_keys"]:
        missing = sorted(report["missing_keys"])
        raise ModelError(
            f"{identity.path}: {len(missing)} weights are missing and would be random, such as {missing[0]}"
        )
    if file:
        _as_if_never_quantised(model)
    return model


def _unpacking() -> dict[str, Any]:
    """Have weights unpacked, where transformers could also compute with quantised ones (on some GPUs)."""
    from transformers import GgufConfig  # noqa: PLC0415 - only the extra `gguf` asks for a transformers that has it

    return {"quantization_config": GgufConfig(dequantize=True)}


def _as_if_never_quantised(model: PreTrainedModel) -> None:
    """Take off what would keep an unpacked model from being trained and saved."""
    for owner in (model, model.config):
        for attribute in QUANTISED:
            if hasattr(owner, attribute):
                delattr(owner, attribute)
    model.config.architectures = [type(model).__name__]  # the file does not state it


def _fit_vocabulary(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, adapter: Path) -> None:
    """Give the embeddings as many rows as the adapter's have, or as its tokenizer needs.

    PEFT wants the base as it was in training. Rows that the adapter does not hold are the mean of the
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
    with loading("configuration", "", identity), torch.device("meta"):
        config = AutoConfig.from_pretrained(identity.path, trust_remote_code=trusted, **_file(identity))
        model = AutoModelForCausalLM.from_config(  # type: ignore[no-untyped-call]  # not annotated there
            config, trust_remote_code=trusted
        )
        held = _saved_rows(model, identity.adapter) or len(_vocabulary_layers(model)[0].weight)
    return list(range(held, len(tokenizer)))


def _saved_rows(model: PreTrainedModel, adapter: Path) -> int | None:
    """How many rows the embeddings in an adapter have: trained whole, or by a low-rank pair."""
    layers = _vocabulary_layers(model)
    names = [name for name, module in model.named_modules() if any(module is layer for layer in layers)]
    for key, weight in load_peft_weights(str(adapter), device="cpu").items():
        if any(key.endswith(f"{name}.weight") for name in names):
            return int(weight.shape[0])
        if any(key.endswith(f"{name}.lora_embedding_A") for name in names):
            return int(weight.shape[1])
    return None
