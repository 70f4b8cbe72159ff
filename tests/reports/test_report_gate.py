"""A gate's results as JUnit XML and as a step summary: what readers find, and nothing that breaks them."""

import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from harness.records.answers import Metric
from harness.rulings import Demand, GateResult, JudgedRule, Ruling, must_be_better, without_policy
from reports import junit, step_summary
from reports.gate import demand, summary, why
from tests.reports.boards import comparison_of, reference_board

METRIC = Metric(name="right", kind="binary", headline=True)
BETTER = must_be_better(comparison_of("tuned", "quiz", METRIC, 0.4, 0.6, 500), "gate.better[0]")
HOSTILE = "a\x00\x1b[2J\x85\u202e\ud800\ufffe\uffff]]>&<b>|`*\n# b"


def result(*rulings: Ruling, name: str = "tuned", proof: bool = True) -> GateResult:
    """A candidate with a rule of each of these rulings."""
    rules = [replace(BETTER, ruling=each, proof=proof) for each in rulings]
    return GateResult(candidate=name, baseline="sft", rules=tuple(rules))


@pytest.mark.parametrize(
    ("ruling", "proof", "element"),
    [
        (Ruling.KEPT, True, None),
        (Ruling.BROKEN, False, "failure"),
        (Ruling.UNDECIDED, True, "failure"),
        (Ruling.UNDECIDED, False, "skipped"),
        (Ruling.UNKNOWN, False, "error"),
    ],
)
def test_a_rule_is_a_test(ruling: Ruling, proof: bool, element: str | None) -> None:
    """Failed, skipped or in error, with the reason in the attribute and in the text: readers show either."""
    [case] = ElementTree.fromstring(junit.render([result(ruling, proof=proof)])).iter("testcase")
    assert ("tuned against sft", "better on quiz (right)") == (case.get("classname"), case.get("name"))
    found = {child.tag: child for child in case}
    assert {element or "system-out"} == set(found)
    if element:
        assert ruling == found[element].get("type")
        assert found[element].get("message") in (found[element].text or "")


def test_counts_add_up() -> None:
    """Over a suite of tests for each candidate, and over all of them."""
    every = result(*Ruling, name="one"), result(Ruling.BROKEN, name="two")
    root = ElementTree.fromstring(junit.render(every, ["a note"]))
    counts = [
        [each.get(name) for name in ("tests", "failures", "errors", "skipped")] for each in [root, *root]
    ]
    assert [["5", "3", "1", "0"], ["4", "2", "1", "0"], ["1", "1", "0", "0"]] == counts
    assert ["a note", "a note"] == [each.findtext("system-out") for each in root]


def test_no_text_breaks_a_document() -> None:
    """Names and notes with what XML or Markdown would act on, or cannot hold, are readable text in both."""
    rule = JudgedRule(demand=Demand.BETTER, ruling=Ruling.UNKNOWN, suite=HOSTILE, missing=HOSTILE)
    hostile = [GateResult(candidate=HOSTILE, baseline="sft", rules=(rule,))]
    text = junit.render(hostile, [HOSTILE])
    assert re.fullmatch("[\t\n\x20-\x7e\xa0-\ud7ff\ue000-\ufffd]*", text)
    case = next(ElementTree.fromstring(text.encode()).iter("testcase"))
    assert "]]>&<b>|`*\n# b against sft" in (case.get("classname") or "")
    page = step_summary.render(hostile, [HOSTILE])
    heading, _, _, _, row, _, note = page.splitlines()
    assert heading.startswith("## a")
    assert "&lt;b&gt;\\|\\`\\*" in row
    assert 4 == len(re.findall(r"(?<!\\)\|", row))
    assert note.startswith("- a")


def test_a_step_summary() -> None:
    """The outcome, a line for each rule with its mark, and what to know."""
    page = step_summary.render([result(Ruling.KEPT, Ruling.BROKEN)], ["few samples"])
    heading, _, head, _, kept, broken, _, note = page.splitlines()
    assert "## tuned against sft: does not pass (1 rule kept, 1 broken)" == heading
    assert "|  | rule | why |" == head
    assert kept.startswith("| ✓ kept | better on quiz (right) | ▲ BETTER: +0.200 [")
    assert broken.startswith("| ✗ broken |")
    assert "- few samples" == note


@pytest.mark.parametrize(
    ("rulings", "words"),
    [
        ([Ruling.KEPT], "passes (1 rule kept)"),
        ([Ruling.KEPT, Ruling.UNKNOWN], "cannot be judged (1 rule kept, 1 unknown)"),
        ([Ruling.UNDECIDED, Ruling.UNKNOWN], "does not pass (1 rule undecided, 1 unknown)"),
        ([], "nothing to judge by"),
    ],
)
def test_the_outcome_in_words(rulings: list[Ruling], words: str) -> None:
    """What fails counts more than what is unknown."""
    assert words == summary(result(*rulings))


def test_a_limit_of_nothing() -> None:
    """`unscored = 0` reads as what it asks for."""
    rule = replace(BETTER, demand=Demand.UNSCORED, limit=0.0)
    assert "nothing unscored on quiz (right)" == demand(rule)
    assert "0 of 500 pairs (0%)" == why(rule)
    assert "at most 0.5% unscored on quiz (right)" == demand(replace(rule, limit=0.005))


def test_a_comparison_alone() -> None:
    """What `compare` found can be written without a policy, all of it."""
    results = [without_policy(verdict) for verdict in reference_board(samples=1).verdicts]
    root = ElementTree.fromstring(junit.render(results))
    assert len(results) == len(root)
    assert sum(len(each.rules) for each in results) == len(list(root.iter("testcase")))
    assert step_summary.render(results).count("\n## ") == len(results) - 1
