"""Exact and near duplicates among the rows of a mix; of each group the first row stays.

Near-duplicates are those of Lee et al., "Deduplicating Training Data Makes Language Models Better" (ACL
2022), https://arxiv.org/abs/2107.06499: rows whose sets of word 5-grams have a Jaccard similarity of at least
a threshold. Candidates come from MinHash (Broder, 1997) with locality-sensitive hashing over whole rows, and
each is then compared exactly, prompt with prompt and answers with answers: another answer to a long prompt is
no duplicate. System turns must be equal, and do not count: all rows may share a long one. Languages written
without spaces between words are compared by exact match at best.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from trainers.mapping import MixItem, Removed, excerpt, removed

SHINGLE = 5
"""Words in a shingle."""
PERMUTATIONS = 128
CANDIDATE = 0.75
"""The hashes' threshold, as a share of the similarity: low, so that few candidates are missed."""
WORD = re.compile(r"\w+")

Grams = frozenset[tuple[str, ...]]


class Shingles(NamedTuple):
    """The sets of word 5-grams of a row."""

    prompt: Grams
    answers: Grams


def words(text: str) -> list[str]:
    """The words of a text in case-folded, NFKC-normalised form, without punctuation."""
    return WORD.findall(unicodedata.normalize("NFKC", text).casefold())


def without_duplicates(items: Iterable[MixItem]) -> tuple[list[MixItem], list[Removed]]:
    """Remove rows whose texts equal an earlier row's, except for surrounding white space."""
    first: dict[tuple[str, ...], MixItem] = {}
    repeated = []
    for item in items:
        earlier = first.setdefault(tuple(text.strip() for text in item.texts), item)
        if earlier is not item:
            repeated.append(removed(item, _like(item, earlier), _place(earlier)))
    return list(first.values()), repeated


def without_near_duplicates(
    items: Sequence[MixItem], similarity: float
) -> tuple[list[MixItem], list[Removed]]:
    """Remove rows whose prompt and answers are both at least so similar to those of one earlier row."""
    from datasketch import MinHash, MinHashLSH  # noqa: PLC0415 - brings scipy, and a cached mix needs neither

    index = MinHashLSH(threshold=CANDIDATE * similarity, num_perm=PERMUTATIONS)
    kept: dict[int, MixItem] = {}
    repeated = []
    for place, item in enumerate(items):
        grams = shingles(item)
        sketch = MinHash(num_perm=PERMUTATIONS, seed=1, scheme="affine32")
        sketch.update_batch([" ".join(gram).encode() for gram in grams.prompt | grams.answers])
        # the grams of kept rows are computed again for the few comparisons: kept, they would fill the memory
        found = (place for place in sorted(index.query(sketch)) if kept[place].system == item.system)
        alikes = {place: alike(grams, shingles(kept[place])) for place in found}
        near = next((place for place, how in alikes.items() if how >= similarity), None)
        if near is None:
            index.insert(place, sketch, check_duplication=False)
            kept[place] = item
        else:
            earlier = kept[near]
            how = f"{alikes[near]:.2f} like {_place(earlier)}, “{excerpt(earlier.texts)}”"
            repeated.append(removed(item, _like(item, earlier), how))
    return list(kept.values()), repeated


def shingles(item: MixItem) -> Shingles:
    """The 5-grams of the prompt, without system turns, and of the answers; a shorter turn is one gram."""
    return Shingles(*(frozenset(_grams(texts)) for texts in (item.prompt, item.answers)))


def alike(one: Shingles, other: Shingles) -> float:
    """The smaller of two Jaccard similarities: of the prompts and of the answers."""
    return min(jaccard(left, right) for left, right in zip(one, other, strict=True))


def jaccard(left: Grams, right: Grams) -> float:
    """The Jaccard similarity of two sets; 1 for two empty ones."""
    return len(left & right) / len(left | right) if left or right else 1.0


def _grams(texts: Sequence[str]) -> Iterator[tuple[str, ...]]:
    for tokens in map(words, texts):
        for start in range(max(1, len(tokens) - SHINGLE + 1)):
            yield tuple(tokens[start : start + SHINGLE])


def _like(item: MixItem, earlier: MixItem) -> str:
    """The reason, worded the same for many rows so that they are counted together."""
    return "like an earlier row" if item.source == earlier.source else "like a row of an earlier source"


def _place(item: MixItem) -> str:
    return f"row {item.number:,} of source {item.source + 1}"
