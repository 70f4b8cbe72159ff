"""What stages start from, written as an ordinary folder: a GGUF file, or a base with an adapter.

    OUTPUT/bases/HASH/    the model, its weights unpacked or its adapter merged, with the tokenizer it is
                          used with; named by the hash of what it is made from, and made once
    OUTPUT/bases/HASH.tokenizer/    its tokenizer alone, for plans and checks before that

Trainers are given a folder, so that all of them, and their reference models, read the same weights.
"""

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import cast

import torch
from peft import PeftModel
from transformers import PreTrainedModel

from harness.engine.gguf import read_once
from harness.engine.identity import identify
from harness.engine.local.loading import load_tokenizer, load_weights
from harness.records.models import Local
from trainers.planning import StageOrigin
from trainers.whole_folders import appearing_whole


def write_base(origin: StageOrigin) -> None:
    """Write what `origin` is made from, in the original's number format. Raises as loading it does."""
    model = origin.written_from
    assert model is not None
    source = cast(Local, model.source)
    identity = identify(model)
    with nullcontext() if identity.gguf is None else read_once():
        tokenizer = load_tokenizer(source, identity, name=model.name)
        loaded = load_weights(source, replace(identity, dtype="float32"), tokenizer, name=model.name)
    whole = cast(PreTrainedModel, loaded.merge_and_unload() if isinstance(loaded, PeftModel) else loaded)
    whole.to(dtype=getattr(torch, identity.dtype))  # type: ignore[call-arg]  # its wrapper hides self from mypy
    tokenizer.chat_template = identity.chat_template
    with appearing_whole(origin.folder) as unfinished:
        whole.save_pretrained(unfinished)
        tokenizer.save_pretrained(unfinished)


def write_tokenizer(origin: StageOrigin, folder: Path) -> None:
    """Write the tokenizer of what `origin` is made from, without its weights. Raises as loading it does."""
    model = origin.written_from
    assert model is not None
    identity = identify(model)
    with nullcontext() if identity.gguf is None else read_once():
        tokenizer = load_tokenizer(cast(Local, model.source), identity, name=model.name)
    tokenizer.chat_template = identity.chat_template
    with appearing_whole(folder) as unfinished:
        tokenizer.save_pretrained(unfinished)
