"""Pretraining from scratch: a byte-level BPE tokenizer and a Llama-like model, learned from plain text.

Documents are joined, each between its beginning and end tokens, and cut into equal blocks, so that there is
no padding. With transformers' Trainer: where nothing is masked, TRL adds nothing.
"""

from collections.abc import Mapping
from itertools import chain
from typing import cast

from datasets import Dataset
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Trainer,
    TrainingArguments,
    default_data_collator,
    set_seed,
)

from harness.errors import DataError
from harness.records.models import Json
from trainers.data import texts
from trainers.job import Job
from trainers.policy import save_policy
from trainers.stage_settings import Pretrain
from trainers.training import plain_arguments, train

BEGIN, END, PADDING = "<|begin|>", "<|end|>", "<|pad|>"


def run(job: Job) -> Mapping[str, Json]:
    """Train, write the candidate, return the metrics. Raises DataError, TrainingError."""
    settings = cast(Pretrain, job.settings)
    corpus = texts(job.data, job.rows)
    tokenizer = train_tokenizer(corpus, settings)
    blocks = cut_blocks(tokenizer, corpus, settings.max_length)
    if not blocks:
        raise DataError(job.data, 0, f"the text is shorter than one block of {settings.max_length} tokens")
    set_seed(job.seed)
    model = LlamaForCausalLM(architecture(tokenizer, settings))  # type: ignore[no-untyped-call]  # not annotated there
    trainer = Trainer(
        model=model,
        args=TrainingArguments(**plain_arguments(job)),
        train_dataset=Dataset.from_list([{"input_ids": block, "labels": block} for block in blocks]),
        data_collator=default_data_collator,
        processing_class=tokenizer,
    )
    trained, metrics = train(job, trainer)
    save_policy(job, trained, tokenizer, chat=False)
    return {"tokens": len(blocks) * settings.max_length, "parameters": model.num_parameters(), **metrics}


def train_tokenizer(corpus: list[str], settings: Pretrain) -> PreTrainedTokenizerFast:
    """A byte-level BPE that puts the beginning token in front of every text."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    special = [BEGIN, END, PADDING, *settings.special_tokens]
    bpe.train_from_iterator(
        corpus,
        trainers.BpeTrainer(
            vocab_size=settings.vocabulary,
            special_tokens=special,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    bpe.post_processor = processors.TemplateProcessing(
        single=f"{BEGIN} $A", pair=f"{BEGIN} $A $B", special_tokens=[(BEGIN, bpe.token_to_id(BEGIN))]
    )
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]  # not annotated there
        tokenizer_object=bpe,
        bos_token=BEGIN,
        eos_token=END,
        pad_token=PADDING,
        additional_special_tokens=list(settings.special_tokens),
        chat_template=settings.chat_template,
        model_max_length=settings.max_positions,
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )


def cut_blocks(tokenizer: PreTrainedTokenizerFast, corpus: list[str], length: int) -> list[list[int]]:
    """All documents' tokens in one stream, cut into blocks of `length`; what is left over is dropped."""
    documents = tokenizer(corpus)["input_ids"] if corpus else []
    stream = list(chain.from_iterable([*document, tokenizer.eos_token_id] for document in documents))
    return [stream[start : start + length] for start in range(0, len(stream) - length + 1, length)]


def architecture(tokenizer: PreTrainedTokenizerFast, settings: Pretrain) -> LlamaConfig:
    """A Llama with tied embeddings in the sizes of the settings."""
    return LlamaConfig(
        vocab_size=len(tokenizer),
        **settings.sizes,
        num_key_value_heads=settings.heads,
        max_position_embeddings=settings.max_positions,
        initializer_range=settings.initializer_range,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
