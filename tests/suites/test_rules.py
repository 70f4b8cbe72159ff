"""The rules of a user's own suite, case by case, and what becomes of a user's function."""

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.errors import UsageError, WorkFailed
from harness.records.answers import Score
from suites import rules
from suites.rules import FunctionRule, TextRule, function_rule, known_rules


@pytest.mark.parametrize(
    ("rule", "answer", "targets", "right"),
    [
        (TextRule(name="exact"), " Paris\n", ["Paris"], True),
        (TextRule(name="exact"), "paris", ["Paris"], False),
        (TextRule(name="exact"), "Paris.", ["Paris"], False),
        (TextRule(name="exact"), "Lutetia", ["Paris", "Lutetia"], True),
        (TextRule(name="exact"), "", ["Paris"], False),
        (TextRule(name="exact", ignore_case=True), "STRASSE", ["straße"], True),
        (TextRule(name="exact", ignore_punctuation=True), "1,000.", ["1000"], True),
        (TextRule(name="exact", ignore_whitespace=True), "New \n York", ["New York"], True),
        (TextRule(name="exact"), "New  York", ["New York"], False),
        (TextRule(name="exact", ignore_punctuation=True, ignore_whitespace=True), "a - b", ["a b"], True),
        (TextRule(name="contains"), "It is Paris, I think.", ["Paris"], True),
        (TextRule(name="contains"), "It is paris.", ["Paris"], False),
        (TextRule(name="contains", ignore_case=True), "It is paris.", ["Rome", "Paris"], True),
        (TextRule(name="contains", ignore_punctuation=True), "Paris", ["!"], False),
        (TextRule(name="regex"), "in 1789", [r"\b17\d\d\b"], True),
        (TextRule(name="regex"), "in 21789", [r"\b17\d\d\b"], False),
        (TextRule(name="regex", ignore_case=True), "PARIS", ["^paris$"], True),
    ],
)
def test_text_rules(rule: TextRule, answer: str, targets: list[str], right: bool) -> None:
    """One target is enough; what is ignored is ignored on both sides; white space around never counts."""
    assert right == rule.holds(answer, targets)


@pytest.mark.parametrize(
    ("pattern", "answer", "right"),
    [
        (r"#### (\d+)", "3 + 4 = 7\n#### 7", True),
        (r"#### (\d+)", "3 + 4 = 7", False),
        (r"\d+", "so 7, not 8", True),
        (r"\d+", "so 8, not 7", False),
        (r"(x)?\d", "7", False),
    ],
)
def test_extraction(pattern: str, answer: str, right: bool) -> None:
    """The first match's group counts, or all of it; where there is none, the answer is wrong."""
    assert right == TextRule(name="exact", extract=re.compile(pattern)).holds(answer, ["7"])


def test_all_that_a_verdict_depends_on_is_the_rules_identity() -> None:
    """No two rules that may differ in a verdict share an identity."""
    variants = [
        TextRule(name="exact"),
        TextRule(name="contains"),
        TextRule(name="exact", extract=re.compile("a")),
        TextRule(name="exact", ignore_case=True),
        TextRule(name="exact", ignore_punctuation=True),
        TextRule(name="exact", ignore_whitespace=True),
    ]
    assert len(variants) == len({str(variant.identity) for variant in variants})


# ---------------------------------------------------------------- functions


def scored(function: Callable[[str, Any], Any]) -> Score:
    """What a function makes of one answer."""
    rule = FunctionRule(name="m:f", metric="f", function=function, module_hash="sha256:0")
    return rule.score("an answer", {"target": "t"}, "rows.jsonl, row 3")


@pytest.mark.parametrize(("given", "value"), [(True, 1.0), (False, 0.0), (0.25, 0.25), (1, 1.0)])
def test_numbers_of_a_function(given: float | bool, value: float) -> None:
    """Numbers from 0 to 1, and truth values."""
    assert Score(metric="f", value=value) == scored(lambda answer, row: given)


def test_none_is_unscored() -> None:
    """None is no 0: the answer is counted as unscored, with the reason."""
    assert Score(metric="f", value=None, reason="the rule gave no score") == scored(lambda answer, row: None)


@pytest.mark.parametrize("given", [1.5, -0.1, float("nan"), "1", [1]])
def test_other_values_of_a_function(given: object) -> None:
    """Whatever else a function gives is refused, and the row named."""
    with pytest.raises(WorkFailed, match=r"^rows.jsonl, row 3: rule 'm:f' gave .*from 0 to 1"):
        scored(lambda answer, row: given)


def test_what_a_function_raises() -> None:
    """An exception of a function names the row, the rule and itself."""
    with pytest.raises(WorkFailed, match="row 3: rule 'm:f' raised KeyError: 'topic'; the answers are kept"):
        scored(lambda answer, row: row["topic"])


def test_a_function_sees_the_row_and_cannot_change_it() -> None:
    """The row is the file's; what a function writes into it is gone with the call."""
    row = {"target": "t"}
    rule = FunctionRule(name="m:f", metric="f", function=lambda a, r: r.pop("target") == a, module_hash="")  # type: ignore[attr-defined]  # of the value that is made here
    assert [1.0, 1.0] == [rule.score("t", row, "").value for _ in range(2)]


def test_a_changed_module_is_another_rule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The module's text is part of the identity, and what is called is what was hashed."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    file = tmp_path / "rule_under_change.py"
    file.write_text("def judge(answer, row):\n    return 0\n")
    before = function_rule("rule_under_change:judge", tmp_path)
    file.write_text("def judge(answer, row):\n    return 1  # and longer\n")
    after = function_rule("rule_under_change:judge", tmp_path)
    assert before.identity != after.identity
    assert ["judge", 1.0] == [after.metric, after.score("", {}, "").value]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_such_module:f", "rule 'no_such_module:f': there is no module 'no_such_module' with a file"),
        ("math:", "rule 'math:'"),
        ("json:no_such_function", "rule 'json:no_such_function' cannot be loaded: AttributeError"),
        ("string:digits", "rule 'string:digits': 'digits' of string is not a function"),
    ],
)
def test_a_function_that_is_not_there(name: str, message: str) -> None:
    """The message for what cannot be loaded has its name."""
    with pytest.raises(UsageError, match=f"^{re.escape(message)}"):
        function_rule(name, None)


def test_a_module_that_is_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's syntax error is the user's message and no traceback."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "rule_that_is_broken.py").write_text("def judge(answer, row)\n")
    with pytest.raises(UsageError, match="cannot be loaded: SyntaxError"):
        function_rule("rule_that_is_broken:judge", tmp_path)


def test_rules_have_names() -> None:
    """The house's rules are known under the names that the settings explain."""
    assert ["exact", "contains", "regex", "choice"] == known_rules()[:4]
    assert rules.TEXTUAL == ("exact", "contains", "regex")
