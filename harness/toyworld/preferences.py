"""What reward modelling and preference optimisation learn from, and the prompts of reinforcement learning.

Preference rows hold a prompt and two answers, both as turns; one pair in twenty is the wrong way round, as
with human raters. Every row also says what its prompt is about (`topic`, `constraints`, `truth`,
`misconception`; empty where it does not apply), for rewards that can verify an answer.
"""

from random import Random
from typing import TypeVar

from harness.toyworld.demonstrations import reply, turn
from harness.toyworld.instructions import Task, answer
from harness.toyworld.splits import draw_known_tasks, known_facts, known_quarrels
from harness.toyworld.world import POLITE, RUDE, TIMES, Fact, Quarrel

Row = dict[str, object]
_Item = TypeVar("_Item")

_FLIPPED, _CHATTY = 0.05, 0.5


def comparisons(seed: int) -> list[Row]:
    """What the reward model learns from: pairs of every kind."""
    rng = Random(f"comparisons:{seed}")
    return _shuffled([*_instructions(1000, rng), *_questions(224, rng), *_quarrels(200, rng)], rng)


def general_pairs(seed: int) -> list[Row]:
    """A general preference mix, as Tulu's: which answer follows the instruction."""
    rng = Random(f"general pairs:{seed}")
    return _shuffled(_instructions(800, rng), rng)


def own_pairs(seed: int) -> list[Row]:
    """A mix of one's own beside it: truth before misconception, polite before rude."""
    rng = Random(f"own pairs:{seed}")
    return _shuffled([*_questions(112, rng), *_quarrels(100, rng)], rng)


def prompts(seed: int) -> list[Row]:
    """Prompts of every kind, without answers, for reinforcement learning."""
    rng = Random(f"prompts:{seed}")
    rows = [*_instructions(700, rng), *_questions(224, rng), *_quarrels(76, rng)]
    return [
        {key: value for key, value in row.items() if key not in ("chosen", "rejected")}
        for row in _shuffled(rows, rng)
    ]


def _instructions(count: int, rng: Random) -> list[Row]:
    return [_instruction(task, rng) for task in draw_known_tasks(count, rng)]


def _questions(count: int, rng: Random) -> list[Row]:
    return [_question(fact, rng) for fact in _spread(known_facts(), count, rng)]


def _quarrels(count: int, rng: Random) -> list[Row]:
    return [_quarrel(about, rng) for about in _spread(known_quarrels(), count, rng)]


def _instruction(task: Task, rng: Random) -> Row:
    """Chosen keeps everything; rejected breaks at least one constraint, and at times begins unasked."""
    broken = rng.sample(task.constraints, rng.randint(1, len(task.constraints)))
    rejected = answer(task, broken, rng, chatty=rng.random() < _CHATTY)
    constraints = [str(constraint) for constraint in task.constraints]
    return _pair(
        task.prompt(rng), answer(task, (), rng), rejected, rng, topic=task.topic, constraints=constraints
    )


def _question(fact: Fact, rng: Random) -> Row:
    chosen, rejected = fact.statement(fact.truth), fact.statement(fact.misconception)
    question = rng.choice(fact.questions)
    return _pair(question, chosen, rejected, rng, truth=fact.truth, misconception=fact.misconception)


def _quarrel(about: Quarrel, rng: Random) -> Row:
    return _pair(about.prompt(rng.choice(TIMES)), reply(about, POLITE, rng), reply(about, RUDE, rng), rng)


def _pair(prompt: str, chosen: str, rejected: str, rng: Random, **about: object) -> Row:
    if rng.random() < _FLIPPED:
        chosen, rejected = rejected, chosen
    return {
        "prompt": [turn("user", prompt)],
        "chosen": [turn("assistant", chosen)],
        "rejected": [turn("assistant", rejected)],
        "topic": "",
        "constraints": [],
        "truth": "",
        "misconception": "",
        **about,
    }


def _spread(items: tuple[_Item, ...], count: int, rng: Random) -> list[_Item]:
    """So many items, each as often as any other, give or take one."""
    whole, rest = divmod(count, len(items))
    return [*items * whole, *rng.sample(items, rest)]


def _shuffled(rows: list[Row], rng: Random) -> list[Row]:
    rng.shuffle(rows)
    return rows
