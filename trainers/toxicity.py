"""A toxicity classifier, from an encoder or from nothing, in Detoxify's checkpoint format.

One independent probability for each class, trained on labels from 0 to 1 as they are; a text without a label
for a class is no part of that class's loss. The folder holds an ordinary candidate, its card, its predictions
for held-out texts, and `detoxify.ckpt`, which `Detoxify(checkpoint=…, huggingface_config_path=FOLDER)` reads
(detoxify 0.5.4; its `model_type` is a folder on the reader's machine, so the reader fills it in: a path in
the file would make equal classifiers differ).
"""

from collections.abc import Mapping, Sequence
from inspect import signature
from statistics import fmean, pstdev
from typing import Any, cast

import torch
from torch.nn.functional import binary_cross_entropy_with_logits
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Trainer,
    TrainingArguments,
    set_seed,
)

from harness.errors import ModelError, TrainingError
from harness.records.models import Json
from trainers import classifier_card, classifier_quality
from trainers.classifier_quality import CONSTANT, FEWEST, FIGURES, main_class
from trainers.data import ScoredText, scored_texts
from trainers.holdout import held_out_texts
from trainers.job import Job
from trainers.small_bert import small_bert
from trainers.stage_settings import ToxicityTraining
from trainers.tokenised_texts import TokenisedTexts
from trainers.tokens import IGNORED
from trainers.training import limited_threads, plain_arguments, train

CHECKPOINT = "detoxify.ckpt"
BATCH = 64
"""Texts that are judged in one pass."""
SAMPLED = 200
"""Learned texts that show whether a classifier is constant, where few are held out."""


def run(job: Job) -> Mapping[str, Json]:
    """Train, write the candidate, return the metrics. Raises DataError, ModelError, TrainingError."""
    settings = cast(ToxicityTraining, job.settings)
    every = scored_texts(job.data, job.rows, settings.classes)
    labelled = [each for each in every if each.is_labelled]
    apart, learned = held_out_texts(job.data, labelled, settings.holdout, seed=job.seed)
    set_seed(job.seed)
    model, tokenizer = _start(job, settings, [each.text for each in learned])
    trainer = Trainer(
        model=model,
        args=TrainingArguments(**plain_arguments(job), train_sampling_strategy="sequential"),
        train_dataset=TokenisedTexts(learned, tokenizer, settings.batch_size, job.seed),
        data_collator=DataCollatorWithPadding(tokenizer),
        processing_class=tokenizer,
        compute_loss_func=masked_loss,
    )
    trained, metrics = train(job, trainer)
    if job.is_main:
        trained.save_pretrained(job.folder)
        tokenizer.save_pretrained(job.folder)
        torch.save(detoxify_checkpoint(trained, tokenizer, settings), job.folder / CHECKPOINT)
        metrics[FIGURES] = _quality(job, settings, apart, learned)
        card = classifier_card.classifier_card(
            data=job.data,
            architecture=type(trained).__name__,
            parameters=trained.num_parameters(),
            from_base=job.base is not None,
            texts=len(learned),
            held_out=cast("Mapping[str, Any] | None", metrics[FIGURES]),
        )
        (job.folder / classifier_card.FILE).write_text(card, encoding="utf-8")
    return {
        "rows": len(learned),
        "rows_held_out": len(apart),
        "rows_unlabelled": len(every) - len(labelled),
        "parameters": trained.num_parameters(),
        **metrics,
    }


