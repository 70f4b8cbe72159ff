"""Duplicates among the rows of a mix, exact and near; of each group the first row stays.

Near-duplicates are those of Lee et al., "Deduplicating Training Data Makes Language Models Better" (ACL
2022), https://arxiv.org/abs/2107.06499: a Jaccard similarity of their sets of 5-grams of words from a
threshold on. Candidates come from MinHash (Broder, 1997) with locality-sensitive hashing over whole rows, and
each is then compared exactly, prompt with prompt and answers with answers: another answer to a long prompt is
no duplicate. A system's turns must be equal, and are not counted: all rows may share a long one.

The only file that speaks datasketch. It does not know where rows come from, nor languages that are written
without blanks between words.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from trainers.mapping import MixItem, Removed, excerpt, removed

SHINGLE = 5
"""Words."""
PERMUTATIONS = 128
CANDIDATE = 0.75
"""Hashes find what is compared exactly, from this part of the similarity on, so that few are missed."""
WORD = re.compile(r"\w+")

Grams = frozenset[tuple[str, ...]]


class Shingles(NamedTuple):
    """The sets of word 5-grams of a row."""

    prompt: Grams
    answers: Grams


def words(text: str) -> list[str]:
    """Words without case, punctuation and ways of writing the same character."""
    return WORD.findall(unicodedata.normalize("NFKC", text).casefold())


def without_duplicates(items: Iterable[MixItem]) -> tuple[list[MixItem], list[Removed]]:
    """Rows whose texts are those of an earlier one, but for white space around them, are removed."""
    first: dict[tuple[str, ...], MixItem] = {}
    repeated = []
    for item in items:
        earlier = first.setdefault(tuple(said.strip() for said in item.texts), item)
        if earlier is not item:
            repeated.append(removed(item, _like(item, earlier), _place(earlier)))
    return list(first.values()), repeated


def without_near_duplicates(
    items: Sequence[MixItem], similarity: float
) -> tuple[list[MixItem], list[Removed]]:
    """Rows whose prompt and whose answers are both so similar to those of one earlier row are removed."""
    # imported here because scipy comes with it, and what is kept already needs none of it
    from datasketch import MinHash, MinHashLSH  # noqa: PLC0415

    index = MinHashLSH(threshold=CANDIDATE * similarity, num_perm=PERMUTATIONS)
    kept: dict[int, MixItem] = {}
    repeated = []
    for place, item in enumerate(items):
        grams = shingles(item)
        sketch = MinHash(num_perm=PERMUTATIONS, seed=1, scheme="affine32")
        sketch.update_batch([" ".join(gram).encode() for gram in grams.prompt | grams.answers])
        # of rows that stay the grams are made again for the few comparisons: kept, they would fill the memory
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
    """The 5-grams of the prompt but for a system's turns, and of the answers; a shorter turn is one gram."""
    return Shingles(*(frozenset(_grams(texts)) for texts in (item.prompt, item.answers)))


def alike(one: Shingles, other: Shingles) -> float:
    """The lesser of the two Jaccard similarities, of prompts and of answers."""
    return min(jaccard(left, right) for left, right in zip(one, other, strict=True))


def jaccard(left: Grams, right: Grams) -> float:
    """What two sets share of what is in either; 1 for two empty ones."""
    return len(left & right) / len(left | right) if left or right else 1.0


def _grams(texts: Sequence[str]) -> Iterator[tuple[str, ...]]:
    for said in map(words, texts):
        for start in range(max(1, len(said) - SHINGLE + 1)):
            yield tuple(said[start : start + SHINGLE])


def _like(item: MixItem, earlier: MixItem) -> str:
    """The reason, which is the same for many rows."""
    return "like an earlier row" if item.source == earlier.source else "like a row of an earlier source"


def _place(item: MixItem) -> str:
    return f"row {item.number:,} of source {item.source + 1}"
