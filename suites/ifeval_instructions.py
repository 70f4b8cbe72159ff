"""IFEval's instructions: which there are, what arguments each takes, and what a prompt's verdicts are.

The 25 types are those of the official code, https://github.com/google-research/google-research/tree/master/
instruction_following_eval at 26d8ccd. Its checkers make up an argument that they are not given, at random,
and accept some wrong ones silently; so every argument is checked here, before a model is asked.

An answer's verdicts are the official checkers', with one exception. Keys 1122 and 1129 of the official data
ask for `#` and `!`, through an instruction that counts letters: the official code finds that these are none
and counts a letter that it draws at random, anew for each scoring, so that its verdict means nothing. Here
the character that the prompt asks for is counted.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import field_validator, model_validator

from harness.errors import nearest
from harness.records.answers import Sample
from harness.records.models import Json
from suites.row_suite import DataRow

STRICT, LOOSE = "inst_level_strict_acc", "inst_level_loose_acc"
"""What lm-eval calls the official checkers' verdicts, one per instruction."""
LETTER_FREQUENCY = "keywords:letter_frequency"
MOST = 1_000_000
"""Words, letters or sentences that an instruction can ask for: far more than a model can write."""
RELATIONS = ("less than", "at least")
# one per line would be a page
# fmt: off
LANGUAGES = (
    "en", "es", "pt", "ar", "hi", "fr", "ru", "de", "ja", "it",
    "bn", "uk", "th", "ur", "ta", "te", "bg", "ko", "pl", "he",
    "fa", "vi", "ne", "sw", "kn", "mr", "gu", "pa", "ml", "fi",
)
# fmt: on
"""The languages that the official checkers know, by ISO 639-1 code."""

Problem = Callable[[Any], str | None]
"""What is wrong with an argument; None where nothing is."""


def _count(value: Any) -> str | None:
    """lm-eval takes 0 for an argument that is not given, and the checker then draws one."""
    right = isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MOST
    return None if right else f"must be a whole number from 1 to {MOST:,}"


def _relation(value: Any) -> str | None:
    return None if value in RELATIONS else "must be 'less than' or 'at least'"


def _language(value: Any) -> str | None:
    return None if value in LANGUAGES else f"must be one of {', '.join(LANGUAGES)}"


def _letter(value: Any) -> str | None:
    right = isinstance(value, str) and len(value) == len(value.lower()) == 1 and not value.isspace()
    return None if right else "must be one character"


def _phrase(value: Any) -> str | None:
    return None if isinstance(value, str) and value.strip() else "must be a text that is not empty"


def _pattern(value: Any) -> str | None:
    """The official checkers read keywords and markers as regular expressions."""
    if _phrase(value):
        return _phrase(value)
    try:
        re.compile(value)
    except re.error as error:
        return f"must be a regular expression, as the official code reads it: {error}"
    return None


def _patterns(value: Any) -> str | None:
    if not isinstance(value, list) or not value:
        return "must be a list that is not empty"
    return next((problem for problem in map(_pattern, value) if problem), None)


ARGUMENTS: Mapping[str, Mapping[str, Problem]] = {
    "change_case:capital_word_frequency": {"capital_frequency": _count, "capital_relation": _relation},
    "change_case:english_capital": {},
    "change_case:english_lowercase": {},
    "combination:repeat_prompt": {"prompt_to_repeat": _phrase},
    "combination:two_responses": {},
    "detectable_content:number_placeholders": {"num_placeholders": _count},
    "detectable_content:postscript": {"postscript_marker": _pattern},
    "detectable_format:constrained_response": {},
    "detectable_format:json_format": {},
    "detectable_format:multiple_sections": {"section_spliter": _pattern, "num_sections": _count},
    "detectable_format:number_bullet_lists": {"num_bullets": _count},
    "detectable_format:number_highlighted_sections": {"num_highlights": _count},
    "detectable_format:title": {},
    "keywords:existence": {"keywords": _patterns},
    "keywords:forbidden_words": {"forbidden_words": _patterns},
    "keywords:frequency": {"keyword": _pattern, "frequency": _count, "relation": _relation},
    LETTER_FREQUENCY: {"letter": _letter, "let_frequency": _count, "let_relation": _relation},
    "language:response_language": {"language": _language},
    "length_constraints:nth_paragraph_first_word": {
        "num_paragraphs": _count,
        "nth_paragraph": _count,
        "first_word": _phrase,
    },
    "length_constraints:number_paragraphs": {"num_paragraphs": _count},
    "length_constraints:number_sentences": {"num_sentences": _count, "relation": _relation},
    "length_constraints:number_words": {"num_words": _count, "relation": _relation},
    "punctuation:no_comma": {},
    "startend:end_checker": {"end_phrase": _phrase},
    "startend:quotation": {},
}
"""Every type with the arguments that it needs, all of them."""


