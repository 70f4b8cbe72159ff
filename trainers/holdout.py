"""Rows that are kept from training, to measure on: which these are.

All rows of one prompt are on one side, or what was learned of a prompt would be measured on it. Which prompts
are held out depends on their texts and the seed alone, so that two stages over the same rows hold out the
same ones.

It does not know what is measured.
"""

import json
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import TypeVar

from harness.errors import DataError
from trainers.data import Demonstration, PreferencePair, Turn

Row = TypeVar("Row", bound=Demonstration | PreferencePair)
Kept = TypeVar("Kept")


def held_out(data: str, rows: Sequence[Row], *shares: float | None, seed: int) -> tuple[list[Row], ...]:
    """A part of the rows for each share of their prompts, at least one prompt each, and then the rest.

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
    data: str, parts: Sequence[Sequence[Kept]], fits: Callable[[Kept], bool], max_length: int
) -> list[list[Kept]]:
    """Of each part what fits. Raises DataError where a part that had rows would have none."""
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
    """A hash of a prompt; with another seed, prompts come in another order by it."""
    return sha256(json.dumps([seed, prompt], sort_keys=True).encode()).hexdigest()
