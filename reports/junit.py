"""A gate's results as JUnit XML, which CI servers read.

A suite of tests is a candidate against its baseline, a test is a rule. There is no official definition; the
elements are those that common readers share: `failure` for what is broken, or not decided where proof is
asked for, `skipped` for what is not decided and let through, `error` where nothing can be said.
"""

import re
from collections.abc import Sequence
from xml.etree import ElementTree

from harness.errors import UsageError
from harness.escape_controls import escape_controls
from harness.rulings import GateResult, JudgedRule, Ruling, without_policy
from reports.exported import Exported
from reports.gate import demand, title, why
from reports.whole_files import WholeFiles

NAME = "harness gate"
_NO_XML = re.compile("[\ufffe\uffff]")
"""What XML 1.0 has no place for and `escape_controls` leaves."""


def write(exported: Exported, files: WholeFiles) -> Sequence[str]:
    """`results.xml`: a comparison without a policy, one suite of tests for each candidate."""
    results = [without_policy(verdict) for verdict in exported.verdicts()]
    if not results:
        raise UsageError("the store alone has no verdicts: name the models to compare, the baseline first")
    files.write("results.xml", render(results))
    return ()


def render(results: Sequence[GateResult], notes: Sequence[str] = ()) -> str:
    """The document, with its declaration. `notes` are the output of every suite of tests."""
    suites = [_suite(result, notes) for result in results]
    root = ElementTree.Element("testsuites", {"name": NAME, **_counts(suites)})
    root.extend(suites)
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(root, encoding="unicode")}\n'


def _suite(result: GateResult, notes: Sequence[str]) -> ElementTree.Element:
    suite = ElementTree.Element("testsuite", {"name": _plain(title(result))})
    for rule in result.rules:
        suite.append(_case(title(result), rule))
    tests = list(suite)
    for counted, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(counted, str(sum(test.find(tag) is not None for test in tests)))
    suite.set("tests", str(len(tests)))
    suite.set("time", "0")
    if notes:
        ElementTree.SubElement(suite, "system-out").text = _plain("\n".join(notes))
    return suite


def _case(judged: str, rule: JudgedRule) -> ElementTree.Element:
    """`judged` tells the rules of several candidates apart: not every reader shows the suite's name."""
    names = {"classname": _plain(judged), "name": _plain(demand(rule)), "time": "0"}
    case = ElementTree.Element("testcase", names)
    said = _plain(why(rule))
    tag = _tag(rule)
    if tag is None:
        ElementTree.SubElement(case, "system-out").text = said
    else:
        found = ElementTree.SubElement(case, tag, {"message": said, "type": str(rule.ruling)})
        found.text = f"{_plain(demand(rule))}: {said}"
    return case


def _tag(rule: JudgedRule) -> str | None:
    if rule.ruling is Ruling.UNKNOWN:
        return "error"
    if rule.fails:
        return "failure"
    return "skipped" if rule.ruling is Ruling.UNDECIDED else None


def _counts(suites: Sequence[ElementTree.Element]) -> dict[str, str]:
    return {
        name: str(sum(int(suite.get(name, "0")) for suite in suites))
        for name in ("tests", "failures", "errors", "skipped")
    } | {"time": "0"}


def _plain(text: str) -> str:
    return _NO_XML.sub("\N{REPLACEMENT CHARACTER}", escape_controls(text))