class Instructions(DataRow):
    """A row of the official data."""

    key: int
    prompt: str
    instruction_id_list: list[str]
    kwargs: list[dict[str, Any]]

    @field_validator("kwargs")
    @classmethod
    def _given(cls, kwargs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The hub lists every argument of every instruction, most of them null; the file only those given."""
        return [{name: value for name, value in each.items() if value is not None} for each in kwargs]

    @model_validator(mode="after")
    def _checkable(self) -> "Instructions":
        if not self.prompt.strip():
            raise ValueError("the prompt is empty")
        if not self.instruction_id_list:
            raise ValueError("instruction_id_list is empty")
        if len(self.instruction_id_list) != len(self.kwargs):
            raise ValueError(f"{len(self.instruction_id_list)} instructions have {len(self.kwargs)} kwargs")
        for place, (instruction, kwargs) in enumerate(self.pairs, start=1):
            problem = _problem(instruction, kwargs)
            if problem:
                raise ValueError(f"instruction {place} ({instruction}): {problem}")
        return self

    @property
    def id(self) -> str:
        return str(self.key)

    @property
    def sample(self) -> Sample:
        families = [each.partition(":")[0] for each in self.instruction_id_list]
        tags: dict[str, Json] = {"instruction": self.instruction_id_list, "instruction family": families}
        return Sample(id=self.id, prompt=self.prompt, tags=tags)

    @property
    def pairs(self) -> Sequence[tuple[str, Mapping[str, Any]]]:
        """Each instruction with its arguments."""
        return list(zip(self.instruction_id_list, self.kwargs, strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class InstructionVerdicts:
    """Which of a prompt's instructions an answer follows, in their order."""

    strict: tuple[bool, ...]
    loose: tuple[bool, ...]
    """Where the answer without its first line, its last line or its asterisks may pass instead."""


def verdicts(
    asked: Instructions, answer: str, official: Mapping[str, Sequence[float]]
) -> InstructionVerdicts:
    """What an answer is judged to be, given the official checkers' verdicts on it (1.0 or 0.0 each)."""

    def judged(values: Sequence[float], texts: Sequence[str]) -> tuple[bool, ...]:
        return tuple(
            _has_often_enough(kwargs, texts) if _counts_no_letter(instruction, kwargs) else bool(value)
            for (instruction, kwargs), value in zip(asked.pairs, values, strict=True)
        )

    return InstructionVerdicts(
        strict=judged(official[STRICT], [answer]), loose=judged(official[LOOSE], loosened(answer))
    )


def loosened(answer: str) -> list[str]:
    """The eight texts of which one must follow: without first line, last line, asterisks, or with them."""
    lines = answer.split("\n")
    shortened = ["\n".join(kept).strip() for kept in (lines[1:], lines[:-1], lines[1:-1])]
    return [text for kept in (answer, *shortened) for text in (kept, kept.replace("*", ""))]


def _counts_no_letter(instruction: str, kwargs: Mapping[str, Any]) -> bool:
    """Whether the official code would count a random letter: the one asked for is none from a to z."""
    return instruction == LETTER_FREQUENCY and not "a" <= kwargs["letter"].lower() <= "z"


def _has_often_enough(kwargs: Mapping[str, Any], texts: Sequence[str]) -> bool:
    """Whether any of the texts that are not empty has the character as often as it must."""
    character, times = kwargs["letter"].lower(), kwargs["let_frequency"]
    at_least = kwargs["let_relation"] == "at least"
    return any((text.lower().count(character) >= times) == at_least for text in texts if text.strip())


def _problem(instruction: str, kwargs: Mapping[str, Any]) -> str | None:
    """What keeps an instruction from being checked; None where nothing does."""
    if instruction not in ARGUMENTS:
        return f"there is no such instruction{nearest(instruction, ARGUMENTS)}"
    wanted = ARGUMENTS[instruction]
    for name in kwargs:
        if name not in wanted:
            return f"takes no argument {name!r}{nearest(name, wanted)}"
    for name, problem in wanted.items():
        if name not in kwargs:
            return f"lacks its argument {name!r}"
        if problem(kwargs[name]):
            return f"{name} {problem(kwargs[name])}, and is {kwargs[name]!r}"
    if kwargs.get("nth_paragraph", 1) > kwargs.get("num_paragraphs", 1):
        return f"there is no paragraph {kwargs['nth_paragraph']} among {kwargs['num_paragraphs']}"
    return None
