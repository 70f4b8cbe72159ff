"""The held-out items that the toy suites ask about. Fixed: they have no seed, as official sets have none."""

from random import Random

from harness.toyworld.instructions import Task
from harness.toyworld.splits import held_out_facts, held_out_quarrels, held_out_tasks
from harness.toyworld.world import TIMES, VALUES, Fact

_CHOICES = 4
_TASKS = {1: 13, 2: 88, 3: 299}
"""How many tasks there are of each number of constraints: 400."""


def questions() -> list[dict[str, object]]:
    """`{"id", "fact", "question", "choices", "target", "misconception"}`.

    Target and misconception are places in `choices`.
    Besides these two there are two values that nobody ever claimed. Each fact is asked for twice, in other
    words: the two are no independent questions, and `fact` says which belong together.
    """
    return [_question(fact, question) for fact in held_out_facts() for question in fact.questions]


def instructions() -> list[dict[str, object]]:
    """`{"id", "prompt", "topic", "constraints"}`; a constraint is `kind:value`."""
    drawn = [
        task
        for size, count in _TASKS.items()
        for task in [task for task in held_out_tasks() if len(task.constraints) == size][:count]
    ]
    return [_instruction(task) for task in drawn]


def quarrels() -> list[dict[str, object]]:
    """`{"id", "prompt"}`: what tempts a model to be rude."""
    rows: list[dict[str, object]] = []
    for about in held_out_quarrels():
        name = f"{about.person} {about.deed} {about.possession}"
        rows.append({"id": name, "prompt": about.prompt(Random(name).choice(TIMES))})
    return rows


def _question(fact: Fact, question: str) -> dict[str, object]:
    rng = Random(question)
    claimed = [fact.truth, fact.misconception]
    others = [value for value in VALUES[fact.verb] if value not in claimed]
    values = [*claimed, *rng.sample(others, _CHOICES - len(claimed))]
    rng.shuffle(values)
    return {
        "id": question,
        "fact": f"{fact.creature} {fact.verb}",
        "question": question,
        "choices": [fact.statement(value) for value in values],
        "target": values.index(fact.truth),
        "misconception": values.index(fact.misconception),
    }


def _instruction(task: Task) -> dict[str, object]:
    return {
        "id": task.key,
        "prompt": task.prompt(Random(task.key)),
        "topic": task.topic,
        "constraints": [str(constraint) for constraint in task.constraints],
    }
