"""IFEval's verdicts against others' on the same answers, through the code that the suite scores with.

    IFEVAL_VERDICTS=FILE pytest -m agreement

FILE is a JSONL of {key, prompt, instruction_id_list, kwargs, response, strict, loose}: an answer and, for
each instruction, whether the official code says that it is followed. A prompt may come with many answers.
Without a file, cases are taken that were worked out by hand from the official code (`tests/golden`); what is
written there was never produced by running a checker, and `why` says what each is about.

Keys 1122 and 1129 are counted apart: the official code judges them by a letter that it draws at random.
"""

import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import nltk
import pytest
from langdetect import DetectorFactory
from pydantic import model_validator

from harness.errors import DataError
from suites.ifeval import Checkers, IFEval
from suites.instructions import ARGUMENTS, Instructions, Verdicts
from suites.official import checked, read_jsonl
from suites.settings import IFEvalSettings, Surroundings
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
OTHER_SEEDS = range(1, 11)


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
    undecided: bool
    """Whether it is about a language that the official detector, unseeded, gives now so and now so."""

    def __str__(self) -> str:
        said = {True: "followed", False: "not followed"}
        return (
            f"key {self.key}, instruction {self.place} {self.instruction}, {self.way}: the file says "
            f"{said[self.theirs]}, we say {said[not self.theirs]} (line {self.line})"
            f"{'; its language depends on the seed of the detection' if self.undecided else ''}"
        )


@dataclass(frozen=True)
class Agreement:
    """Every verdict of a file beside ours."""

    judged: Sequence[Judged]
    ours: Sequence[Verdicts]
    with_seed: Callable[[int, int], Verdicts]
    """Ours of a line, by its place, with another seed of the language detection."""
    seconds: float

    @cached_property
    def disagreements(self) -> Sequence[Disagreement]:
        """All, in the order of the file."""
        return list(self._differing(random_officially=False))

    @cached_property
    def apart(self) -> Sequence[Disagreement]:
        """Those of the two keys that the official code judges at random."""
        return list(self._differing(random_officially=True))

    def report(self) -> str:
        """What there was, what differs by instruction, and every difference."""
        verdicts = sum(len(each.strict) for each in self.judged)
        by_type = Counter(f"{each.instruction}, {each.way}" for each in self.disagreements)
        return "\n".join(
            [
                f"{len(self.judged):,} answers and {verdicts:,} instructions, judged strictly and loosely in "
                f"{self.seconds:.1f} s: {len(self.disagreements)} disagreements, and apart from them "
                f"{len(self.apart)} on keys 1122 and 1129",
                *(f"  {count} on {name}" for name, count in by_type.most_common()),
                *(f"  {each}" for each in self.disagreements),
            ]
        )

    def _differing(self, *, random_officially: bool) -> Iterator[Disagreement]:
        for line, (judged, ours) in enumerate(zip(self.judged, self.ours, strict=True), start=1):
            if (judged.key in RANDOM_OFFICIALLY) != random_officially:
                continue
            for way, theirs in (("strict", judged.strict), ("loose", judged.loose)):
                for place, instruction in enumerate(judged.instruction_id_list):
                    if theirs[place] != getattr(ours, way)[place]:
                        undecided = instruction in DETECTS_LANGUAGE and theirs[place] in {
                            getattr(self.with_seed(line - 1, seed), way)[place] for seed in OTHER_SEEDS
                        }
                        yield Disagreement(
                            line, judged.key, instruction, place + 1, way, theirs[place], undecided
                        )


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

    def with_seed(line: int, seed: int) -> Verdicts:
        before, DetectorFactory.seed = DetectorFactory.seed, seed
        try:
            return checkers.verdicts(*asked[line])
        finally:
            DetectorFactory.seed = before

    return Agreement(judged, ours, with_seed, time.monotonic() - began)


def read(file: Path) -> tuple[Judged, ...]:
    """The file's lines. Raises DataError, naming line and field."""
    return checked(str(file), Judged, read_jsonl(file))


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
    """Every verdict of the file is ours; all that are not are told, by key and instruction."""
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
    suite = IFEval(IFEvalSettings(data=write_rows(tmp_path / "rows.jsonl", rows)), Surroundings())
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
def test_every_disagreement_is_told() -> None:
    """By key and instruction, strict and loose, for every line; the two random keys are counted apart."""
    lines = [each for each in read(HAND_WORKED) if not cuts_sentences(each)]
    wrong = [
        each.model_copy(update={"strict": [not verdict for verdict in each.strict]}) for each in lines[:3]
    ]
    found = agreement([*wrong, *lines[3:]])
    told = found.report().splitlines()
    assert 3 == len(found.disagreements)
    assert ["  3 on keywords:existence, strict"] == told[1:2]
    assert (
        "  key 1, instruction 1 keywords:existence, strict: the file says not followed, we say followed "
        "(line 1)"
    ) == told[2]
    assert [1, 2, 3] == [each.line for each in found.disagreements]
    assert [(1122, "strict"), (1122, "loose"), (1129, "strict"), (1129, "loose")] == [
        (each.key, each.way) for each in found.apart
    ]


@pytest.mark.usefixtures("no_sentences_needed")
@pytest.mark.parametrize(
    ("response", "undecided"), [("Hello world", True), ("Das ist ein deutscher Satz.", False)]
)
def test_an_undecided_language_is_told(response: str, undecided: bool) -> None:
    """The official detection is unseeded; where it can say either, a disagreement is marked as such."""
    judged = Judged(
        key=1,
        prompt="Answer in English.",
        instruction_id_list=["language:response_language"],
        kwargs=[{"language": "en"}],
        response=response,
        strict=[undecided is False],
        loose=[undecided is False],
    )
    found = agreement([judged])
    assert [undecided, undecided] == [each.undecided for each in found.disagreements]
    assert undecided == ("depends on the seed" in found.report())


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"strict": None}, "line 2: strict: input should be a valid list"),
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


def test_a_missing_field_is_named(tmp_path: Path) -> None:
    """So is a line without a field."""
    first = json.loads(HAND_WORKED.read_text("utf-8").split("\n")[0])
    for field in ("key", "prompt", "instruction_id_list", "kwargs", "response", "strict", "loose"):
        file = write_rows(tmp_path / "verdicts.jsonl", [{k: v for k, v in first.items() if k != field}])
        with pytest.raises(DataError, match=f"row 1: {field}: field required"):
            read(file)
