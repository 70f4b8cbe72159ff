"""Tiny encoders in hub layout, with random seeded weights: what a classifier can start from."""

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from tokenizers import pre_tokenizers
from transformers import (
    BertConfig,
    BertModel,
    BertTokenizer,
    DistilBertConfig,
    DistilBertModel,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    RobertaConfig,
    RobertaModel,
    RobertaTokenizer,
)

from tests.trainers.world import THINGS

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "and", *THINGS]
BYTES = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 40,
    "initializer_range": 0.2,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
}
DISTIL_SIZES = {
    "dim": 32,
    "n_layers": 1,
    "n_heads": 2,
    "hidden_dim": 32,
    "max_position_embeddings": 40,
    "initializer_range": 0.2,
}


def _bert() -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    return BertModel(BertConfig(vocab_size=len(WORDS), **SIZES)), _word_pieces()  # type: ignore[no-untyped-call]  # not annotated there


def _distilbert() -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """With BERT's tokenizer, which gives token types that the model does not take."""
    return DistilBertModel(DistilBertConfig(vocab_size=len(WORDS), **DISTIL_SIZES)), _word_pieces()


def _roberta() -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Letter by letter; positions begin after the padding token's number."""
    config = RobertaConfig(vocab_size=len(BYTES), pad_token_id=1, bos_token_id=0, eos_token_id=2, **SIZES)
    tokenizer = RobertaTokenizer(vocab={byte: place for place, byte in enumerate(BYTES)}, merges=[])
    return RobertaModel(config), tokenizer


def _word_pieces() -> BertTokenizer:
    return BertTokenizer(vocab={word: place for place, word in enumerate(WORDS)})


ENCODERS: Mapping[str, Callable[[], tuple[PreTrainedModel, PreTrainedTokenizerBase]]] = {
    "bert": _bert,
    "distilbert": _distilbert,
    "roberta": _roberta,
}


def tiny_encoder(kind: str, folder: Path) -> Path:
    """Write one of `ENCODERS` into a folder."""
    torch.manual_seed(0)
    model, tokenizer = ENCODERS[kind]()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
