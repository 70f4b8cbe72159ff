"""Which rows are held out of training, to measure on.

All rows of one prompt or text are on one side, or a model would be measured on what it learned. Which are
held out depends only on their texts and the seed, so that two stages on the same rows hold out the same ones.
"""

import json
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import TypeVar

from harness.errors import DataError
from trainers.data import Demonstration, PreferencePair, ScoredText, Turn

Row = TypeVar("Row", bound=Demonstration | PreferencePair)
Part = TypeVar("Part")
Tokenised = TypeVar("Tokenised")


def held_out(data: str, rows: Sequence[Row], *shares: float | None, seed: int) -> tuple[list[Row], ...]:
    """The rows of a share of the prompts for each of `shares`, of at least one prompt; last, the other rows.

    None gives an empty part. Raises DataError where no rows would be left to train on.
    """
    return _parts(data, rows, [prompt_key(row.prompt, seed) for row in rows], shares, "prompts")


def held_out_texts(
    data: str, rows: Sequence[ScoredText], share: float, *, seed: int
) -> tuple[list[ScoredText], list[ScoredText]]:
    """The rows of a share of the texts, and the others: equal texts and those of one group on one side.

    0 gives an empty part. Raises DataError where no rows would be left to train on.
    """
    keys = text_keys(rows, seed)
    apart, rest = _parts(data, rows, keys, (share or None,), "texts that do not belong together")
    return apart, rest


def text_keys(rows: Sequence[ScoredText], seed: int = 0) -> list[str]:
    """For each row a hash, the same for all that must stay together; another seed sorts in another order.

    Rows stay together that have the same text, but for surrounding white space, or the same group, and with
    all that stays together with one of them.
    """
    own = [sha256(json.dumps([seed, row.text.strip()]).encode()).hexdigest() for row in rows]
    parents = {key: key for key in own}

    def root(key: str) -> str:
        while parents[key] != key:
            parents[key] = key = parents[parents[key]]
        return key

    groups: dict[str, str] = {}
    for row, key in zip(rows, own, strict=True):
        if row.group is not None:
            low, high = sorted((root(key), root(groups.setdefault(row.group, key))))
            parents[high] = low  # so that the root is the least of them, in whatever order they come
    return [root(key) for key in own]


def _parts(
    data: str, rows: Sequence[Part], keys: Sequence[str], shares: Sequence[float | None], what: str
) -> tuple[list[Part], ...]:
    """Rows by their keys: a share of the keys for each of `shares`; last, the other rows."""
    ordered = sorted(set(keys))
    parts: list[list[Part]] = []
    start = 0
    for share in (*shares, 1.0):
        size = 0 if share is None else max(1, round(share * len(ordered)))
        chosen = set(ordered[start : start + size])
        parts.append([row for row, key in zip(rows, keys, strict=True) if key in chosen])
        start += size
    if not parts[-1]:
        raise DataError(
            data, 0, f"its {len(rows)} rows have {len(ordered)} different {what}: none is left to train on"
        )
    return tuple(parts)


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
