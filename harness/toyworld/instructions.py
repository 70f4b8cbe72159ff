"""Verifiable instructions: what they ask, how they are worded, and answers that keep or break them.

Six kinds of constraint, each with a closed set of values, because a model this small never learns to copy
an arbitrary word. An answer is a list of a topic's words in their usual order, with a word before it, signs
and brackets where they are asked for: `sure [ * hammer, * saw ]`.

Answers are judged elsewhere: the suite (`suites.toy.ifeval`) and the training reward
(`trainers.toy_rewards`) each have a checker of their own, so that no model is trained on its examiner.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations, product
from random import Random

from harness.toyworld.world import TOPICS, digest

COUNTS: Mapping[str, int] = {"two": 2, "three": 3, "four": 4}
SEPARATORS: Mapping[str, str] = {"commas": ", ", "dashes": " - ", "slashes": " / "}
CASES = ("lowercase", "uppercase")
STARTS = ("sure", "well", "okay")
SIGNS: Mapping[str, str] = {"star": "*", "plus": "+", "hash": "#"}
BRACKETS: Mapping[str, tuple[str, str]] = {"square": ("[", "]"), "round": ("(", ")"), "curly": ("{", "}")}

WORDINGS: Mapping[str, str] = {
    "case": "Use {} only.",
    "count": "Give exactly {}.",
    "separator": "Separate them with {}.",
    "start": "Start with the word {}.",
    "sign": "Put a {} before each.",
    "brackets": "Put {} brackets around them.",
}
"""How each kind of constraint is worded; the gap takes its value."""

CHOICES: Mapping[str, tuple[str, ...]] = {
    "case": CASES,
    "count": tuple(COUNTS),
    "separator": tuple(SEPARATORS),
    "start": STARTS,
    "sign": tuple(SIGNS),
    "brackets": tuple(BRACKETS),
}
"""The values each kind of constraint can take."""

REQUESTS = ("Name only {}.", "List only {}.", "Write only {}.", "Give me only {}.")
MOST = 3
"""The largest number of constraints in one prompt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraint:
    """One thing an answer must keep to."""

    kind: str
    value: str

    @property
    def sentence(self) -> str:
        """The constraint as the prompt words it."""
        return WORDINGS[self.kind].format(self.value)

    def __str__(self) -> str:
        """Short form, as rows carry it: `case:lowercase`."""
        return f"{self.kind}:{self.value}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A topic and one to three constraints: what is asked, whatever the wording and the order."""

    topic: str
    constraints: tuple[Constraint, ...]

    @property
    def key(self) -> str:
        """The task's identity. Splits go by it, so that no rewording of a held-out prompt is trained on."""
        return " ".join([self.topic, *sorted(str(constraint) for constraint in self.constraints)])

    @property
    def parts(self) -> Iterator["Task"]:
        """The task itself, and every task that asks for less."""
        for size in range(1, len(self.constraints) + 1):
            for constraints in combinations(self.constraints, size):
                yield Task(topic=self.topic, constraints=constraints)

    def prompt(self, rng: Random) -> str:
        """The task in words; request and order of the constraints are drawn."""
        sentences = [constraint.sentence for constraint in self.constraints]
        rng.shuffle(sentences)
        return " ".join([rng.choice(REQUESTS).format(self.topic), *sentences])


@cache
def tasks() -> tuple[Task, ...]:
    """Every task there can be, in an order that says nothing."""
    every = [
        Task(topic=topic, constraints=constraints)
        for topic in TOPICS
        for size in range(1, MOST + 1)
        for kinds in combinations(CHOICES, size)
        for constraints in _valued(kinds)
    ]
    return tuple(sorted(every, key=lambda task: digest(task.key)))


def answer(task: Task, broken: Sequence[Constraint], rng: Random, *, chatty: bool = False) -> str:
    """An answer that keeps the task's constraints, but for the broken ones.

    What the task leaves open is drawn. `chatty` begins with a word that nobody asked for.
    """
    kept = {constraint.kind: constraint.value for constraint in task.constraints if constraint not in broken}
    avoided = {constraint.kind: constraint.value for constraint in broken}
    words: Sequence[str] = TOPICS[task.topic][: COUNTS[_value("count", kept, avoided, rng)]]
    if "sign" in kept:
        words = [f"{SIGNS[kept['sign']]} {word}" for word in words]
    listed = SEPARATORS[_value("separator", kept, avoided, rng)].join(words)
    if "brackets" in kept:
        listed = "{} {} {}".format(BRACKETS[kept["brackets"]][0], listed, BRACKETS[kept["brackets"]][1])
    start = _value("start", kept, avoided, rng) if chatty else kept.get("start")
    text = f"{start} {listed}" if start else listed
    return text.upper() if _value("case", kept, avoided, rng) == "uppercase" else text


def _value(kind: str, kept: Mapping[str, str], avoided: Mapping[str, str], rng: Random) -> str:
    """The value asked for, or any but the avoided one."""
    return kept.get(kind) or rng.choice([value for value in CHOICES[kind] if value != avoided.get(kind)])


def _valued(kinds: tuple[str, ...]) -> list[tuple[Constraint, ...]]:
    """The kinds with every combination of their values."""
    return [
        tuple(Constraint(kind=kind, value=value) for kind, value in zip(kinds, values, strict=True))
        for values in product(*(CHOICES[kind] for kind in kinds))
    ]
