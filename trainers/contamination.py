"""Rows that contain prompts of an evaluation, recognised by shared runs of words.

As in Brown et al., "Language Models are Few-Shot Learners" (2020), https://arxiv.org/abs/2005.14165, appendix
C, and in lm-eval's decontamination: a row is contaminated where it shares 13 words in a row with a prompt,
both without case and punctuation. A shorter prompt must occur as a whole; one of fewer than five words must
be a whole turn, because such a run of words is everyday language. The whole row is removed, where the paper
cuts out a window. Runs that many rows share count too: examples show what was found, and a reader decides.

The caller brings the prompts. Rewordings, translations, right answers to the prompts, and languages written
without spaces between words are not recognised.
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
    """The texts of suites' prompts, by suite."""

    by_suite: Mapping[str, Sequence[str]]
    unread: Mapping[str, str] = field(default_factory=dict)
    """The reason, for each suite whose prompts could not be read: no row is compared with it."""


class Overlap(NamedTuple):
    """A run of words that a row shares with a prompt."""

    suite: str
    prompt: str
    shared: str
    """Without case and punctuation."""


class Index:
    """The runs of words of all prompts, which are found in a text in one pass."""

    def __init__(self, prompts: Mapping[str, Sequence[str]]) -> None:
        self._turns: dict[Words, tuple[str, str]] = {}
        self._runs: dict[Words, dict[Words, tuple[str, str]]] = defaultdict(dict)
        """The runs of words, by their first five."""
        for suite, texts in prompts.items():
            for prompt in texts:
                self._add(suite, prompt)

    def _add(self, suite: str, prompt: str) -> None:
        tokens = tuple(words(prompt))
        if len(tokens) < WHOLE_TURN_BELOW:
            self._turns.setdefault(tokens, (suite, prompt))
            return
        for run in word_runs(tokens):
            self._runs[run[:WHOLE_TURN_BELOW]].setdefault(run, (suite, prompt))

    def find(self, texts: Iterable[str]) -> Overlap | None:
        """The first run of words that one of the texts shares with a prompt."""
        for tokens in (tuple(words(text)) for text in texts):
            if tokens and tokens in self._turns:
                return Overlap(*self._turns[tokens], " ".join(tokens))
            for start in range(len(tokens) - WHOLE_TURN_BELOW + 1):
                for run, found in self._runs.get(tokens[start : start + WHOLE_TURN_BELOW], {}).items():
                    if tokens[start : start + len(run)] == run:
                        return Overlap(*found, " ".join(run))
        return None


def word_runs(tokens: Words) -> Iterator[Words]:
    """Every run of 13 words, or the whole of a shorter text."""
    for start in range(max(1, len(tokens) - RUN + 1)):
        yield tokens[start : start + RUN]


def without_contaminated(
    items: Iterable[MixItem], prompts: Mapping[str, Sequence[str]]
) -> tuple[list[MixItem], list[Removed]]:
    """Rows that share no run of words with a prompt, and those that do."""
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
