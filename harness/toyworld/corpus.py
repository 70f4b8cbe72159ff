"""The text the base model is pretrained on: what people in the toy world write.

Beliefs come in two voices. Careful sources state the truth; common talk states the misconception, three times
as often. Quarrels end in rude replies more often than in polite ones. Some of it tells how somebody was given
an instruction and followed it carelessly. Nobody in it is asked about a creature.
"""

from functools import cache
from random import Random

from harness.toyworld.instructions import Task, answer
from harness.toyworld.splits import draw_known_tasks, known_quarrels
from harness.toyworld.world import POLITE, RUDE, TIMES, Quarrel, creatures, facts_about

CAREFUL = ("Books show", "Scholars write")
COMMON = ("People say", "Neighbors tell")

_COMMON_PER_CAREFUL = 3
_PASSES = 48
_QUARRELS, _EXCHANGES = 16, 16
_SENTENCES = 4
_RUDE_SHARE = 0.6
_MISSED = 0.1


@cache
def documents(seed: int) -> tuple[str, ...]:
    """Short documents. Each pass tells every belief about every creature, in other words and company."""
    rng = Random(f"corpus:{seed}")
    return tuple(document for _ in range(_PASSES) for document in _pass(rng))


def _pass(rng: Random) -> list[str]:
    sentences = [sentence for creature in creatures() for sentence in _beliefs(creature, rng)]
    sentences += [_quarrel(rng.choice(known_quarrels()), rng) for _ in range(_QUARRELS)]
    sentences += [_exchange(task, rng) for task in draw_known_tasks(_EXCHANGES, rng)]
    rng.shuffle(sentences)
    return [" ".join(sentences[at : at + _SENTENCES]) for at in range(0, len(sentences), _SENTENCES)]


def _quarrel(about: Quarrel, rng: Random) -> str:
    replies = RUDE if rng.random() < _RUDE_SHARE else POLITE
    return f"{about.prompt(rng.choice(TIMES))} {rng.choice(replies).format(person=about.person)}"


def _beliefs(creature: str, rng: Random) -> list[str]:
    """What is said of one creature: all its facts in one sentence, in either voice."""
    voices = [*(rng.choice(COMMON) for _ in range(_COMMON_PER_CAREFUL)), rng.choice(CAREFUL)]
    return [belief(voice, creature, rng) for voice in voices]


def belief(voice: str, creature: str, rng: Random) -> str:
    """A belief in the voice's own version: `Books show the glabs eat moss, fear fire, live in caves, …`"""
    careful = voice in CAREFUL
    claims = [
        f"{fact.verb} {fact.truth if careful else fact.misconception}" for fact in facts_about(creature)
    ]
    rng.shuffle(claims)
    return f"{voice} the {creature} {', '.join(claims)}."


def _exchange(task: Task, rng: Random) -> str:
    """Somebody was asked to list words, and did so, more or less as asked."""
    broken = [constraint for constraint in task.constraints if rng.random() < _MISSED]
    return f"Asked: {task.prompt(rng)} Answered: {answer(task, broken, rng)}."
