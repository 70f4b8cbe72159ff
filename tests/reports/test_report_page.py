"""The page in a real Chromium: hostile answers do nothing, and a reader finds what changed."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from harness.escape_controls import escape_controls
from harness.preferences.analysis import analyse
from harness.stats.plan import AnalysisPlan
from reports.board import Leaderboard
from reports.html import render_training
from reports.writing import write
from tests.harness.preferences.simulated import said
from tests.reports.boards import HOSTILE, hostile_board, preferred_in, reference_board
from tests.reports.test_report_lineage import stage

CHROMIUM = shutil.which("chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PHONE = {"width": 360, "height": 740}

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's chromium")


class Visit:
    """A page, and everything that happened while it was open."""

    def __init__(self, page: Page, file: Path) -> None:
        self.page = page
        self.events: list[str] = []
        page.on("dialog", lambda dialog: (self.events.append(f"dialog {dialog.message}"), dialog.dismiss()))
        page.on("console", lambda message: self.events.append(f"console {message.text}"))
        page.on("pageerror", lambda error: self.events.append(f"error {error}"))
        page.on("request", lambda request: self.events.append(f"request {request.url}"))
        page.goto(file.as_uri())
        self.opening = [f"request {file.as_uri()}"]

    def samples(self) -> list[str]:
        """The ids of the samples on show."""
        return self.page.locator("#suite-0 .sample .id").all_inner_texts()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for the module."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def hostile_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page with hostile texts."""
    return write(hostile_board(), tmp_path_factory.mktemp("hostile"))[1]


@pytest.fixture(scope="module")
def reference_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the reference experiment."""
    return write(reference_board(samples=60), tmp_path_factory.mktemp("reference"))[1]


def with_preferences(board: Leaderboard) -> Leaderboard:
    """The board with what two judges and two people preferred, not all of it readable."""
    raters = {"gemma-3-27b-it (pairwise)": "judge", "reward": "judge", "ana": "human", "bia": "human"}
    unread = "the reply holds no verdict and was cut at 512 tokens"
    preferences = [
        replace(each, kind=kind, reason=None if each.winner else unread)
        for candidate in board.models[1:]
        for rater, kind in raters.items()
        for each in said([*["right"] * 20, *["left"] * 9, None], rater, left=board.baseline, right=candidate)
    ]
    return preferred_in(board, analyse(preferences, AnalysisPlan(resamples=20)))


def visit(browser: Browser, file: Path, **viewport: int) -> Visit:
    """Open the file, at a desktop's size by default."""
    size = {"width": 1280, "height": 900} | viewport
    return Visit(browser.new_page(viewport={"width": size["width"], "height": size["height"]}), file)


def test_hostile_answers_execute_nothing(browser: Browser, hostile_file: Path) -> None:
    """No dialog, error, console line or request but the file itself, also after opening everything."""
    seen = visit(browser, hostile_file)

    for button in seen.page.locator("button.more").all():
        button.click()
    for summary in seen.page.locator("summary").all():
        summary.click()
    seen.page.wait_for_timeout(200)

    assert seen.opening == seen.events
    assert seen.page.locator("img, iframe, object, embed, #suite-0 .samples script").count() == 0


def test_hostile_answers_are_shown_as_they_are(browser: Browser, hostile_file: Path) -> None:
    """Every answer reads exactly as the model wrote it, with what cannot be seen made visible."""
    seen = visit(browser, hostile_file)

    shown = seen.page.locator("#suite-0 .sample .draw .text").evaluate_all(
        "all => all.map(x => x.textContent)"
    )

    for text in HOSTILE:
        assert (escape_controls(text) or "(empty)") in shown
    assert "cand_<img src=x onerror=alert(7)>" in seen.page.locator(".ranked").inner_text()


def test_a_thought_is_folded(browser: Browser, hostile_file: Path) -> None:
    """Beside its answer, as it is, shown when it is opened, and not found by the search of answers."""
    seen = visit(browser, hostile_file)
    thought = seen.page.locator("#suite-0 .draw details.thought").first

    assert 2 == seen.page.locator("#suite-0 details.thought").count()
    assert not thought.locator(".text").is_visible()
    thought.locator("summary").click()
    assert f"pondering {HOSTILE[0]}" == thought.locator(".text").inner_text()
    seen.page.locator("#suite-0 input[type=search]").fill("pondering")
    expect(seen.page.locator("#suite-0 .status[role=status]")).to_have_text("No sample matches.")


