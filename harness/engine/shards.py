"""Cuts requests into shards for several replicas, along what the requests have in common.

A replica computes what its requests share once (`harness.engine.local.token_tree`); what two shards share is
computed for both. So requests are sorted by their texts, in which neighbours share most, and a shard is a
range of them that begins where little is shared. Shards get smaller towards the end (guided self-scheduling,
Polychronopoulos and Kuck 1987), so that all replicas end at about the same time. Where text is written they
do not get small, since the last answers of a shard are written by few rows at a time.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

MOST_TWICE = 0.08
"""The part of all work that may be done again, at most, because what shares it is in several shards."""
HANDED_OUT = 0.6
"""The part of what is left that a round of shards, one for each replica, hands out."""
FINENESS = (32, 16, 8, 4, 2, 1)
"""How many times smaller than a replica's part the last shards may be, as far as `MOST_TWICE` allows."""
NEIGHBOURHOOD = 0.25
"""How far from its even place a cut may lie, in parts of its shard, so that less is done twice."""
UNEVEN = 0.1
"""What a cut costs for each part of the work that it is away from its even place, where others may wait."""
WRITTEN_TOGETHER = 256
"""The requests that a shard has at least where text is written, or else a replica's even part."""
OUTPUT = 4.0
"""What a token that is written costs, in characters that are read."""


@dataclass(frozen=True, slots=True)
class SizedRequest:
    """One request, as far as shards are concerned."""

    text: str
    """What is read, what it shares with others first."""
    written: int = 0
    """How many tokens may be written."""


def shards(works: Sequence[SizedRequest], replicas: int) -> list[list[int]]:
    """The indices of each shard's requests, the largest shards first. None is empty."""
    if not works:
        return []
    order = sorted(range(len(works)), key=lambda index: works[index].text)
    texts = [works[index].text for index in order]
    shared = [0, *(_shared(left, right) for left, right in pairwise(texts))]
    costs = [
        len(text) - common + OUTPUT * works[index].written + 1
        for text, common, index in zip(texts, shared, order, strict=True)
    ]
    total = sum(costs)
    is_written = any(work.written for work in works)
    parts = max(1, int(len(works) / replicas / WRITTEN_TOGETHER)) if is_written else max(FINENESS)
    together = total / replicas / parts
    cuts: list[int] = []
    for fineness in FINENESS:
        cuts = list(_cuts(costs, shared, replicas, max(total / (replicas * fineness), together)))
        if sum(shared[cut] for cut in cuts) <= MOST_TWICE * total:
            break
    return [order[start:end] for start, end in pairwise([0, *cuts, len(order)]) if start < end]


def _cuts(costs: Sequence[float], shared: Sequence[int], replicas: int, least: float) -> Iterator[int]:
    """Where shards begin, but the first. Each takes its part of what is left, and at least `least`."""
    upto = [0.0, *accumulate(costs)]
    begin, end = 0, len(costs)
    while begin + 1 < end:
        left = upto[end] - upto[begin]
        size = max(HANDED_OUT * left / replicas, least)
        if size + least / 2 >= left:  # a crumb is no shard of its own
            return
        even = upto[begin] + size
        first, last = (bisect_left(upto, even + part * size) for part in (-NEIGHBOURHOOD, NEIGHBOURHOOD))
        first = min(max(first, begin + 1), end - 1)
        places = range(first, max(min(last, end), first + 1))
        begin = min(places, key=lambda place: shared[place] + UNEVEN * abs(upto[place] - even))
        yield begin


def _shared(left: str, right: str) -> int:
    """How many characters two texts begin with in common."""
    same, most = 0, min(len(left), len(right))
    while same < most:
        middle = (same + most + 1) // 2
        if left[same:middle] == right[same:middle]:
            same = middle
        else:
            most = middle - 1
    return same
