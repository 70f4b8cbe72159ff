"""The examination of a model trained anywhere: what its files, its tokenizer and its chat template show."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from transformers import PreTrainedTokenizerBase

from harness.engine.gguf import read_header
from harness.engine.identity import LocalIdentity, identify
from harness.engine.local.loading import load_tokenizer, missing_rows
from harness.engine.local.tokens import appended
from harness.engine.model_files import stated_ends
from harness.records.models import Local, Model
from trainers.doctor.findings import DoctorFinding, Examination
from trainers.tokens import answer_ids


@dataclass(frozen=True, slots=True, kw_only=True)
class ExaminedModel:
    """A model's files, with the tokenizer and the chat template that it is used with."""

    source: Local
    identity: LocalIdentity
    tokenizer: PreTrainedTokenizerBase

    @property
    def place(self) -> Path:
        return self.identity.gguf or self.identity.path

    @property
    def ends(self) -> tuple[int, ...]:
        """The tokens that end a text according to the model's own configuration."""
        if self.identity.gguf is None:
            return stated_ends(self.identity.path)
        end = read_header(self.identity.gguf).special_tokens.get("eos_token")
        return () if end is None else (end,)

    def named(self, number: int) -> str:
        """A token's text and number."""
        return f"{self.tokenizer.convert_ids_to_tokens(number)!r} ({number})"


def examine_model(model: Model) -> Examination:
    """What would invalidate a local model's numbers, as far as its files show.

    Raises ModelError for a model that cannot be used.
    """
    source = cast(Local, model.source)
    identity = identify(model)
    tokenizer = load_tokenizer(source, identity, name=model.name)
    tokenizer.chat_template = identity.chat_template
    examined = ExaminedModel(source=source, identity=identity, tokenizer=tokenizer)
    return Examination(
        name=model.name, findings=tuple(finding for check in CHECKS for finding in check(examined))
    )


def template(model: ExaminedModel) -> Iterator[DoctorFinding]:
    """No chat template at all."""
    if model.identity.chat_template is None:
        yield DoctorFinding(
            check="chat template missing",
            severity="warning",
            where=str(model.place),
            evidence="the tokenizer has no chat template: suites prompt the model with plain text",
            fix="give the model one (`chat_template` in harness.toml), unless it is a base model",
        )


def stops(model: ExaminedModel) -> Iterator[DoctorFinding]:
    """A model that does not stop where its template ends an answer."""
    end = _end_of_turn(model)
    if end is None:
        return
    own = model.tokenizer.eos_token_id
    known = model.ends or (() if own is None else (own,))
    if end not in known:
        stated = known[0] if len(known) == 1 else list(known)
        yield DoctorFinding(
            check="end of turn never stopped on",
            severity="error",
            where=str(model.identity.gguf or model.identity.path / "generation_config.json"),
            evidence=f"the template ends an answer with {model.named(end)}, and eos_token_id is {stated}: "
            "answers go on to their longest length",
            fix=f'"eos_token_id": {sorted({*known, end})}',
        )


def disputed_end(model: ExaminedModel) -> Iterator[DoctorFinding]:
    """A tokenizer that ends texts with another token than the model's configuration names."""
    own, stated, end = model.tokenizer.eos_token_id, model.ends, _end_of_turn(model)
    read = model.tokenizer.init_kwargs.get("eos_token")
    if model.identity.gguf is not None and own is not None and str(read) != model.tokenizer.eos_token:
        yield DoctorFinding(
            check="end of text read wrongly by transformers",
            severity="warning",
            where=str(model.place),
            evidence=f"the file ends a text with {model.named(own)}, and transformers reads {str(read)!r}: "
            "other tools that read the file with it go on after the end, or render that token in turns",
            fix="nothing here: the file's own is used, and candidates are written with it",
        )
    elif own is not None and stated and own not in stated and end in (None, *stated):
        right = end if end in stated else stated[0]
        yield DoctorFinding(
            check="tokenizer and configuration end texts differently",
            severity="warning",
            where=str(model.identity.tokenizer / "tokenizer_config.json"),
            evidence=f"the tokenizer's end of text is {model.named(own)}, and the model's "
            f"{' or '.join(map(model.named, stated))}: an answer stops at any of them here, and other tools "
            "know only some",
            fix=f'"eos_token": "{model.tokenizer.convert_ids_to_tokens(right)}"',
        )


