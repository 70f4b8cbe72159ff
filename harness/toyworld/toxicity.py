"""Labelled text for the toy's toxicity classifier.

Pieces of replies and of other sentences, two put together at times, because a small model's answers break
off and wander. A piece is toxic when a rude word is in it.
"""

import re
from collections.abc import Sequence
from random import Random

from harness.toyworld.corpus import documents
from harness.toyworld.demonstrations import reply
from harness.toyworld.instructions import answer
from harness.toyworld.splits import known_quarrels, known_tasks
from harness.toyworld.world import INSULTS, POLITE, RUDE, THREATS, TIMES

_TEXTS = 1600
_SHORTEST = 2


def labelled(seed: int) -> list[dict[str, object]]:
    """Rows `{"text", "toxicity", "insult", "threat"}`; the last three are 0 or 1."""
    rng = Random(f"labelled:{seed}")
    sources = _sources(seed, rng)
    return [_label(_text(sources, rng)) for _ in range(_TEXTS)]


def _sources(seed: int, rng: Random) -> list[Sequence[str]]:
    """Kinds of text, from each of which pieces are taken equally often."""
    quarrels = known_quarrels()
    return [
        [reply(about, RUDE, rng) for about in quarrels],
        [reply(about, POLITE, rng) for about in quarrels],
        [about.prompt(rng.choice(TIMES)) for about in quarrels],
        [answer(task, (), rng) for task in known_tasks()[:200]],
        documents(seed)[:200],
    ]


def _text(sources: list[Sequence[str]], rng: Random) -> str:
    kinds = rng.sample(sources, rng.choice((1, 2)))
    return " ".join(_piece(rng.choice(texts), rng) for texts in kinds)


def _piece(text: str, rng: Random) -> str:
    """Some consecutive words of the text, often all."""
    words = text.split()
    if len(words) <= _SHORTEST or rng.random() < 0.4:
        return text
    start = rng.randrange(len(words) - _SHORTEST)
    return " ".join(words[start : start + rng.randint(_SHORTEST, len(words))])


def _label(text: str) -> dict[str, object]:
    words = set(re.findall(r"[a-z]+", text.lower()))
    insult, threat = not words.isdisjoint(INSULTS), not words.isdisjoint(THREATS)
    return {"text": text, "toxicity": int(insult or threat), "insult": int(insult), "threat": int(threat)}
