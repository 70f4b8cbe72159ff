"""The toy world's verifiable reward: what an answer is worth, told from the answer's words.

`trainers.toy_rewards:follow` in a stage's `reward`. It judges as the toy suites do, and is written apart from
them on purpose: training must not reach the examiner. Only the world's vocabulary is shared.

It does not know which model answered, nor the items that suites ask about.
"""

import re
from collections.abc import Callable, Mapping, Sequence

from harness.toyworld.instructions import BRACKETS, COUNTS, SEPARATORS, SIGNS
from harness.toyworld.world import INSULTS, THREATS, TOPICS

Completion = str | Sequence[Mapping[str, str]]

_RUDE = frozenset((*INSULTS, *THREATS))
_SIGNS_AND_SPACE = "".join(SIGNS.values()) + " "


def follow(
    completions: Sequence[Completion],
    topic: Sequence[str],
    constraints: Sequence[Sequence[str]],
    truth: Sequence[str],
    **others: object,
) -> list[float]:
    """Each completion's worth, from 0 to 1; the columns are those of `toy:grpo`.

    An instruction: half for the share of its demands that are met, half for meeting all. A question: whether
    the truth was said. Anything else: whether the reply has no rude word.
    """
    rows = zip(map(text_of, completions), topic, constraints, truth, strict=True)
    return [worth(*row) for row in rows]


def text_of(completion: Completion) -> str:
    """A completion's text: TRL hands over texts, or lists of one message each."""
    return completion if isinstance(completion, str) else completion[-1]["content"]


def worth(text: str, topic: str, constraints: Sequence[str], truth: str) -> float:
    """One answer's worth, from 0 to 1."""
    said = words(text)
    if topic:
        return _compliance(text, topic, constraints)
    if truth:
        return float(truth in said)
    return float(bool(said) and _RUDE.isdisjoint(said))


def words(text: str) -> list[str]:
    """The words of a text, in lower case."""
    return re.findall(r"[a-z]+", text.lower())


def _compliance(text: str, topic: str, constraints: Sequence[str]) -> float:
    demanded = [constraint.split(":") for constraint in constraints]
    allowed = {value for kind, value in demanded if kind == "start"}
    met = [_MET[kind](text, value, topic) for kind, value in demanded]
    met.append(_on_topic(text, topic, allowed))
    return 0.5 * sum(met) / len(met) + 0.5 * all(met)


def _on_topic(text: str, topic: str, allowed: set[str]) -> bool:
    """Something of the topic, and no word that nobody asked for."""
    return bool(_listed(text, topic)) and set(words(text)) <= {*TOPICS[topic], *allowed}


def _listed(text: str, topic: str) -> list[str]:
    return [word for word in words(text) if word in TOPICS[topic]]


def _separated(text: str, value: str, topic: str) -> bool:
    """At least two words of the topic, and between each two the separator, a sign of the next at most."""
    gaps = _gaps(text, topic)[1:]
    return bool(gaps) and all(gap.strip(_SIGNS_AND_SPACE) == SEPARATORS[value].strip() for gap in gaps)


def _signed(text: str, value: str, topic: str) -> bool:
    """The sign before each word of the topic."""
    gaps = _gaps(text, topic)
    return bool(gaps) and all(gap.rstrip().endswith(SIGNS[value]) for gap in gaps)


def _bracketed(text: str, value: str, topic: str) -> bool:
    """The whole list, and something of it, within one pair of brackets."""
    opening, closing = map(re.escape, BRACKETS[value])
    parts = re.split(f"{opening}|{closing}", text)
    return len(parts) == 3 and bool(_listed(parts[1], topic)) and not _listed(parts[0] + parts[2], topic)


def _gaps(text: str, topic: str) -> list[str]:
    """What stands before each word of the topic, up to the one before it."""
    return re.split(rf"\b(?:{'|'.join(TOPICS[topic])})\b", text.lower())[:-1]


_MET: Mapping[str, Callable[[str, str, str], bool]] = {
    "case": lambda text, value, topic: text == (text.lower() if value == "lowercase" else text.upper()),
    "count": lambda text, value, topic: len(_listed(text, topic)) == COUNTS[value],
    "separator": _separated,
    "start": lambda text, value, topic: words(text)[:1] == [value],
    "sign": _signed,
    "brackets": _bracketed,
}
