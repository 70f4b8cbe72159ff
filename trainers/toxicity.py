"""A toxicity classifier from scratch, in Detoxify's checkpoint format.

A BERT-style classifier with one independent probability per class; rows say what counts as toxic. Its folder
holds an ordinary candidate and `detoxify.ckpt`, which `Detoxify(checkpoint=…,
huggingface_config_path=FOLDER)` reads (detoxify 0.5.4; its `model_type` is a folder on the reader's machine,
so the reader fills it in: a path in the file would make equal classifiers differ).
"""

from collections import Counter
from collections.abc import Mapping
from typing import cast

import torch
from datasets import Dataset
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertTokenizer,
    DataCollatorWithPadding,
    PreTrainedModel,
    Trainer,
    TrainingArguments,
    set_seed,
)

from harness.errors import DataError
from harness.records.models import Json
from trainers.data import texts
from trainers.job import Job
from trainers.reading import Row
from trainers.settings import ToxicityTraining
from trainers.training import plain_arguments, save_model, train

CHECKPOINT = "detoxify.ckpt"
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
"""In the order in which BERT's tokenizer has them without a vocabulary."""


def run(job: Job) -> Mapping[str, Json]:
    """Train, write the candidate, return the metrics. Raises DataError, TrainingError."""
    settings = cast(ToxicityTraining, job.settings)
    corpus = texts(job.data, job.rows)
    labels = [class_labels(job.data, number, row, settings) for number, row in enumerate(job.rows, start=1)]
    tokenizer = train_tokenizer(corpus, settings)
    set_seed(job.seed)
    model = BertForSequenceClassification(architecture(tokenizer, settings))  # type: ignore[no-untyped-call]  # not annotated there
    encoded = tokenizer(corpus, truncation=True)
    trainer = Trainer(
        model=model,
        args=TrainingArguments(**plain_arguments(job)),
        train_dataset=Dataset.from_dict({"input_ids": encoded["input_ids"], "labels": labels}),
        data_collator=DataCollatorWithPadding(tokenizer),
        processing_class=tokenizer,
    )
    trained, metrics = train(job, trainer)
    save_model(job, trained, tokenizer)
    if job.is_main:
        torch.save(detoxify_checkpoint(trained, settings), job.folder / CHECKPOINT)
    return {"rows": len(corpus), "parameters": model.num_parameters(), **metrics}


def class_labels(data: str, number: int, row: Row, settings: ToxicityTraining) -> list[float]:
    """A row's numbers by class. Raises DataError for one that is missing or not from 0 to 1."""
    values: list[float] = []
    for name in settings.classes:
        value = row.get(name)
        if not isinstance(value, int | float) or not 0 <= value <= 1:
            raise DataError(data, number, f"column `{name}` must be a number from 0 to 1, not {value!r}")
        values.append(float(value))
    return values


def train_tokenizer(corpus: list[str], settings: ToxicityTraining) -> BertTokenizer:
    """BERT's WordPiece, lower-cased, over the corpus's characters and its most frequent words.

    The tokenizers library can learn one too, but breaks ties differently from run to run.
    """
    backend = BertTokenizer().backend_tokenizer
    words = Counter(
        word
        for text in corpus
        for word, _ in backend.pre_tokenizer.pre_tokenize_str(backend.normalizer.normalize_str(text))
    )
    pieces = vocabulary(words, settings.vocabulary)
    return BertTokenizer(
        vocab={piece: number for number, piece in enumerate(pieces)},
        model_max_length=settings.max_length,
    )


def vocabulary(words: Mapping[str, int], size: int) -> list[str]:
    """Special tokens, every character as a word's first and as a later one, and the most frequent words."""
    characters = sorted({character for word in words for character in word})
    inner = [f"##{character}" for character in characters]
    by_frequency = sorted(words, key=lambda word: (-words[word], word))
    return list(dict.fromkeys([*SPECIAL, *characters, *inner, *by_frequency]))[:size]


def architecture(tokenizer: BertTokenizer, settings: ToxicityTraining) -> BertConfig:
    """A BERT in the sizes of the settings; a text can belong to several classes."""
    return BertConfig(
        vocab_size=len(tokenizer),
        **settings.sizes,
        max_position_embeddings=settings.max_length,
        pad_token_id=tokenizer.pad_token_id,
        problem_type="multi_label_classification",
        id2label=dict(enumerate(settings.classes)),
        label2id={name: number for number, name in enumerate(settings.classes)},
    )


def detoxify_checkpoint(model: PreTrainedModel, settings: ToxicityTraining) -> dict[str, object]:
    """What Detoxify reads: weights, and plain values only."""
    return {
        "config": {
            "dataset": {"args": {"classes": list(settings.classes)}},
            "arch": {
                "args": {
                    "num_classes": len(settings.classes),
                    "model_type": ".",
                    "model_name": "BertForSequenceClassification",
                    "tokenizer_name": "BertTokenizer",
                }
            },
        },
        "state_dict": {name: weight.cpu() for name, weight in model.state_dict().items()},
    }
