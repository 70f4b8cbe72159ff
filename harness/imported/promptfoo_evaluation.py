"""A file of promptfoo's, checked: its tests, and what each provider answered to them.

A result is one test under one prompt template by one provider. Tests are told apart by template, variables
and assertions, for `testIdx` changes with the selection, and a prompt's id with its label. Variables that
begin with `_`, and `sessionId`, are put in while it runs (`filterRuntimeVars` of its `src/util`).
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import DataError
from harness.files import log_value
from harness.imported.fields import as_number, as_object, as_objects, canonical, digest, in_one_line

VERSION = 3
"""Of the results."""
PUT_IN_WHILE_RUNNING = "sessionId"

Result = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PromptfooTest:
    """The variables of a test under a prompt template, and what it asserts."""

    id: str
    """A short hash of template and variables; tests that differ in what they assert are numbered."""
    template: str
    """As people read it."""
    asserts: tuple[Mapping[str, Any], ...]
    named: frozenset[str]
    """The names of scores that its assertions give."""


@dataclass(frozen=True, slots=True)
class PromptfooEvaluation:
    """A file, in which every result is as it should be."""

    file: Path
    said: Mapping[str, Any]
    prompts: Sequence[Mapping[str, Any]]
    """The templates, one for each provider."""
    providers: Sequence[str]
    """Whose each prompt is: a label, or else an id. One that is listed twice is two, `NAME` and `NAME #2`."""
    tests: Mapping[str, PromptfooTest]
    """By a digest of template, variables and assertions."""
    results: Mapping[str, Mapping[str, Sequence[Result]]]
    """By provider and test, in order of `testIdx`; several where a test was repeated."""

    @property
    def time(self) -> str:
        """When it was run."""
        return str(as_object(self.said["results"]).get("timestamp", ""))

    @property
    def config(self) -> Mapping[str, Any]:
        """The configuration that it was run with."""
        return as_object(self.said.get("config"))

    @property
    def name(self) -> str:
        """Its description; without one, a hash of its tests."""
        description = self.config.get("description")
        named = in_one_line(description) if isinstance(description, str) else ""
        return named or digest(sorted({test.id for test in self.tests.values()}))[:12]


def read_evaluation(file: Path) -> PromptfooEvaluation:
    """Read a file whole.

    Raises DataError for another version, for a file that is not whole, and for results that are not
    promptfoo's or contradict each other.
    """
    said = log_value(file)
    found = as_object(as_object(said).get("results"))
    if found.get("version") != VERSION:
        raise DataError(
            str(file),
            0,
            f"is version {found.get('version', 'unknown')} of promptfoo's results, and {VERSION} is read: "
            "write it anew with `promptfoo export eval ID -o FILE.json` of promptfoo 0.123",
        )
    prompts, results = as_objects(found.get("prompts")), as_objects(found.get("results"))
    if not results or not prompts:
        raise DataError(str(file), 0, "holds no results, or no prompts")
    _check_counts(file, found, results)
    providers = _providers(prompts)
    tests, by_provider = _sorted_out(file, prompts, providers, results)
    return PromptfooEvaluation(file, said, prompts, providers, tests, by_provider)


def _check_counts(file: Path, found: Mapping[str, Any], results: Sequence[Result]) -> None:
    """Raise DataError where there are other results than the file itself counts."""
    stats = as_object(found.get("stats"))
    counts = [as_number(stats.get(each)) for each in ("successes", "failures", "errors")]
    counted = int(sum(filter(None, counts)))
    if None not in counts and counted != len(results):
        message = f"holds {len(results):,} results, and its own stats count {counted:,}: it is not whole"
        raise DataError(str(file), 0, message)


def _providers(prompts: Sequence[Mapping[str, Any]]) -> list[str]:
    seen: Counter[str] = Counter()
    names = []
    for prompt in prompts:
        name = str(prompt.get("provider") or "model")
        under = canonical([name, prompt.get("raw"), prompt.get("label")])
        seen[under] += 1
        names.append(numbered(name, seen[under]))
    return names


def numbered(name: str, time: int) -> str:
    """What a provider is called that comes under this name for the first, or another time."""
    return name if time == 1 else f"{name} #{time}"


def _sorted_out(
    file: Path, prompts: Sequence[Mapping[str, Any]], providers: Sequence[str], results: Sequence[Result]
) -> tuple[dict[str, PromptfooTest], dict[str, dict[str, list[Result]]]]:
    """The tests, and each provider's results by test."""
    questions: dict[str, str] = {}
    made: dict[str, tuple[str, tuple[Mapping[str, Any], ...]]] = {}
    named: dict[str, set[str]] = defaultdict(set)
    of: dict[str, dict[str, list[Result]]] = {name: {} for name in providers}
    places: dict[tuple[int, int], int] = {}
    for place, result in enumerate(results, start=1):
        _check(file, place, result, len(prompts), places)
        prompt, test = prompts[result["promptIdx"]], as_object(result.get("testCase"))
        asserts = tuple(_leaves(test.get("assert")))
        question = digest([prompt.get("raw"), variables(result)])
        key = digest([question, asserts, test.get("threshold"), test.get("options")])
        questions[key], made[key] = question, (str(prompt.get("label") or prompt.get("raw")), asserts)
        named[key] |= {str(each["metric"]) for each in asserts if each.get("metric")}
        named[key] |= as_object(result.get("namedScores")).keys()
        of[providers[result["promptIdx"]]].setdefault(key, []).append(result)
    ids = _ids(questions)
    tests = {key: PromptfooTest(ids[key], *parts, frozenset(named[key])) for key, parts in made.items()}
    for by_test in of.values():
        for draws in by_test.values():
            draws.sort(key=lambda result: result["testIdx"])
    return tests, {name: by_test for name, by_test in of.items() if by_test}