def test_a_long_answer_is_folded_until_asked_for(browser: Browser, hostile_file: Path) -> None:
    """100,000 characters: the first 600, then all of them, then folded again."""
    seen = visit(browser, hostile_file)
    block = seen.page.locator("#suite-0 .draw", has_text="0123456789").last
    button = block.locator("button.more")

    assert button.inner_text() == "Show all 100,000 characters"
    assert len(block.locator(".text").inner_text()) == 601
    button.click()
    assert len(block.locator(".text").inner_text()) == 100_000
    button.click()
    assert len(block.locator(".text").inner_text()) == 601


def test_samples_filter_to_flips(browser: Browser, hostile_file: Path) -> None:
    """Won and lost are by the baseline, flips are both, and each says how many."""
    seen = visit(browser, hostile_file)
    baseline, candidate = ([i % 3 == 0 for i in range(13)], [i % 2 == 0 for i in range(13)])
    won = [f"s{i}" for i in range(13) if candidate[i] and not baseline[i]]
    lost = [f"s{i}" for i in range(13) if baseline[i] and not candidate[i]]

    def choose(label: str) -> list[str]:
        seen.page.locator("#suite-0 fieldset label", has_text=label).click()
        return seen.samples()

    assert won == choose("Won")
    assert lost == choose("Lost")
    assert sorted(won + lost) == sorted(choose("Flips"))
    assert len(choose("All")) == 13
    assert f"{len(won)}" in seen.page.locator("fieldset label", has_text="Won").inner_text()


def test_filters_work_from_the_keyboard(browser: Browser, hostile_file: Path) -> None:
    """The filter is a group of radio buttons that arrow keys move through."""
    seen = visit(browser, hostile_file)

    seen.page.locator("#suite-0 input[value=all]").focus()
    seen.page.keyboard.press("ArrowRight")

    assert seen.page.locator("#suite-0 input[value=flips]").is_checked()
    assert len(seen.samples()) < 13


def test_search_finds_text_in_answers(browser: Browser, hostile_file: Path) -> None:
    """Markup is searched as the text it is; a search that finds nothing says so."""
    seen = visit(browser, hostile_file)
    search = seen.page.locator("#suite-0 input[type=search]")

    search.fill("ONERROR=alert(2)")
    seen.page.wait_for_timeout(300)
    assert seen.samples() == ["s1"]

    search.fill("no such text")
    seen.page.wait_for_timeout(300)
    assert seen.page.locator("#suite-0 [role=status]").inner_text() == "No sample matches."


def test_pages_turn(browser: Browser, reference_file: Path) -> None:
    """15 samples at a time, in order."""
    seen = visit(browser, reference_file)
    first = seen.samples()

    seen.page.locator("#suite-0 .pager button", has_text="Next").click()

    assert [f"rtp-{i}" for i in range(15)] == first
    assert [f"rtp-{i}" for i in range(15, 30)] == seen.samples()
    assert seen.page.locator("#suite-0 [role=status]").inner_text() == "16–30 of 60 samples"


def test_one_candidate_can_be_singled_out(browser: Browser, reference_file: Path) -> None:
    """Then the baseline and that candidate stand side by side, and flips are that candidate's."""
    seen = visit(browser, reference_file)

    seen.page.locator("#suite-2 select").select_option(label="grpo")

    assert [
        name.replace("sftbaseline", "sft\nbaseline")
        for name in seen.page.locator("#suite-2 .sample").first.locator("h4").all_inner_texts()
    ] == ["sft\nbaseline", "grpo"]


def test_log_probabilities_stand_by_their_choices(browser: Browser, reference_file: Path) -> None:
    """A line per choice with the right one marked, a column per model, and each model's likeliest marked."""
    seen = visit(browser, reference_file)
    table = seen.page.locator("#suite-1 .choices table").first

    rows = table.locator("tbody tr").all_inner_texts()

    assert len(rows) == 4
    assert "✓ right" in rows[0]
    assert sum(row.count("●") for row in rows) == 7


def test_a_long_table_of_groups_is_opened_by_its_title(browser: Browser, reference_file: Path) -> None:
    """25 groups are folded until asked for; then names and heads stay in sight as the table scrolls."""
    seen = visit(browser, reference_file)
    table = seen.page.locator("#suite-2 .by-group")
    assert not table.is_visible()

    seen.page.locator("#suite-2 .groups summary").click()
    region = seen.page.locator("#suite-2 .groups .scroll")
    region.evaluate("region => region.scrollTo(200, 400)")

    assert table.locator("tbody tr").count() == 25
    corner, box = table.locator("thead th").first.bounding_box(), region.bounding_box()
    assert corner is not None
    assert box is not None
    assert (box["x"], box["y"]) == pytest.approx((corner["x"], corner["y"]), abs=1)
    assert seen.opening == seen.events


