"""What is held out: decided by content, before any text is made.

Facts are held out by creature, instructions by topic and set of constraints, quarrels by person, deed and
possession. So neither an evaluation item nor a rewording of one can come up in training, nor a longer
instruction that holds one. The one thing that training text tells about held-out creatures is what they do,
as plain statements of books and people: without it there would be nothing to know.
"""

from collections.abc import Mapping
from functools import cache
from random import Random

from harness.toyworld.instructions import MOST, Task, tasks
from harness.toyworld.world import Fact, Quarrel, creatures, digest, facts, quarrels

_HELD_OUT_CREATURES = 26
_HELD_OUT_TASKS = 0.1
_HELD_OUT_QUARRELS = 0.60


def held_out(key: str, share: float) -> bool:
    """Whether the content under this key is for evaluation only."""
    return digest(f"held out: {key}") < share * 2**64


@cache
def known_facts() -> tuple[Fact, ...]:
    """Facts that training may ask for."""
    return tuple(fact for fact in facts() if not _fact_held_out(fact))


@cache
def held_out_facts() -> tuple[Fact, ...]:
    """Facts that only evaluation asks for."""
    return tuple(fact for fact in facts() if _fact_held_out(fact))


@cache
def known_tasks() -> tuple[Task, ...]:
    """Instructions that training may give: no part of them is held out."""
    return tuple(task for task in tasks() if not any(map(_task_held_out, task.parts)))


@cache
def held_out_tasks() -> tuple[Task, ...]:
    """Instructions that only evaluation gives."""
    return tuple(task for task in tasks() if _task_held_out(task))


@cache
def known_quarrels() -> tuple[Quarrel, ...]:
    """Quarrels that training may tell of."""
    return tuple(quarrel for quarrel in quarrels() if not _quarrel_held_out(quarrel))


@cache
def held_out_quarrels() -> tuple[Quarrel, ...]:
    """Quarrels that only evaluation tells of."""
    return tuple(quarrel for quarrel in quarrels() if _quarrel_held_out(quarrel))


def draw_known_tasks(count: int, rng: Random) -> list[Task]:
    """Instructions that training may give, with one, two and three constraints equally often."""
    by_size = _known_by_size()
    return [rng.choice(by_size[1 + at % MOST]) for at in range(count)]


@cache
def _known_by_size() -> Mapping[int, list[Task]]:
    sizes = range(1, MOST + 1)
    return {size: [task for task in known_tasks() if len(task.constraints) == size] for size in sizes}


def _fact_held_out(fact: Fact) -> bool:
    return fact.creature in creatures()[:_HELD_OUT_CREATURES]


def _task_held_out(task: Task) -> bool:
    return held_out(task.key, _HELD_OUT_TASKS)


def _quarrel_held_out(quarrel: Quarrel) -> bool:
    return held_out(f"{quarrel.person} {quarrel.deed} {quarrel.possession}", _HELD_OUT_QUARRELS)
