"""A small BERT classifier from nothing: its tokenizer and its untrained weights."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from transformers import BertConfig, BertForSequenceClassification, BertTokenizer

from trainers.stage_settings import ToxicityTraining

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
"""In the order in which BERT's tokenizer has them without a vocabulary."""


def small_bert(
    corpus: Sequence[str], settings: ToxicityTraining, head: Mapping[str, Any]
) -> tuple[BertForSequenceClassification, BertTokenizer]:
    """A model in the sizes of the settings, with `head` as its configuration of classes, and a tokenizer."""
    tokenizer = _train_tokenizer(corpus, settings)
    sizes: dict[str, Any] = {
        "hidden_size": settings.width,
        "num_hidden_layers": settings.layers,
        "num_attention_heads": settings.heads,
        "intermediate_size": settings.intermediate,
    }
    config = BertConfig(
        vocab_size=len(tokenizer),
        max_position_embeddings=settings.max_length,
        pad_token_id=tokenizer.pad_token_id,
        **sizes,
        **head,
    )
    return BertForSequenceClassification(config), tokenizer  # type: ignore[no-untyped-call]  # not annotated there


def _train_tokenizer(corpus: Sequence[str], settings: ToxicityTraining) -> BertTokenizer:
    """BERT's WordPiece, lower-cased, over the corpus's characters and its most frequent words.

    The tokenizers library can learn one too, but breaks ties differently from run to run.
    """
    backend = BertTokenizer().backend_tokenizer
    words = Counter(
        word
        for text in corpus
        for word, _ in backend.pre_tokenizer.pre_tokenize_str(backend.normalizer.normalize_str(text))
    )
    pieces = vocabulary(words)[: settings.vocabulary]
    return BertTokenizer(
        vocab={piece: number for number, piece in enumerate(pieces)},
        model_max_length=settings.max_length,
    )


def vocabulary(words: Mapping[str, int]) -> list[str]:
    """Special tokens, every character as a word's first and as a later one, and the most frequent words."""
    characters = sorted({character for word in words for character in word})
    inner = [f"##{character}" for character in characters]
    by_frequency = sorted(words, key=lambda word: (-words[word], word))
    return list(dict.fromkeys([*SPECIAL, *characters, *inner, *by_frequency]))
