"""The page as a file: what it holds, and what it lets nobody do."""

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

from harness.records.answers import LogLikelihood, Row, Sample, Score
from reports.board import Unshown
from reports.charts import panels
from reports.html import render
from reports.samples import fitting, payloads, right_choices, speakers
from tests.reports.boards import HOSTILE, LONG, hostile_board, reference_board


class Elements(HTMLParser):
    """Every element with its attributes, and the text of scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {"script": [], "style": []}
        self._open = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        self._open = tag

    def handle_data(self, data: str) -> None:
        if self._open in self.texts:
            self.texts[self._open].append(data)

    def handle_endtag(self, tag: str) -> None:
        self._open = ""


def test_nothing_in_the_page_points_outside_it() -> None:
    """No element loads anything: no source, no link but to a place in the page, no handler attribute."""
    for tag, attributes in Elements(render(hostile_board())).found:
        assert "src" not in attributes, tag
        assert (attributes.get("href") or "#").startswith(("#", "data:,"))
        assert not [name for name in attributes if name.startswith("on") or name == "style"]


def test_the_policy_allows_exactly_the_page_s_own_script_and_style() -> None:
    """The hashes in the policy are those of what the page holds."""
    elements = Elements(render(reference_board(samples=1)))
    policy = next(a["content"] for t, a in elements.found if "http-equiv" in a)

    def hashed(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    assert policy is not None
    assert policy.startswith("default-src 'none'")
    assert f"script-src {hashed(elements.texts['script'][-1])};" in policy
    assert f"style-src {hashed(elements.texts['style'][0])};" in policy


def test_hostile_texts_arrive_as_data() -> None:
    """The data block is valid JSON without one character that could end it, and holds every text."""
    page = render(hostile_board())
    block = re.search(r'<script type="application/json" id="samples-0">(.*?)</script>', page, re.DOTALL)

    assert block is not None
    assert not set("<>&\u2028\u2029") & set(block[1])
    texts = json.loads(block[1])["texts"]
    assert "<script>alert(1)</script>" in texts
    assert "user⟨U+202E⟩gnp.exe" in texts
    assert "nul ␀ escape ␛[31m bell ␇" in texts
    assert LONG in texts
    assert sum(text in texts for text in HOSTILE) >= 8


def test_names_are_escaped_in_markup() -> None:
    """Model, suite and metric names are text in the page, and in the drawing."""
    page = render(hostile_board())

    assert "<img" not in page
    assert "<b>" not in page
    assert "&lt;img src=x onerror=alert(7)&gt;" in panels(hostile_board())[0].svg


def test_what_is_unscored_is_bounded() -> None:
    """Beside the count of unscored scores stands what the mean could be; a bound is no score of a sample."""
    board = hostile_board()
    assert "could be 0.500 to 0.700" in render(board)
    [shown, *others] = board.sections[0].samples
    [first, *_] = shown.rows
    assert first is not None
    widened = replace(first, scores=(*first.scores, Score(metric="right:most", value=1.0)))
    samples = (replace(shown, rows=(widened, *shown.rows[1:])), *others)
    section = replace(board.sections[0], samples=samples)
    assert "right:most" not in render(replace(board, sections=(section,)))


def test_what_is_not_shown_is_counted() -> None:
    """The page says how many samples it leaves out, and how many of them changed."""
    board = reference_board(samples=60)
    section = replace(board.sections[0], unshown=Unshown(samples=1040, changed=900))
    page = render(replace(board, sections=(section,)))
    assert "Showing 60 of 1,100 samples" in page
    assert "Of the other 1,040, which are in the store, 900 were won or lost." in page
    assert "Showing" not in render(board)


def test_as_many_samples_as_fit() -> None:
    """The first ones, up to the budget; a long one is passed by, and after a few of them nothing is read."""
    samples = reference_board(samples=60).sections[0].samples
    asked = iter(samples)
    some, cost = fitting(asked, 60_000)
    assert 0 < len(some) < 60
    assert 50_000 < cost <= 60_000
    assert list(asked)
    assert list(samples) == fitting(samples, 10_000_000)[0]
    long = replace(samples[0], sample=replace(samples[0].sample, prompt="a" * 60_000))
    assert some[:-1] == fitting([long, *samples], cost - 1)[0][: len(some) - 1]


def test_a_log_probability_without_end_is_shown_as_such() -> None:
    """JSON has no infinity: a page that could not be parsed would show nothing at all."""
    board = reference_board(samples=1)
    section = board.sections[1]
    sample = section.samples[0]
    row = sample.rows[0]
    assert row is not None
    endless = Row(
        sample=row.sample,
        responses=(LogLikelihood(logprob=-float("inf"), greedy=False, tokens=1),),
        scores=(),
    )
    changed = replace(section, samples=(replace(sample, rows=(endless, *sample.rows[1:])),))

    page = render(replace(board, sections=(changed,)))

    assert '["-inf",false,0]' in page


def test_a_judges_replies_are_labelled() -> None:
    """Who gave each response stands beside the sample, so that a judge's reply is not taken for an answer."""
    board = reference_board(samples=1)
    section = next(each for each in board.sections if each.suite == "ifeval")
    sample = section.samples[0]
    judged = replace(sample.sample, tags={"speakers": ["the model", "judge gemini on truth"]})
    rows = tuple(row and replace(row, sample=judged) for row in sample.rows)
    changed = replace(section, samples=(replace(sample, sample=judged, rows=rows),))

    [payload] = payloads(replace(board, sections=(changed,)))

    (shown,) = payload.data["samples"]  # type: ignore[index,call-overload,misc] # JSON
    texts = payload.data["texts"]  # type: ignore[index,call-overload] # JSON
    assert ["the model", "judge gemini on truth"] == [texts[place] for place in shown[7]]
    assert [] == speakers([sample.sample])


