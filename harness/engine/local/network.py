"""A causal language model on its device: one forward pass from tokens to logits, and its memory."""

import copy
import gc
import inspect
import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Any, cast

import torch
from peft import PeftModel
from transformers import (
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from harness.engine.local.devices import free_bytes, give_back, name_of
from harness.engine.local.grouped_query_attention import share_keys
from harness.engine.local.widening import computing_in_float32
from harness.errors import EngineError
from harness.records.models import Json

SMALL = 5_000_000
"""Parameters. Below this, a second CPU thread costs more than it gains, and large batches cost little."""

DEFAULT_MAX_LENGTH = 2048
"""lm-eval's, where neither the configuration nor the tokenizer states a length."""

NO_LENGTH = 1_000_000_000
"""A tokenizer that states more than this states nothing (transformers' own mark is 1e30)."""

NO_MEMORY = ("not enough memory", "can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED")
"""Messages of torch where memory runs out and it has no error class for that."""

HIDDEN_STATE = ("recurrent_gemma",)
"""Kinds of models that accept a cache, but keep their state within their layers."""

DEVICE_FAILED = ("CUDA error", "cuDNN error")
"""Messages of torch where an assertion failed on the device, or it read memory that is not there."""

NAMES_AND_TOKENS = ("_name_or_path", "_version", "token_id")
"""Endings of configuration keys for a model's origin or the use of its tokens."""


Mask = torch.Tensor | Mapping[str, torch.Tensor]
"""Which positions are seen: `(batch, length)` for padding, or an additive mask `(batch, 1, new, all)`, or one
such mask for each kind of layer."""


class Network:
    """A model on its device: token ids `(batch, length)` to logits `(batch, kept, vocabulary)`."""

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

        The process's own number of threads is restored afterwards, so never yield an answer from within.
        """
        with threads(self.threads), torch.inference_mode():
            yield

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
        """One pass over `tokens` `(batch, length)`; `mask` says which cached and new positions they see.

        `positions` `(batch, length)` are those within each request. `keep` selects the positions whose logits
        are wanted: a number of last ones, or indices. Returns logits `(batch, kept, vocabulary)` in the
        model's dtype, and the cache. Raises EngineError after `close`.
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
        """The network computing in float32, on the same weights. Use nothing else of it meanwhile."""
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
        """Bytes per token in the key-value cache.

        For a model without attention, which has none: those of a row that is read again for every token.
        """
        text = self.config.get_text_config()
        if getattr(text, "num_attention_heads", None) is None:
            return int(2 * text.num_hidden_layers * text.hidden_size * self.dtype.itemsize)
        heads = getattr(text, "num_key_value_heads", None) or text.num_attention_heads
        width = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
        return int(2 * text.num_hidden_layers * heads * width * self.dtype.itemsize)

    @property
    def takes_cache(self) -> bool:
        """Whether it reads earlier tokens from a cache that is passed to it, as attention does."""
        return "past_key_values" in self._accepts and self.config.model_type not in HIDDEN_STATE

    @cached_property
    def uniform_length(self) -> float:
        """The length in tokens up to which a request's numbers do not depend on others in its pass.

        It is infinite for most models; "longrope" rotates all positions of a pass differently where its
        longest request is longer.
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
        """What determines its computation besides weights; None where its code came with them."""
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
        """Bytes of the logits of one position, in the model's dtype plus in float32."""
        return int(self.config.get_text_config().vocab_size * (4 + self.dtype.itemsize))

    def pass_bytes(self) -> int:
        """Bytes of one token on its way through a layer: a generous estimate."""
        text = self.config.get_text_config()
        inner = getattr(text, "intermediate_size", None) or 4 * text.hidden_size
        if isinstance(inner, list | tuple):  # layers of several widths
            inner = max(inner)
        return int((4 * text.hidden_size + 3 * inner) * self.dtype.itemsize) + self.cache_bytes()

    def free_bytes(self) -> int:
        """Free memory beside the weights, in bytes."""
        return free_bytes(self.device)

    def describe(self) -> dict[str, Json]:
        """Device, dtype, architecture, parameters, attention and threads, for runs to record."""
        return {
            "device": name_of(self.device),
            "dtype": str(self.dtype).removeprefix("torch."),
            "architecture": str((self.config.architectures or ["unknown"])[0]),
            "parameters": self.parameters,
            # transformers keeps its choice under this name only
            "attention": str(self.config._attn_implementation),
            "threads": self.threads,
        }

    def release(self) -> None:
        """Free memory that torch caches."""
        gc.collect()
        give_back(self.device)

    def close(self) -> None:
        self._model = None
        self.release()


@contextmanager
def threads(number: int) -> Iterator[None]:
    """Within it, torch computes with so many threads of the CPU."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def window_of(config: Any, tokenizer: PreTrainedTokenizerBase) -> int:
    """The window in tokens, found as lm-eval finds it: text configuration, then tokenizer, then 2048."""
    text = getattr(config, "text_config", None) or config
    for key in ("n_positions", "max_position_embeddings", "n_ctx"):
        stated = getattr(text, key, None)
        if stated is not None:
            return int(stated)
    stated = tokenizer.model_max_length
    return int(stated) if stated is not None and stated < NO_LENGTH else DEFAULT_MAX_LENGTH


def is_out_of_memory(error: BaseException) -> bool:
    """Whether torch or Python ran out of memory: CUDA has its own error class, the CPU only a message."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    message = str(error)
    return isinstance(error, RuntimeError) and any(words in message for words in NO_MEMORY)


def is_device_failure(error: BaseException) -> bool:
    """Whether the device itself failed, so that nothing runs on it any more."""
    return isinstance(error, torch.AcceleratorError) or (
        isinstance(error, RuntimeError) and any(words in str(error) for words in DEVICE_FAILED)
    )
