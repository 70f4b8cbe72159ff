"""A toxicity classifier in Detoxify's checkpoint format: a BERT of a few thousand random, seeded weights."""

from pathlib import Path

import torch
from transformers import BertConfig, BertForSequenceClassification, BertTokenizer

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "dog", "is", "you", "fool", "kind", "."]


def tiny_classifier(folder: Path, *, classes: tuple[str, ...] = ("toxic", "insult"), seed: int = 0) -> Path:
    """Configuration, tokenizer and `model.ckpt` in a folder. Detoxify reads `toxic` as `toxicity`."""
    folder.mkdir(parents=True)
    torch.manual_seed(seed)
    config = BertConfig(  # type: ignore[call-arg]  # its keyword arguments are untyped
        vocab_size=len(WORDS),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=64,
        initializer_range=1.0,
        num_labels=len(classes),
    )
    model = BertForSequenceClassification(config)
    config.save_pretrained(folder)
    tokenizer = BertTokenizer(vocab={word: place for place, word in enumerate(WORDS)})
    tokenizer.model_max_length = 64
    tokenizer.save_pretrained(folder)
    arguments = {
        "num_classes": len(classes),
        "model_type": "bert-base-uncased",
        "model_name": "BertForSequenceClassification",
        "tokenizer_name": "BertTokenizer",
    }
    checkpoint = {
        "config": {"dataset": {"args": {"classes": list(classes)}}, "arch": {"args": arguments}},
        "state_dict": model.state_dict(),
    }
    torch.save(checkpoint, folder / "model.ckpt")
    return folder
