"""Rows that hold what models will be asked in evaluation, told by shared runs of words.

As in Brown et al., "Language Models are Few-Shot Learners" (2020), https://arxiv.org/abs/2005.14165, appendix
C, and in lm-eval's decontamination: a row is contaminated where it shares 13 words in a row with a prompt,
both without case and punctuation. A prompt of fewer words must be there whole; one of fewer than five must be
a whole turn, because such a run of words is everyday language. The whole row goes, where the paper cuts out a
window. Runs that many rows share are not excepted: examples show what was found, and a reader decides.

The prompts are handed in. It does not know what a suite is, the right answers to the prompts, rewordings and
translations, nor languages that are written without blanks between words.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from trainers.duplicates import words
from trainers.mapping import MixItem, Removed, removed

RUN = 13
"""Words that a row may not share with a longer prompt."""
WHOLE_TURN_BELOW = 5
"""A prompt of fewer words must be the whole of a turn."""

Words = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptTexts:
    """What models will be asked."""

    by_suite: Mapping[str, Sequence[str]]
    unread: Mapping[str, str] = field(default_factory=dict)
    """Why, for suites whose prompts could not be read: no row was compared with them."""


class Overlap(NamedTuple):
    """What a row shares with a prompt."""

    suite: str
    prompt: str
    shared: str
    """Without case and punctuation."""


class Index:
    """The runs of words of all prompts, to be found in a text in one pass."""

    def __init__(self, prompts: Mapping[str, Sequence[str]]) -> None:
        self._turns: dict[Words, tuple[str, str]] = {}
        self._runs: dict[Words, dict[Words, tuple[str, str]]] = defaultdict(dict)
        """By their first five words."""
        for suite, texts in prompts.items():
            for prompt in texts:
                self._add(suite, prompt)

    def _add(self, suite: str, prompt: str) -> None:
        said = tuple(words(prompt))
        if len(said) < WHOLE_TURN_BELOW:
            self._turns.setdefault(said, (suite, prompt))
            return
        for run in runs(said):
            self._runs[run[:WHOLE_TURN_BELOW]].setdefault(run, (suite, prompt))

    def find(self, texts: Iterable[str]) -> Overlap | None:
        """The first run of words that one of the texts shares with a prompt."""
        for said in (tuple(words(text)) for text in texts):
            if said and said in self._turns:
                return Overlap(*self._turns[said], " ".join(said))
            for start in range(len(said) - WHOLE_TURN_BELOW + 1):
                for run, found in self._runs.get(said[start : start + WHOLE_TURN_BELOW], {}).items():
                    if said[start : start + len(run)] == run:
                        return Overlap(*found, " ".join(run))
        return None


def runs(said: Words) -> Iterator[Words]:
    """Every 13 words in a row, or all of fewer."""
    for start in range(max(1, len(said) - RUN + 1)):
        yield said[start : start + RUN]


def without_contaminated(
    items: Iterable[MixItem], prompts: Mapping[str, Sequence[str]]
) -> tuple[list[MixItem], list[Removed]]:
    """Rows that share nothing with a prompt, and those that do."""
    index = Index(prompts)
    clean, contaminated = [], []
    for item in items:
        overlap = index.find(item.texts)
        if overlap is None:
            clean.append(item)
        else:
            detail = f"“{overlap.shared}” is in its prompt “{' '.join(overlap.prompt.split())[:120]}”"
            contaminated.append(removed(item, f"shares words with {overlap.suite}", detail))
    return clean, contaminated