def appends(model: ExaminedModel) -> Iterator[DoctorFinding]:
    """A tokenizer that appends something to every text."""
    added = appended(model.tokenizer)
    if added:
        yield DoctorFinding(
            check="tokenizer appends to every text",
            severity="warning",
            where=str(model.identity.tokenizer / "tokenizer_config.json"),
            evidence=f"the tokenizer ends every text with {' '.join(map(model.named, added))}: left off "
            "here in training and evaluation, and other tools (lm-eval) ask with it and score it",
            fix='"add_eos_token": false, or take it out of `post_processor` in tokenizer.json',
        )


def clock(model: ExaminedModel) -> Iterator[DoctorFinding]:
    """A chat template that contains today's date."""
    if model.identity.date is not None:
        yield DoctorFinding(
            check="chat template reads the clock",
            severity="note",
            where=str(model.identity.tokenizer),
            evidence=f"the chat template calls `strftime_now`, which says {model.identity.date} here on "
            "every day, in training and evaluation; other tools render today's date",
            fix="nothing; or write the date that you want into a template (`chat_template` in harness.toml)",
        )


def adapters_own(model: ExaminedModel) -> Iterator[DoctorFinding]:
    """An adapter with its own tokenizer, and tokens of that for which nothing was learned."""
    if model.identity.tokenizer != model.identity.adapter:
        return
    yield DoctorFinding(
        check="the adapter's tokenizer is used",
        severity="note",
        where=str(model.identity.tokenizer),
        evidence=f"the adapter has a tokenizer of its own, of {len(model.tokenizer)} tokens; the base's is "
        "not read",
        fix="nothing, if the adapter was trained with it",
    )
    missing = missing_rows(model.source, model.identity, model.tokenizer)
    if missing:
        yield DoctorFinding(
            check="tokens without weights",
            severity="error",
            where=str(model.identity.tokenizer),
            evidence=f"{', '.join(map(model.named, missing[:8]))} have no embeddings, neither in the base "
            "nor in the adapter: they are the mean of all others",
            fix="save the adapter with its embeddings (`save_embedding_layers=True`)",
        )


def few_checkpoints(model: ExaminedModel) -> Iterator[DoctorFinding]:
    """A training elsewhere that left fewer checkpoints than epochs."""
    folder = model.identity.path
    for file in sorted({*folder.glob("trainer_state.json"), *folder.glob("checkpoint-*/trainer_state.json")})[
        -1:
    ]:
        state = _state(file)
        steps, epochs = state.get("max_steps", 0), state.get("num_train_epochs", 1)
        every = state.get("save_steps", 0)
        kept = len(list(folder.glob("checkpoint-*")))
        if epochs > 1 and every and every * epochs > steps * 1.01 and kept < epochs:
            yield DoctorFinding(
                check="no checkpoint per epoch",
                severity="warning",
                where=str(file),
                evidence=f"{epochs} epochs of {steps // epochs} steps with a checkpoint every {every} left "
                f"{kept}: there is nothing to choose from",
                fix="train it as a stage here, which keeps one per epoch, or set save_strategy to epoch",
            )


CHECKS: tuple[Callable[[ExaminedModel], Iterator[DoctorFinding]], ...] = (
    template,
    stops,
    disputed_end,
    appends,
    clock,
    adapters_own,
    few_checkpoints,
)


def _state(file: Path) -> Mapping[str, Any]:
    """A trainer's saved state; empty where it was stopped while writing."""
    try:
        state = json.loads(file.read_text("utf-8-sig"))
    except (ValueError, RecursionError):
        return {}
    return state if isinstance(state, Mapping) else {}


def _end_of_turn(model: ExaminedModel) -> int | None:
    """The token with which the template ends an answer; None where there is no template."""
    if model.tokenizer.chat_template is None:
        return None
    return answer_ids(model.tokenizer, [{"role": "user", "content": "a"}], "b", chat=True)[-1]