def _start(
    job: Job, settings: ToxicityTraining, corpus: Sequence[str]
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The untrained classifier: the base with a new head, or a small BERT. Raises ModelError."""
    head = {
        "problem_type": "multi_label_classification",
        "id2label": dict(enumerate(settings.classes)),
        "label2id": {name: number for number, name in enumerate(settings.classes)},
    }
    if job.base is None:
        return small_bert(corpus, settings, head)
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(job.base)
        model: PreTrainedModel = AutoModelForSequenceClassification.from_pretrained(
            job.base, dtype=torch.float32, ignore_mismatched_sizes=True, **head
        )
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"{job.base}: no classifier can start from it: {error}") from error
    if tokenizer.pad_token_id is None:
        raise ModelError(
            f"{job.base}: its tokenizer has no padding token, which a classifier needs; start from an "
            "encoder such as BERT, RoBERTa or MiniLM"
        )
    tokenizer.model_max_length = min(
        settings.max_length, tokenizer.model_max_length, positions(model) or settings.max_length
    )
    return model, tokenizer


def positions(model: PreTrainedModel) -> int | None:
    """How many tokens a model can read; None where it has no table of positions.

    RoBERTa and its kin begin to count after the padding token's number.
    """
    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and isinstance(module, torch.nn.Embedding):
            return module.num_embeddings - (0 if module.padding_idx is None else module.padding_idx + 1)
    return None


def masked_loss(
    outputs: Mapping[str, torch.Tensor], labels: torch.Tensor, num_items_in_batch: int
) -> torch.Tensor:
    """Binary cross-entropy, the mean over the labels that there are in all of a step's rows."""
    known = labels != IGNORED
    losses = binary_cross_entropy_with_logits(
        outputs["logits"][known].float(), labels[known], reduction="sum"
    )
    return losses / num_items_in_batch


def _quality(
    job: Job, settings: ToxicityTraining, apart: Sequence[ScoredText], learned: Sequence[ScoredText]
) -> dict[str, Json] | None:
    """Judge the held-out texts, keep the predictions, and return how good they are; None without any.

    Raises TrainingError for a classifier whose predictions are the same for all texts.
    """
    predicted = probabilities(str(job.folder), [each.text for each in apart])
    looked_at = predicted
    if len(apart) < FEWEST:
        some = learned[:: -(-len(learned) // SAMPLED)]
        looked_at = [*predicted, *probabilities(str(job.folder), [each.text for each in some])]
    main = main_class(settings.classes)
    values = [each[settings.classes.index(main)] for each in looked_at]
    if len(values) >= FEWEST and pstdev(values) < CONSTANT:
        raise TrainingError(
            f"{job.kind}: the classifier is constant: {fmean(values):.3f} for each of {len(values):,} texts "
            f"(`{main}`, standard deviation {pstdev(values):.2g}). It has learned their mean only: try "
            f"another `learning_rate` than {settings.learning_rate:g}, or more `epochs`"
            + ("" if job.base is not None else ", or start from an encoder (`base` of the pipeline)")
        )
    if not apart:
        return None
    found = classifier_quality.judged_texts(apart, predicted)
    classifier_quality.write(job.folder, found)
    return classifier_quality.figures(found, settings.classes)


@torch.inference_mode()
def probabilities(folder: str, texts: Sequence[str]) -> list[list[float]]:
    """A classifier's predictions for texts: the probability of each of its classes."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
    ids: list[list[int]] = tokenizer(list(texts), truncation=True)["input_ids"] if texts else []
    predicted: list[list[float]] = [[] for _ in texts]
    by_length = sorted(range(len(texts)), key=lambda place: len(ids[place]))
    with limited_threads(model):
        for start in range(0, len(by_length), BATCH):
            places = by_length[start : start + BATCH]
            padded = tokenizer.pad({"input_ids": [ids[place] for place in places]}, return_tensors="pt")
            for place, values in zip(places, model(**padded).logits.sigmoid().tolist(), strict=True):
                predicted[place] = values
    return predicted


def detoxify_checkpoint(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, settings: ToxicityTraining
) -> dict[str, object]:
    """What Detoxify reads: weights, and plain values only.

    It gives the model all that its tokenizer gives. DistilBERT's is often BERT's, with types of tokens that
    the model does not take; the plain tokenizer leaves them out.
    """
    unread = set(tokenizer.model_input_names) - signature(model.forward).parameters.keys()
    return {
        "config": {
            "dataset": {"args": {"classes": list(settings.classes)}},
            "arch": {
                "args": {
                    "num_classes": len(settings.classes),
                    "model_type": ".",
                    "model_name": type(model).__name__,
                    "tokenizer_name": "PreTrainedTokenizerFast" if unread else type(tokenizer).__name__,
                }
            },
        },
        "state_dict": {name: weight.cpu() for name, weight in model.state_dict().items()},
    }
