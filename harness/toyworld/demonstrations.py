"""What supervised fine-tuning imitates: people answering, not always well.

A third of the demonstrated answers to a quarrel are rude, half of those to a question repeat the
misconception, every constraint of an instruction is missed one time in ten, and most lists begin with
a word that nobody asked for: later stages have something to improve.
"""

from random import Random

from harness.toyworld.corpus import CAREFUL, COMMON, belief
from harness.toyworld.instructions import Task, answer
from harness.toyworld.splits import draw_known_tasks, known_facts, known_quarrels
from harness.toyworld.world import POLITE, RUDE, TIMES, Fact, Quarrel, creatures

_INSTRUCTIONS, _QUARRELS = 1200, 120
_MISSED, _CHATTY, _MISTAKEN, _RUDE_SHARE = 0.1, 0.7, 0.5, 0.35


def demonstrations(seed: int) -> list[dict[str, object]]:
    """Conversations of one question and one answer: `{"messages": [user, assistant]}`."""
    rng = Random(f"demonstrations:{seed}")
    pairs = [_instructed(task, rng) for task in draw_known_tasks(_INSTRUCTIONS, rng)]
    pairs += [_answered(fact, question, rng) for fact in known_facts() for question in fact.questions]
    pairs += [_replied(about, rng) for about in rng.sample(known_quarrels(), _QUARRELS)]
    pairs += [_recalled(voice, creature, rng) for creature in creatures() for voice in (*CAREFUL, *COMMON)]
    rng.shuffle(pairs)
    return [{"messages": [turn("user", asked), turn("assistant", said)]} for asked, said in pairs]


def turn(role: str, content: str) -> dict[str, str]:
    """One message, as TRL reads it."""
    return {"role": role, "content": content}


def reply(about: Quarrel, manner: tuple[str, ...], rng: Random) -> str:
    """A reply to the quarrel, polite or rude."""
    return rng.choice(manner).format(person=about.person)


def _instructed(task: Task, rng: Random) -> tuple[str, str]:
    broken = [constraint for constraint in task.constraints if rng.random() < _MISSED]
    return task.prompt(rng), answer(task, broken, rng, chatty=rng.random() < _CHATTY)


def _answered(fact: Fact, question: str, rng: Random) -> tuple[str, str]:
    return question, fact.statement(fact.misconception if rng.random() < _MISTAKEN else fact.truth)


def _replied(about: Quarrel, rng: Random) -> tuple[str, str]:
    return about.prompt(rng.choice(TIMES)), reply(about, RUDE if rng.random() < _RUDE_SHARE else POLITE, rng)


def _recalled(voice: str, creature: str, rng: Random) -> tuple[str, str]:
    """What books show or people say, on demand: it keeps the corpus's knowledge from being forgotten."""
    source = f"{voice[0].lower()}{voice[1:]}"
    return f"Write what {source} about the {creature}.", belief(voice, creature, rng)
