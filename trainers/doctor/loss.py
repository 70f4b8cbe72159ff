"""Which tokens the loss covers: turns of others, padding, answers that never end, rows that are left out."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

from harness.escape_controls import shortened
from trainers.data import TRANSCRIPT
from trainers.doctor.findings import DoctorFinding, RowPiece
from trainers.doctor.inspected_stage import InspectedStage, ReadRow
from trainers.stage_settings import Sft
from trainers.tokens import IGNORED, end_tokens

TOLERATED = 0.05
"""The share of rows that may be too long without a warning."""


def other_turns(inspected: InspectedStage) -> Iterator[DoctorFinding]:
    """Answers that contain another turn, the user's or the assistant's: the model learns to play the user."""
    openings = turn_openings(inspected)
    found = []
    for row in inspected.rows:
        for learned in row.learned:
            text = str(inspected.tokenizer.decode(list(learned)))
            if TRANSCRIPT.search(text) or any(opening in text for opening in openings):
                found.append(text)
    if found:
        yield DoctorFinding(
            check="later turns in the loss",
            severity="error",
            where=f"{inspected.key}.data",
            evidence=f"{_of(found, inspected)} learn another turn, such as {_shown(found[0])}",
            fix="cut the answers at the first turn that is not the assistant's, or give rows as `messages`",
        )


def turn_openings(inspected: InspectedStage) -> tuple[str, ...]:
    """What the template writes between an answer and the user's next words."""
    if not inspected.settings.chat_template:
        return ()
    render = inspected.tokenizer.apply_chat_template
    turns = [{"role": "user", "content": "\x01"}, {"role": "assistant", "content": "\x02"}]
    end = str(render(turns, tokenize=False)).rpartition("\x02")[2]
    continued = str(render([*turns, turns[0]], tokenize=False)).rpartition("\x02")[2]
    opening = continued.removeprefix(end).partition("\x01")[0].strip()
    return (opening,) if opening else ()


def ends(inspected: InspectedStage) -> Iterator[DoctorFinding]:
    """Answers whose last learned token is no end token: the model never learns to stop."""
    stops = set(end_tokens(inspected.tokenizer, chat=inspected.settings.chat_template))
    endless = [row for row in inspected.rows if any(learned[-1] not in stops for learned in row.learned)]
    if endless:
        last = inspected.tokenizer.decode([endless[0].learned[0][-1]])
        yield DoctorFinding(
            check="end of turn never learned",
            severity="error",
            where=f"{inspected.key}.chat_template",
            evidence=f"{_of(endless, inspected)} end in {last!r}, which stops no answer",
            fix="let the chat template end the assistant's turn with the tokenizer's end-of-turn token",
        )


def padding(inspected: InspectedStage) -> Iterator[DoctorFinding]:
    """Padding that is learned, or ends that are not, in a batch collated as the trainer does it."""
    if isinstance(inspected.settings, Sft):
        rows = sorted(inspected.rows, key=lambda row: row.length)
        collate = DataCollatorForLanguageModeling(pad_token_id=inspected.tokenizer.pad_token_id)
        yield from padding_in(inspected, [rows[0], rows[-1]], collate)


def padding_in(inspected: InspectedStage, rows: Sequence[ReadRow], collate: Any) -> Iterator[DoctorFinding]:
    """The same check for any collator."""
    batch: Mapping[str, Any] = collate(
        [
            {
                "input_ids": [*row.prompt_ids, *row.learned[0]],
                "labels": [IGNORED] * len(row.prompt_ids) + list(row.learned[0]),
            }
            for row in rows
        ]
    )
    counted = [
        sum(label != IGNORED for label in labels.tolist()) - len(row.learned[0])
        for labels, row in zip(batch["labels"], rows, strict=True)
    ]
    more, fewer = sum(max(each, 0) for each in counted), sum(max(-each, 0) for each in counted)
    if more or fewer:
        same = inspected.tokenizer.pad_token_id == inspected.tokenizer.eos_token_id
        yield DoctorFinding(
            check="padding in the loss",
            severity="error",
            where=f"{inspected.key}.data",
            evidence=f"in a batch of {len(rows)} rows {more} tokens too many and {fewer} too few are learned"
            + ("; padding and end of sequence are the same token" if same else ""),
            fix="give the tokenizer a padding token of its own",
        )


def left_out(inspected: InspectedStage) -> Iterator[DoctorFinding]:
    """Rows that do not fit into `max_length`."""
    lengths, most = sorted(row.length for row in inspected.rows), inspected.settings.max_length
    too_long = sum(length > most for length in lengths)
    if too_long > TOLERATED * len(lengths):
        needed = lengths[int(0.99 * (len(lengths) - 1))]
        yield DoctorFinding(
            check="rows left out",
            severity="error" if too_long == len(lengths) else "warning",
            where=f"{inspected.key}.max_length",
            evidence=f"{too_long / len(lengths):.0%} of the rows are longer than {most} "
            f"tokens and are not learned; 99 % of them have at most {needed}",
            fix=f"max_length = {needed}",
        )


def shown(inspected: InspectedStage) -> tuple[RowPiece, ...]:
    """The first row, and which of it is learned."""
    row = inspected.rows[0]

    def text(ids: Sequence[int]) -> str:
        return str(inspected.tokenizer.decode(list(ids)))

    parts: Sequence[Literal["answer", "chosen", "rejected"]] = (
        ("chosen", "rejected") if len(row.learned) == 2 else ("answer",)
    )
    return (
        RowPiece(text=text(row.prompt_ids), learned=False, part="prompt"),
        *(
            RowPiece(text=text(ids), learned=True, part=part)
            for part, ids in zip(parts, row.learned, strict=False)  # a prompt alone has no answer
        ),
    )


def _of(found: Sequence[object], inspected: InspectedStage) -> str:
    return f"{len(found)} of {len(inspected.rows)} rows looked at"


def _shown(text: str) -> str:
    return repr(shortened(text, 120))