def test_the_right_choices_are_those_tagged_or_the_target() -> None:
    """Several may be right; a tag names them by position."""
    sample = Sample(id="s", prompt="?", choices=("a", "b", "c"), target="b")

    assert right_choices(sample) == [1]
    assert right_choices(replace(sample, tags={"right": [0, 2]})) == [0, 2]


def test_a_chart_says_in_words_what_it_draws() -> None:
    """Every panel has a title and a description with each model's difference, interval and decision."""
    panel = panels(reference_board(samples=1))[1]

    assert "<title id=" in panel.svg
    assert "grpo_dpo +0.086 [+0.050, +0.122], BETTER" in panel.svg
    assert panel.svg.count('class="point"') == 6


def test_a_single_model_needs_no_baseline() -> None:
    """With nothing to compare there is no chart, no verdict and no flip, and the rest stands."""
    board = reference_board(samples=2)
    alone = replace(board, verdicts=(), standings=board.standings[-1:], models=("sft",))
    sections = tuple(
        replace(
            section,
            lines=tuple(replace(line, cells=line.cells[:1]) for line in section.lines),
            samples=tuple(replace(x, rows=x.rows[:1], flips=(None,)) for x in section.samples),
        )
        for section in board.sections
    )

    page = render(replace(alone, sections=sections))

    assert "0.310" in page
    assert 'id="verdicts"' not in page
    assert 'id="differences"' not in page


def test_names_of_groups_break_at_their_joints() -> None:
    """A long name may go on in the next line after a colon or an underscore, and stays text."""
    board = reference_board(samples=1)

    assert '<th scope="row">family_<wbr>0:<wbr>instruction_<wbr>of_<wbr>kind_<wbr>3</th>' in render(board)
    assert "&lt;img src=x onerror=alert(2)&gt;</th>" in render(hostile_board())


def test_what_is_in_no_group_is_counted() -> None:
    """A reader sees that the groups are not the whole."""
    assert "2 scores without this tag stand in no group." in render(hostile_board())
    assert "stand in no group" not in render(reference_board(samples=1))


def test_metrics_say_what_must_be_known() -> None:
    """A metric's note stands with its suite."""
    assert "instruction_loose: two of them are random elsewhere." in render(reference_board(samples=1))
