"""Whether a model is trained on prompts as an evaluation renders them: the chat template, and its tokens."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from transformers import AutoTokenizer, PreTrainedTokenizerBase

from harness.engine.local.chat import ChatRenderer
from harness.engine.local.tokens import Tokens
from harness.records.answers import Message
from trainers.data import Turn
from trainers.doctor.findings import DoctorFinding
from trainers.doctor.inspected_stage import InspectedStage
from trainers.planning import PlannedReward
from trainers.stage_settings import Reward
from trainers.tokenizer_files import tokenizer_files
from trainers.tokens import raw_text

MARKER = "{% generation %}"
AROUND = 30
"""Characters shown on each side of a difference."""
UNBOUNDED = 10**9


def evaluated_differently(inspected: InspectedStage) -> Iterator[DoctorFinding]:
    """A policy whose prompts in training differ, token by token, from those of an evaluation."""
    if isinstance(inspected.settings, Reward):
        return
    for row in inspected.rows:
        there = evaluation_ids(inspected.tokenizer, row.prompt)
        if there != list(row.prompt_ids):
            raw = not inspected.settings.chat_template and inspected.tokenizer.chat_template is not None
            yield DoctorFinding(
                check="trained without the chat template" if raw else "prompt differs from evaluation",
                severity="error",
                where=f"{inspected.key}.chat_template",
                evidence=_difference(inspected.tokenizer, list(row.prompt_ids), there),
                fix="chat_template = true"
                if raw
                else "give the model a chat template that renders both alike",
            )
            return


def evaluation_ids(tokenizer: PreTrainedTokenizerBase, prompt: Sequence[Turn]) -> list[int]:
    """The tokens of a prompt as the engine prepares it."""
    template = tokenizer.chat_template
    if isinstance(template, str):
        turns = [Message(role=turn["role"], content=turn["content"]) for turn in prompt]  # type: ignore[arg-type]  # checked when read
        text = ChatRenderer(tokenizer, template, "the model").render(turns)
    else:
        text = raw_text(prompt)
    [(ids, _)] = Tokens(tokenizer, UNBOUNDED).prompts([text], UNBOUNDED)
    return ids


def doubled_beginning(inspected: InspectedStage) -> Iterator[DoctorFinding]:
    """Two beginning-of-sequence tokens: the template's, and the tokenizer's or the data's."""
    begin = inspected.tokenizer.bos_token_id
    doubled = [row for row in inspected.rows if begin is not None and row.prompt_ids[:2] == (begin, begin)]
    if doubled:
        yield DoctorFinding(
            check="beginning of sequence doubled",
            severity="error",
            where=f"{inspected.key}.data",
            evidence=f"{len(doubled)} of {len(inspected.rows)} rows looked at begin with "
            f"{inspected.tokenizer.bos_token!r} twice",
            fix="take the beginning token out of the chat template or the data",
        )


def reward_reads_otherwise(inspected: InspectedStage) -> Iterator[DoctorFinding]:
    """A reward model with another chat template: it judges texts in a format it was not trained on."""
    for reward in inspected.reward_models:
        ours, theirs = inspected.tokenizer.chat_template, _template(reward)
        if theirs is not None and theirs != ours:
            yield DoctorFinding(
                check="reward model has another chat template",
                severity="warning",
                where=f"{inspected.key}.reward",
                evidence=f"the templates of the policy and of reward model {reward.name!r} differ: "
                f"{_first_difference(str(ours), theirs)}",
                fix="train the reward model from the policy's base, or give both the same `chat_template`; "
                "with its own it is shown answers as it was trained to read them",
            )


def _template(reward: PlannedReward) -> str | None:
    """The chat template of a reward model, or the one it will have."""
    folder, origin = Path(reward.source.source), None if reward.stage is None else reward.stage.origin.known
    if origin is not None:
        files = tokenizer_files(origin)
        folder, template = files.folder, files.chat_template
        if template is not None:
            return template
    own: str | None = AutoTokenizer.from_pretrained(folder).chat_template
    return own


def markers(inspected: InspectedStage) -> Iterator[DoctorFinding]:
    """A template that does not mark what the assistant writes."""
    template = inspected.tokenizer.chat_template
    if inspected.settings.chat_template and isinstance(template, str) and MARKER not in template:
        yield DoctorFinding(
            check="no generation markers",
            severity="note",
            where=f"{inspected.key}.chat_template",
            evidence=f"the model's chat template has no {MARKER} around what the assistant says; training "
            "here learns final answers alone, with or without it",
            fix="nothing here; other tools need it, such as TRL's `assistant_only_loss`",
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