def _check(file: Path, place: int, result: Result, prompts: int, places: dict[tuple[int, int], int]) -> None:
    """Raise DataError for a result from which no row can be made, and for a second one of the same test."""
    under, test = result.get("promptIdx"), result.get("testIdx")
    if not isinstance(under, int) or not isinstance(test, int) or not 0 <= under < prompts:
        raise DataError(
            str(file), place, "`testIdx`, and `promptIdx` of one of the file's prompts, were expected"
        )
    if not isinstance(result.get("success"), bool) or as_number(result.get("score")) is None:
        raise DataError(str(file), place, "`success`, true or false, and `score`, a number, were expected")
    if as_objects(as_object(result.get("gradingResult")).get("componentResults") or []) is None:
        raise DataError(str(file), place, "gradingResult.componentResults: a list of objects was expected")
    first = places.setdefault((test, under), place)
    if first != place:
        raise DataError(str(file), place, f"is of test {test} under prompt {under}, as result {first} is")


def _leaves(asserts: object) -> Iterator[Mapping[str, Any]]:
    """The assertions of a test, those of sets one by one."""
    for each in asserts if isinstance(asserts, list) else ():
        if as_object(each).get("type") == "assert-set":
            yield from _leaves(each.get("assert"))
        else:
            yield as_object(each)


def variables(result: Result) -> dict[str, Any]:
    """Those of a test that do not come from its run."""
    return {
        name: value
        for name, value in as_object(result.get("vars")).items()
        if not name.startswith("_") and name != PUT_IN_WHILE_RUNNING
    }


def _ids(questions: Mapping[str, str]) -> dict[str, str]:
    """A short id of each test; the order of those that differ in their assertions is always the same."""
    counted: Counter[str] = Counter()
    ids = {}
    for key, question in sorted(questions.items()):
        counted[question] += 1
        ids[key] = question[:16] if counted[question] == 1 else f"{question[:16]}-{counted[question]}"
    return ids
