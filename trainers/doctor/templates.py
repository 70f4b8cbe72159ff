"""Whether the model is trained on what it will be asked: the chat template, and the tokens it makes.

It does not know which suites will ask it; all of them apply the template where a model has one.
"""

from collections.abc import Iterator, Sequence

from transformers import AutoTokenizer, PreTrainedTokenizerBase

from harness.engine.local.chat import ChatRenderer
from harness.engine.local.tokens import Tokens
from harness.records import Message
from trainers.data import Turn
from trainers.doctor.findings import Finding
from trainers.doctor.patient import Patient
from trainers.settings import Reward
from trainers.tokens import raw_text

MARKER = "{% generation %}"
AROUND = 30
"""Characters shown on both sides of a difference."""
UNBOUNDED = 10**9


def evaluated_differently(patient: Patient) -> Iterator[Finding]:
    """A policy whose prompts in training are not, token by token, those of an evaluation."""
    if isinstance(patient.settings, Reward):
        return
    for row in patient.rows:
        there = evaluation_ids(patient.tokenizer, row.prompt)
        if there != list(row.asked):
            raw = not patient.settings.chat_template and patient.tokenizer.chat_template is not None
            yield Finding(
                check="trained without the chat template" if raw else "prompt differs from evaluation",
                severity="error",
                where=f"{patient.key}.chat_template",
                evidence=_difference(patient.tokenizer, list(row.asked), there),
                mend="chat_template = true"
                if raw
                else "give the model a chat template that renders both alike",
            )
            return


def evaluation_ids(tokenizer: PreTrainedTokenizerBase, prompt: Sequence[Turn]) -> list[int]:
    """The tokens of a prompt as the engine asks it."""
    template = tokenizer.chat_template
    if isinstance(template, str):
        turns = [Message(role=turn["role"], content=turn["content"]) for turn in prompt]  # type: ignore[arg-type]  # checked when read
        text = ChatRenderer(tokenizer, template, "the model").render(turns)
    else:
        text = raw_text(prompt)
    [(ids, _)] = Tokens(tokenizer, UNBOUNDED).prompts([text], UNBOUNDED)
    return ids


def doubled_beginning(patient: Patient) -> Iterator[Finding]:
    """Two beginning-of-sequence tokens in front: the template's, and the tokenizer's or the data's."""
    begin = patient.tokenizer.bos_token_id
    doubled = [row for row in patient.rows if begin is not None and row.asked[:2] == (begin, begin)]
    if doubled:
        yield Finding(
            check="beginning of sequence doubled",
            severity="error",
            where=f"{patient.key}.data",
            evidence=f"{len(doubled)} of {len(patient.rows)} rows looked at begin with "
            f"{patient.tokenizer.bos_token!r} twice",
            mend="take the beginning token out of the chat template or the data",
        )


def reward_reads_otherwise(patient: Patient) -> Iterator[Finding]:
    """A reward model with another chat template: it judges texts that look foreign to it."""
    for folder in patient.reward_models:
        theirs = AutoTokenizer.from_pretrained(folder).chat_template
        if theirs is not None and theirs != patient.tokenizer.chat_template:
            yield Finding(
                check="reward model has another chat template",
                severity="warning",
                where=f"{patient.key}.reward",
                evidence=f"{folder.name}: {_first_difference(str(patient.tokenizer.chat_template), theirs)}",
                mend="train the reward model from the policy's base, or give both the same `chat_template`; "
                "with its own it is shown answers as it was trained to read them",
            )


def markers(patient: Patient) -> Iterator[Finding]:
    """A template that does not mark what the assistant writes."""
    template = patient.tokenizer.chat_template
    if patient.settings.chat_template and isinstance(template, str) and MARKER not in template:
        yield Finding(
            check="no generation markers",
            severity="note",
            where=f"{patient.key}.chat_template",
            evidence=f"the template has no {MARKER}; here only final answers are learned, whatever it marks",
            mend="add the markers for tools that rely on them, such as TRL's `assistant_only_loss`",
        )


def _difference(tokenizer: PreTrainedTokenizerBase, here: list[int], there: list[int]) -> str:
    at = next(
        (place for place, (a, b) in enumerate(zip(here, there, strict=False)) if a != b),
        min(len(here), len(there)),
    )
    trained, evaluated = (str(tokenizer.decode(ids[at : at + 12]))[:AROUND] for ids in (here, there))
    return (
        f"the first of {len(here)} and {len(there)} tokens that differ is number {at + 1}: trained on "
        f"{trained!r}, asked with {evaluated!r}"
    )


def _first_difference(ours: str, theirs: str) -> str:
    at = next((place for place, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), 0)
    start = max(0, at - AROUND)
    return f"{ours[start : at + AROUND]!r} in the policy's, {theirs[start : at + AROUND]!r} in its own"
