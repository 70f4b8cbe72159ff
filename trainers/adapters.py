"""Low-rank adapters: PEFT's configuration, and the candidate that an adapter is merged into.

A candidate is always a whole model, so that whatever evaluates, serves or trains it further can ignore
adapters. It is the base, loaded again without quantisation, with the adapter merged into it.
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


def adapter_arguments(job: Job, *, judges: bool = False) -> dict[str, Any]:
    """A TRL trainer's arguments about adapters; empty where the stage trains none.

    `judges`: the model's head is one number, which is trained as a whole. Raises UsageError where the base is
    to be quantised and this machine cannot.
    """
    assert isinstance(job.settings, Conversational)
    adapter = job.settings.adapter
    if adapter is None:
        return {}
    arguments: dict[str, Any] = {
        "peft_config": LoraConfig(
            r=adapter.rank,
            lora_alpha=adapter.alpha,
            lora_dropout=adapter.dropout,
            target_modules="all-linear" if adapter.targets == ("all-linear",) else list(adapter.targets),
            task_type="SEQ_CLS" if judges else "CAUSAL_LM",
        )
    }
    return arguments if adapter.quantize is None else arguments | {"quantization_config": _quantization()}


def merge_adapter(job: Job, model: PreTrainedModel) -> PreTrainedModel:
    """The model, or, for an adapter, its base in float32 with the adapter merged in; the adapter is saved."""
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


def _quantization() -> BitsAndBytesConfig:
    """4-bit NormalFloat with double quantisation, as QLoRA has it."""
    if not torch.cuda.is_available():
        raise UsageError(
            '`adapter = { quantize = "4bit" }` needs a GPU; leave `quantize` out on this machine'
        )
    if find_spec("bitsandbytes") is None:
        raise UsageError('`adapter = { quantize = "4bit" }` needs bitsandbytes: pip install bitsandbytes')
    return BitsAndBytesConfig(  # type: ignore[no-untyped-call]  # not annotated there
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )
