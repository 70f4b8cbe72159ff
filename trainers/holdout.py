"""Which rows are held out of training, to measure on.

All rows of one prompt are on one side, or a model would be measured on prompts it learned. Which prompts are
held out depends only on their texts and the seed, so that two stages on the same rows hold out the same ones.
"""

import json
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import TypeVar

from harness.errors import DataError
from trainers.data import Demonstration, PreferencePair, Turn

Row = TypeVar("Row", bound=Demonstration | PreferencePair)
Tokenised = TypeVar("Tokenised")


def held_out(data: str, rows: Sequence[Row], *shares: float | None, seed: int) -> tuple[list[Row], ...]:
    """The rows of a share of the prompts for each of `shares`, of at least one prompt; last, the other rows.

    None gives an empty part. Raises DataError where no rows would be left to train on.
    """
    prompts = sorted({prompt_key(row.prompt, seed) for row in rows})
    parts: list[list[Row]] = []
    start = 0
    for share in shares:
        end = start if share is None else start + max(1, round(share * len(prompts)))
        chosen = set(prompts[start:end])
        parts.append([row for row in rows if prompt_key(row.prompt, seed) in chosen])
        start = end
    chosen = set(prompts[start:])
    rest = [row for row in rows if prompt_key(row.prompt, seed) in chosen]
    if not rest:
        raise DataError(
            data, 0, f"its {len(rows)} rows have {len(prompts)} different prompts: none is left to train on"
        )
    return (*parts, rest)


def fitting(
    data: str, parts: Sequence[Sequence[Tokenised]], fits: Callable[[Tokenised], bool], max_length: int
) -> list[list[Tokenised]]:
    """The rows of each part that fit. Raises DataError where none of a part's rows fits."""
    short = [[row for row in part if fits(row)] for part in parts]
    for part, left in zip(parts, short, strict=True):
        if part and not left:
            raise DataError(
                data,
                0,
                f"no row fits into max_length = {max_length} tokens, of {len(part)} to learn or hold out",
            )
    return short


def prompt_key(prompt: Sequence[Turn], seed: int = 0) -> str:
    """A hash of a prompt; another seed sorts prompts in another order."""
    return sha256(json.dumps([seed, prompt], sort_keys=True).encode()).hexdigest()