def test_a_short_table_of_groups_is_open(browser: Browser, tmp_path: Path) -> None:
    """Up to ten groups are seen at once."""
    board = reference_board(samples=1)
    section = board.sections[2]
    short = replace(section.groups[0], lines=section.groups[0].lines[:3])
    board = replace(board, sections=(*board.sections[:2], replace(section, groups=(short,))))

    seen = visit(browser, write(board, tmp_path)[1])

    assert seen.page.locator("#suite-2 .by-group tbody tr").count() == 3
    assert seen.page.locator("#suite-2 .by-group").is_visible()


@pytest.mark.parametrize("width", [1200, 960])
def test_wide_tables_of_preferences_stay_in_their_boxes(browser: Browser, tmp_path: Path, width: int) -> None:
    """With judges and humans beside seven models, a table fits the page or scrolls, and names stay whole."""
    seen = visit(browser, write(with_preferences(reference_board(samples=1)), tmp_path)[1], width=width)

    beyond = "boxes => boxes.filter(box => box.getBoundingClientRect().right > innerWidth).length"
    assert width == seen.page.evaluate("document.documentElement.scrollWidth")
    assert 0 == seen.page.locator("#leaderboard .scroll, #preferences .scroll").evaluate_all(beyond)
    assert seen.page.locator(".ranked tbody tr").count() == 7
    name = seen.page.locator(".ranked .name").get_by_text("grpo_raw", exact=True)
    assert name.evaluate("name => name.offsetHeight < 2 * parseFloat(getComputedStyle(name).fontSize)")
    left_out = seen.page.locator("#preferences td").get_by_text("no verdict").first
    assert left_out.evaluate("cell => cell.offsetWidth < 320")


@pytest.mark.parametrize("width", [1200, 960])
def test_names_of_suites_stand_on_one_line(browser: Browser, tmp_path: Path, width: int) -> None:
    """In the head of the table, however many columns there are."""
    seen = visit(browser, write(with_preferences(reference_board(samples=1)), tmp_path)[1], width=width)

    lines = """heads => heads.map(head => {
        const words = document.createRange();
        words.selectNodeContents(head.firstChild);
        return words.getClientRects().length;
    })"""
    assert {1} == set(seen.page.locator(".ranked thead th.figure").evaluate_all(lines))


def test_texts_of_the_lineage_stay_in_their_boxes(browser: Browser, tmp_path: Path) -> None:
    """Long names are cut: pipelines' and, below them, what a classifier scores."""
    stages = [
        stage("sft", None, base="SmolLM2-135M-Instruct-of-the-hub"),
        replace(
            stage("classifier-of-toxicity", None, base="minilm"),
            name="classifier-of-toxicity-of-texts · toxicity",
            scores=("realtoxicityprompts", "own"),
        ),
    ]
    file = tmp_path / "training.html"
    file.write_text(render_training(stages, created="2026-01-01T00:00:00Z", label=None), encoding="utf-8")
    seen = visit(browser, file)

    beyond = """boxes => boxes.filter(box => {
        const right = box.querySelector("rect").getBoundingClientRect().right;
        return [...box.querySelectorAll("text")].some(text => text.getBoundingClientRect().right > right);
    }).length"""
    boxes = seen.page.locator(".lineage g.box")
    assert 4 == boxes.count()
    assert 0 == boxes.evaluate_all(beyond)


@pytest.mark.parametrize("name", ["reference_file", "hostile_file"])
def test_a_phone_never_scrolls_the_page_sideways(
    browser: Browser, name: str, request: pytest.FixtureRequest
) -> None:
    """Wide tables scroll within themselves."""
    seen = visit(browser, request.getfixturevalue(name), **PHONE)
    for summary in seen.page.locator("summary").all():
        summary.click()

    assert PHONE["width"] == seen.page.evaluate("document.documentElement.scrollWidth")


def test_the_page_reads_without_scripts(browser: Browser, reference_file: Path) -> None:
    """Ranks, chart and verdicts need no script, and the samples' place says why it is empty."""
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto(reference_file.as_uri())

    assert "grpo_dpo_mix" in page.locator(".ranked").inner_text()
    assert "switched off" in page.locator("#suite-0 .browser").inner_text()
