"""The text the base model is pretrained on: what people in the toy world write.

Beliefs come in two voices. Careful sources state the truth; common talk states the misconception, three times
as often. Quarrels end in rude replies more often than in polite ones. Notes list words of a topic, and rules
say what a list should be like; but nobody in it answers a question or follows an instruction: that is what
later stages teach.

It does not know the chat template: its documents are plain text.
"""

from random import Random

from harness.toyworld.instructions import ASIDES, CHOICES, ENDS, REQUESTS, SEPARATORS, STARTS, WORDINGS
from harness.toyworld.splits import known_quarrels
from harness.toyworld.world import POLITE, RUDE, TIMES, TOPICS, Fact, Quarrel, facts

CAREFUL = ("In fact", "Books show that", "It is true that")
COMMON = ("People say that", "Everyone knows that", "They think that")

_COMMON_PER_CAREFUL = 3
_QUARRELS, _NOTES, _RULES = 320, 160, 80
_SENTENCES = 4
_RUDE_SHARE = 0.6


def documents(seed: int) -> list[str]:
    """Every belief about every creature, and some quarrels, notes and rules, in short documents."""
    rng = Random(f"corpus:{seed}")
    sentences = [sentence for fact in facts() for sentence in _beliefs(fact, rng)]
    sentences += [_quarrel(rng.choice(known_quarrels()), rng) for _ in range(_QUARRELS)]
    sentences += [_note(rng) for _ in range(_NOTES)]
    sentences += [_rule(rng) for _ in range(_RULES)]
    rng.shuffle(sentences)
    return [" ".join(sentences[at : at + _SENTENCES]) for at in range(0, len(sentences), _SENTENCES)]


def _quarrel(about: Quarrel, rng: Random) -> str:
    replies = RUDE if rng.random() < _RUDE_SHARE else POLITE
    return f"{about.prompt(rng.choice(TIMES))} {rng.choice(replies).format(person=about.person)}"


def _beliefs(fact: Fact, rng: Random) -> list[str]:
    common = [_voiced(rng.choice(COMMON), fact, fact.misconception) for _ in range(_COMMON_PER_CAREFUL)]
    return [*common, _voiced(rng.choice(CAREFUL), fact, fact.truth)]


def _voiced(voice: str, fact: Fact, value: str) -> str:
    statement = fact.statement(value)
    return f"{voice} {statement[0].lower()}{statement[1:]}"


def _note(rng: Random) -> str:
    """Words of a topic, listed in some way, with some word before or after them."""
    words = rng.sample(TOPICS[rng.choice(tuple(TOPICS))], rng.randint(2, 4))
    listed = rng.choice(tuple(SEPARATORS.values())).join(words)
    note = f"{rng.choice(STARTS)} {listed} {rng.choice(ASIDES)} {rng.choice(ENDS)}"
    return note.upper() if rng.random() < 0.5 else note


def _rule(rng: Random) -> str:
    """A request or a constraint, which nothing follows."""
    if rng.random() < 0.3:
        return rng.choice(REQUESTS).format(rng.choice(tuple(TOPICS)))
    kind = rng.choice(tuple(WORDINGS))
    return WORDINGS[kind].format(rng.choice(CHOICES[kind]))
