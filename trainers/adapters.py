"""Low-rank adapters: what PEFT is told, and how the candidate comes from an adapter.

A candidate is always a whole model, so that whatever evaluates, serves or trains on it needs to know nothing
of adapters. It is the base, loaded anew and unquantised, with the adapter merged into it.

It does not know what is learned.
"""

from importlib.util import find_spec
from typing import Any, cast

import torch
from peft import LoraConfig, PeftModel
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    BitsAndBytesConfig,
    PreTrainedModel,
)

from harness.errors import UsageError
from trainers.job import Job
from trainers.settings import Conversational

FOLDER = "adapter"
"""Beside the candidate's own files."""


def adapting(job: Job, *, judges: bool = False) -> dict[str, Any]:
    """What a TRL trainer is told of an adapter; nothing where none is asked for.

    `judges`: the model has one number as its head, which is trained whole. Raises UsageError where the base
    is to be quantised and this machine cannot.
    """
    assert isinstance(job.settings, Conversational)
    asked = job.settings.adapter
    if asked is None:
        return {}
    told: dict[str, Any] = {
        "peft_config": LoraConfig(
            r=asked.rank,
            lora_alpha=asked.alpha,
            lora_dropout=asked.dropout,
            target_modules="all-linear" if asked.targets == ("all-linear",) else list(asked.targets),
            task_type="SEQ_CLS" if judges else "CAUSAL_LM",
        )
    }
    return told if asked.quantize is None else told | {"quantization_config": _quantised()}


def merged(job: Job, model: PreTrainedModel) -> PreTrainedModel:
    """The model itself, or, of an adapter, the base with it merged in, in float32; the adapter is kept."""
    if not isinstance(model, PeftModel):
        return model
    model.save_pretrained(str(job.folder / FOLDER))
    if model.peft_config["default"].task_type == "SEQ_CLS":
        base = AutoModelForSequenceClassification.from_pretrained(
            str(job.base), dtype=torch.float32, num_labels=1
        )
    else:
        base = AutoModelForCausalLM.from_pretrained(str(job.base), dtype=torch.float32)
    whole: PreTrainedModel = PeftModel.from_pretrained(base, job.folder / FOLDER).merge_and_unload()
    whole.config.pad_token_id = cast(PreTrainedModel, model.get_base_model()).config.pad_token_id
    return whole


def _quantised() -> BitsAndBytesConfig:
    """4-bit NormalFloat with double quantisation, as QLoRA has it."""
    if not torch.cuda.is_available():
        raise UsageError(
            '`adapter = { quantize = "4bit" }` needs a GPU; leave `quantize` out on this machine'
        )
    if find_spec("bitsandbytes") is None:
        raise UsageError('`adapter = { quantize = "4bit" }` needs bitsandbytes: pip install bitsandbytes')
    return BitsAndBytesConfig(  # type: ignore[no-untyped-call]  # transformers types it not
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )
