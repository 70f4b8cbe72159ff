"""IFEval's verdicts against others' on the same answers, through the code that the suite scores with.

    IFEVAL_VERDICTS=FILE pytest -m agreement

FILE is a JSONL of {key, prompt, instruction_id_list, kwargs, response, strict, loose}: an answer and, for
each instruction, whether the official code says that it is followed. A prompt may come with many answers.
Without a file, cases are taken that were worked out by hand from the official code (`tests/golden`); what is
written there was never produced by running a checker, and `why` says what each is about.

What the official code itself says now so and now so is reported, and fails nothing: keys 1122
and 1129, which it judges by a letter that it draws, and texts whose language its detection, unseeded there,
takes now for one and now for another.
"""

import json
import os
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import nltk
import pytest
from langdetect import DetectorFactory
from pydantic import model_validator

from harness.errors import DataError
from harness.files import json_lines
from suites.ifeval import Checkers, IFEval
from suites.ifeval_instructions import ARGUMENTS, LETTER_FREQUENCY, Instructions, InstructionVerdicts
from suites.row_suite import checked
from suites.settings import IFEvalSettings, SuiteContext
from tests.suites.rows import write_rows
from tests.suites.scripted import FunctionEngine, says

HAND_WORKED = Path(__file__).parents[1] / "golden" / "ifeval_verdicts.jsonl"
RANDOM_OFFICIALLY = (1122, 1129)
CUTS_SENTENCES = {"length_constraints:number_sentences", "change_case:capital_word_frequency"}
"""What needs nltk's punkt_tab, which is not in the repository."""
DETECTS_LANGUAGE = {
    "language:response_language",
    "change_case:english_capital",
    "change_case:english_lowercase",
}
OTHER_SEEDS = range(1, 201)
"""Seeds of the language detection: a verdict that it gives once in a hundred times is found by most."""
A_LETTER = "the official code judges it by a letter that it draws"
A_LANGUAGE = "its language depends on the seed of the detection"


class Judged(Instructions):
    """A line of the file."""

    response: str
    strict: list[bool]
    loose: list[bool]

    @model_validator(mode="after")
    def _whole(self) -> "Judged":
        for field in ("strict", "loose"):
            if len(getattr(self, field)) != len(self.instruction_id_list):
                raise ValueError(
                    f"{field}: {len(getattr(self, field))} verdicts on "
                    f"{len(self.instruction_id_list)} instructions"
                )
        return self

    @property
    def id(self) -> str:
        """A line is not like another, even if it says the same."""
        return f"line {id(self)}"

    @property
    def asked(self) -> Instructions:
        """What was asked, without the answer."""
        return Instructions.model_validate(self.model_dump())


@dataclass(frozen=True)
class Disagreement:
    """A verdict that is not as the file has it."""

    line: int
    key: int
    instruction: str
    place: int
    way: str
    theirs: bool
    chance: str | None
    """Why the official code says now so and now so; None where it always says the same."""

    def __str__(self) -> str:
        said = {True: "followed", False: "not followed"}
        return (
            f"key {self.key}, instruction {self.place} {self.instruction}, {self.way}: the file says "
            f"{said[self.theirs]}, we say {said[not self.theirs]} (line {self.line})"
            f"{'' if self.chance is None else f'; {self.chance}'}"
        )


@dataclass(frozen=True)
class Agreement:
    """Every verdict of a file beside ours."""

    judged: Sequence[Judged]
    ours: Sequence[InstructionVerdicts]
    with_seed: Callable[[int, int], InstructionVerdicts]
    """Ours of a line, by its place, with another seed of the language detection."""
    seconds: float

    @cached_property
    def disagreements(self) -> Sequence[Disagreement]:
        """All that the official code always has, in the order of the file."""
        return [each for each in self._differing if each.chance is None]

    @cached_property
    def by_chance(self) -> Sequence[Disagreement]:
        """Those in which the official code can disagree with itself."""
        return [each for each in self._differing if each.chance is not None]

    def report(self) -> str:
        """What there was, what differs by instruction, and every difference."""
        verdicts = sum(len(each.strict) for each in self.judged)
        by_type = Counter(f"{each.instruction}, {each.way}" for each in self.disagreements)
        return "\n".join(
            [
                f"{len(self.judged):,} answers and {verdicts:,} instructions, judged strictly and loosely in "
                f"{self.seconds:.1f} s: {len(self.disagreements)} disagreements, and apart from them "
                f"{len(self.by_chance)} in which the official code can disagree with itself",
                *(f"  {count} on {name}" for name, count in by_type.most_common()),
                *(f"  {each}" for each in (*self.disagreements, *self.by_chance)),
            ]
        )

    @cached_property
    def _differing(self) -> Sequence[Disagreement]:
        return [
            Disagreement(
                line, judged.key, instruction, place + 1, way, theirs[place], self._chance(line, way, place)
            )
            for line, (judged, ours) in enumerate(zip(self.judged, self.ours, strict=True), start=1)
            for way, theirs in (("strict", judged.strict), ("loose", judged.loose))
            for place, instruction in enumerate(judged.instruction_id_list)
            if theirs[place] != getattr(ours, way)[place]
        ]

    def _chance(self, line: int, way: str, place: int) -> str | None:
        judged = self.judged[line - 1]
        instruction, theirs = judged.instruction_id_list[place], getattr(judged, way)[place]
        if judged.key in RANDOM_OFFICIALLY and instruction == LETTER_FREQUENCY:
            return A_LETTER
        if instruction in DETECTS_LANGUAGE and any(
            getattr(self.with_seed(line - 1, seed), way)[place] == theirs for seed in OTHER_SEEDS
        ):
            return A_LANGUAGE
        return None


def agreement(judged: Sequence[Judged], data_root: Path | None = None) -> Agreement:
    """Judge every answer as the suite does, and keep what it says beside what the file says."""
    began = time.monotonic()
    places: dict[str, int] = {}
    prompts: list[Instructions] = []
    asked = []
    for each in judged:
        prompt = each.asked
        place = places.setdefault(prompt.model_dump_json(), len(prompts))
        prompts += [prompt] if place == len(prompts) else []
        asked.append((place, each.response))
    checkers = Checkers(prompts, "the file of verdicts", data_root, max_tokens=1)
    ours = [checkers.verdicts(place, response) for place, response in asked]

    def with_seed(line: int, seed: int) -> InstructionVerdicts:
        before, DetectorFactory.seed = DetectorFactory.seed, seed
        try:
            return checkers.verdicts(*asked[line])
        finally:
            DetectorFactory.seed = before

    return Agreement(judged, ours, with_seed, time.monotonic() - began)


def read(file: Path) -> tuple[Judged, ...]:
    """The file's lines, in which a null response is an empty one. Raises DataError, naming line and field."""
    return checked(str(file), Judged, ((line, _answered(row)) for line, row in json_lines(file)))


def _answered(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Some services give null where a model said nothing; a line without the field stays a mistake."""
    return {**row, "response": ""} if row.get("response", "") is None else row


@pytest.fixture
def no_sentences_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder in punkt_tab's place, so that nothing is downloaded where nothing cuts sentences."""
    (tmp_path / "nltk" / "tokenizers" / "punkt_tab").mkdir(parents=True)
    monkeypatch.setattr(nltk.data, "path", [str(tmp_path / "nltk")])


def cuts_sentences(judged: Judged) -> bool:
    """Whether judging it needs nltk's data."""
    return bool(CUTS_SENTENCES & set(judged.instruction_id_list))


@pytest.mark.agreement
@pytest.mark.skipif("IFEVAL_VERDICTS" not in os.environ, reason="IFEVAL_VERDICTS names no file of verdicts")
def test_verdicts_of_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    """Every verdict of the file is ours, but by chance; others are reported, by key and instruction."""
    root = os.environ.get("HARNESS_DATA")
    found = agreement(read(Path(os.environ["IFEVAL_VERDICTS"])), Path(root) if root else None)
    with capsys.disabled():
        print(f"\n{found.report()}")
    if found.disagreements:
        pytest.fail(f"{len(found.disagreements)} disagreements: they are listed above", pytrace=False)


@pytest.mark.agreement
@pytest.mark.usefixtures("no_sentences_needed")
def test_hand_worked_verdicts() -> None:
    """What follows from the official code by hand is what the suite says."""
    found = agreement([each for each in read(HAND_WORKED) if not cuts_sentences(each)])
    assert not found.disagreements, found.report()


@pytest.mark.agreement
@pytest.mark.official
def test_hand_worked_verdicts_on_sentences(official_data: Path) -> None:
    """The same where nltk cuts the answer."""
    found = agreement([each for each in read(HAND_WORKED) if cuts_sentences(each)], official_data)
    assert not found.disagreements, found.report()


def test_every_instruction_is_worked_by_hand() -> None:
    """All 25 types have a case that follows, one that does not, and one that strict and loose see apart.

    The last only where an answer can be loose at all: nothing that is left out of an answer adds a letter,
    a placeholder or a highlight to it.
    """
    cannot_be_loose = {
        "detectable_content:number_placeholders",
        "detectable_format:number_highlighted_sections",
    }
    seen: dict[str, set[tuple[bool, bool]]] = {name: set() for name in ARGUMENTS}
    for each in read(HAND_WORKED):
        if each.key not in RANDOM_OFFICIALLY:
            for name, strict, loose in zip(each.instruction_id_list, each.strict, each.loose, strict=True):
                seen[name].add((strict, loose))
    for name, kinds in seen.items():
        wanted = {(True, True), (False, False)} | (set() if name in cannot_be_loose else {(False, True)})
        assert wanted == kinds, name


@pytest.mark.usefixtures("no_sentences_needed")
def test_the_suite_says_the_same(tmp_path: Path) -> None:
    """What is compared is what a run of the suite keeps: the same verdicts, by prompt and instruction."""
    judged = {each.prompt: each for each in read(HAND_WORKED) if not cuts_sentences(each)}
    rows = [each.asked.model_dump() for each in judged.values()]
    suite = IFEval(IFEvalSettings(data=write_rows(tmp_path / "rows.jsonl", rows)), SuiteContext())
    engine = FunctionEngine(answer=lambda prompt: says(judged[str(prompt.content)].response))
    found = agreement(list(judged.values()))
    kept = sorted(suite.rows(engine), key=lambda row: row.position)
    for row, ours in zip(kept, found.ours, strict=True):
        for way in ("strict", "loose"):
            scores = [score.value for score in row.scores if score.metric == f"instruction_{way}"]
            verdicts = getattr(ours, way)
            assert [float(each) for each in verdicts] == scores
            (whole,) = (score.value for score in row.scores if score.metric == f"prompt_{way}")
            assert float(all(verdicts)) == whole


@pytest.mark.usefixtures("no_sentences_needed")
def test_every_disagreement_is_reported() -> None:
    """By key and instruction, strict and loose, for every line; the two random keys are counted apart."""
    lines = [each for each in read(HAND_WORKED) if not cuts_sentences(each)]
    wrong = [
        each.model_copy(update={"strict": [not verdict for verdict in each.strict]}) for each in lines[:3]
    ]
    found = agreement([*wrong, *lines[3:]])
    reported = found.report().splitlines()
    assert 3 == len(found.disagreements)
    assert ["  3 on keywords:existence, strict"] == reported[1:2]
    assert (
        "  key 1, instruction 1 keywords:existence, strict: the file says not followed, we say followed "
        "(line 1)"
    ) == reported[2]
    assert [1, 2, 3] == [each.line for each in found.disagreements]
    assert [(1122, "strict"), (1122, "loose"), (1129, "strict"), (1129, "loose")] == [
        (each.key, each.way) for each in found.by_chance
    ]
    assert 4 == sum(A_LETTER in line for line in reported)


@pytest.mark.usefixtures("no_sentences_needed")
@pytest.mark.parametrize(
    ("response", "undecided"),
    [
        ("Hello world", True),
        # English for about one seed in twenty, Spanish for most
        ("[name], [address], [x], [y], [z], [1], [2]", True),
        ("Das ist ein deutscher Satz.", False),
    ],
)
def test_an_undecided_language_is_reported(response: str, undecided: bool) -> None:
    """The official detection is unseeded: where it can say either, that is reported, and fails nothing."""
    judged = Judged(
        key=1,
        prompt="Answer in English.",
        instruction_id_list=["language:response_language"],
        kwargs=[{"language": "en"}],
        response=response,
        strict=[True],
        loose=[True],
    )
    ours = agreement([judged]).ours[0]
    wrong = judged.model_copy(update={"strict": [not ours.strict[0]], "loose": [not ours.loose[0]]})
    found = agreement([wrong])
    assert (0 if undecided else 2) == len(found.disagreements)
    assert (2 if undecided else 0) == len(found.by_chance)
    assert undecided == (A_LANGUAGE in found.report())


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"strict": None}, "line 2: strict: field required"),
        ({"loose": [True, True]}, "line 2: loose: 2 verdicts on 1 instructions"),
        ({"strict": ["yes"]}, r"line 2: strict\.0: input should be a valid boolean"),
        ({"response": 3}, "line 2: response: input should be a valid string"),
        ({"key": "x"}, "line 2: key: input should be a valid integer"),
        ({"instruction_id_list": ["keywords:existance"]}, "line 2: .*did you mean 'keywords:existence'"),
        ({"kwargs": [{}]}, "line 2: .*lacks its argument 'keywords'"),
    ],
)
def test_a_malformed_line_is_named(tmp_path: Path, change: Mapping[str, Any], problem: str) -> None:
    """A line that cannot be used names itself and the field; nothing is compared."""
    first = json.loads(HAND_WORKED.read_text("utf-8").split("\n")[0])
    file = write_rows(tmp_path / "verdicts.jsonl", [first, {**first, **change}])
    with pytest.raises(DataError, match=problem.replace("line 2", r"verdicts\.jsonl, row 2")):
        read(file)


def test_a_null_response_is_an_empty_one(tmp_path: Path) -> None:
    """Services give null where a model said nothing: it is judged as the empty answer that it is."""
    first = json.loads(HAND_WORKED.read_text("utf-8").split("\n")[0])
    rows = [{**first, "response": said} for said in (None, "")]
    null, empty = read(write_rows(tmp_path / "verdicts.jsonl", rows))
    assert "" == null.response
    assert agreement([null]).ours == agreement([empty]).ours


def test_a_missing_field_is_named(tmp_path: Path) -> None:
    """So is a line without a field."""
    first = json.loads(HAND_WORKED.read_text("utf-8").split("\n")[0])
    for field in ("key", "prompt", "instruction_id_list", "kwargs", "response", "strict", "loose"):
        file = write_rows(tmp_path / "verdicts.jsonl", [{k: v for k, v in first.items() if k != field}])
        with pytest.raises(DataError, match=f"row 1: {field}: field required"):
            read(file)
