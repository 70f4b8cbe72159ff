"""The rating page in a real Chromium: by keyboard, screen reader and phone, in two languages, by night."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from harness.records.answers import Message
from suites.blind.ballots import MAX_COMMENT
from tests.suites.blind.at_the_page import DESKTOP, IN_CHROMIUM, PHONE, UNREAD, Rater
from tests.suites.blind.rating import BlindTest, Serving, made_test, plain_pairs, serving

pytestmark = IN_CHROMIUM


def test_keys_rest_while_somebody_types(test: BlindTest, rate: Callable[..., Rater]) -> None:
    """In the comment, on a list of choices, with a modifier (Alt+Left is the browser's), or switched off."""
    ana = rate("ana")
    page = ana.page
    page.clock.fast_forward(UNREAD)

    page.locator("#comment").press_sequentially("tbsu")
    page.keyboard.press("ArrowLeft")
    page.locator("#language").focus()
    page.keyboard.press("b")
    page.locator("h1").click()
    page.keyboard.press("Control+b")
    page.keyboard.press("Meta+ArrowRight")
    page.locator("#keys").uncheck()
    page.locator("h1").click()
    page.keyboard.press("t")
    page.reload()
    page.clock.fast_forward(UNREAD)
    page.keyboard.press("t")

    expect(page.locator("#comment")).to_have_value("tbsu")
    assert not page.locator("#keys").is_checked()
    assert [] == test.votes("ana")


def test_the_focus_follows_the_ballot(rate: Callable[..., Rater]) -> None:
    """A screen reader goes on at the new prompt, and announces politely that the vote was saved."""
    ana = rate("ana")
    ana.choose("left", ana.click)

    assert "prompt-title" == ana.page.evaluate("document.activeElement.id")
    assert 0 == ana.page.evaluate("scrollY")
    expect(ana.page.get_by_role("status")).to_have_text("Saved. 1 of 6 rated.")
    ana.page.keyboard.press("Shift+Tab")
    ana.page.locator("#jump").focus()
    ana.page.keyboard.press("Enter")
    assert "left" == ana.page.evaluate("document.activeElement.value")
    assert ana.link == ana.page.url


def test_everything_has_a_name_and_a_place(rate: Callable[..., Rater]) -> None:
    """One main part and one first heading; regions, buttons and fields are named as they are seen."""
    page = rate("ana").page

    for role in ("main", "banner", "progressbar", "combobox", "checkbox", "textbox", "status"):
        assert 1 == page.get_by_role(role).count(), role
    for region in ("Prompt", "Answer A", "Answer B", "Which answer is better?"):
        assert 1 == page.get_by_role("region", name=region, exact=True).count()
    for button in ("A is better", "B is better", "Tie", "Both bad", "Skip", "Undo"):
        assert 1 == page.get_by_role("button", name=button, exact=True).count()
    assert "Comment (optional)" == page.get_by_role("textbox").evaluate("box => box.labels[0].textContent")
    assert ["H1", "H2", "H2", "H2", "H2"] == page.locator("h1, h2").filter(visible=True).evaluate_all(
        "all => all.map(each => each.tagName)"
    )
    assert str(MAX_COMMENT) == page.locator("#comment").get_attribute("maxlength")


RATIOS = """
() => {
  const channel = (value) => (value /= 255) <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  const rgba = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const behind = (element) => {
    for (; element; element = element.parentElement) {
      const colour = rgba(getComputedStyle(element).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
  };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const ratios = [];
  while (texts.nextNode()) {
    const place = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || !place.checkVisibility()) continue;
    const two = [light(rgba(getComputedStyle(place).color)), light(behind(place))].sort((a, b) => a - b);
    ratios.push([(two[1] + 0.05) / (two[0] + 0.05), texts.currentNode.data.trim()]);
  }
  return ratios;
}
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read(browser: Browser, tmp_path: Path, scheme: str) -> None:
    """A contrast of 4.5 at least (WCAG 2.2, 1.4.3), with a connection and without, by day and by night."""
    text = "# Head\n\n> quote with `code`\n\n```py\ncode\n```\n\n|a|b|\n|-|-|\n|c|d|"
    turns = (Message(role="user", content="Hello"), Message(role="assistant", content="`Hi`"))
    with serving(made_test(tmp_path, [(turns, text, "")])) as served:
        context = browser.new_context(**DESKTOP, color_scheme=scheme)  # type: ignore[arg-type]
        ana = Rater(context, served.link("ana"))
        ana.read()
        ratios = ana.page.evaluate(RATIOS)
        context.set_offline(True)
        ana.press("left")
        expect(ana.page.get_by_role("alert")).to_contain_text("No connection")
        ratios += ana.page.evaluate(RATIOS)
        context.set_offline(False)
        expect(ana.page.locator("#done")).to_be_visible()
        ratios += ana.page.evaluate(RATIOS)
        context.close()

    assert len(ratios) > 60
    assert [] == [(round(ratio, 2), text) for ratio, text in ratios if ratio < 4.5]


@pytest.mark.parametrize(("language", "said"), [("en", "Cut at the length limit"), ("pt", "Cortada no")])
def test_a_cut_answer_has_a_sign(browser: Browser, tmp_path: Path, language: str, said: str) -> None:
    """On whichever side it is, below what the model wrote and in the same words; the other has none."""
    asked = [(f"{number}?", "A cut answ", "A whole answer.") for number in range(4)]
    sides = set()
    with serving(made_test(tmp_path, asked, language=language, cut="A cut answ")) as served:
        context = browser.new_context(**DESKTOP)
        ana = Rater(context, served.link("ana"))
        while not ana.is_done():
            for side in ("left", "right"):
                text = ana.page.locator(f"#{side} .own").inner_text()
                signs = ana.page.locator(f"#{side} > .cut")
                assert (text == "A cut answ") == (signs.count() == 1)
                if signs.count():
                    expect(signs).to_contain_text(said)
                    sides.add(side)
            ana.choose("tie", ana.press)
        context.close()
    assert {"left", "right"} == sides


def test_the_page_speaks_the_tests_language_and_another(browser: Browser, tmp_path: Path) -> None:
    """Portuguese where the blind test is; the switch changes every word at once and is remembered."""
    with serving(made_test(tmp_path, plain_pairs(2), language="pt")) as served:
        context = browser.new_context(**DESKTOP)
        ana = Rater(context, served.link("ana"))
        page = ana.page
        assert ["pt-BR", "Qual resposta é melhor?"] == [
            page.locator("html").get_attribute("lang"),
            page.title(),
        ]
        assert page.get_by_role("button", name="Ambas ruins").is_visible()
        portuguese = page.locator("body").inner_text()

        page.locator("#language").select_option("en")
        english = page.locator("body").inner_text()
        page.reload()
        page.locator("#ballot").wait_for()
        again = page.locator("body").inner_text()
        context.close()

    assert english == again
    assert "Resposta A" in portuguese
    assert "Answer A" in english
    assert "Resposta" not in english


def test_both_languages_have_all_the_words(rate: Callable[..., Rater]) -> None:
    """With the same places for numbers; the tests above see that words are used where they belong."""
    words = rate("ana").page.evaluate("import('/words.js').then(module => module.WORDS)")

    assert ["en", "pt"] == sorted(words)
    assert words["en"].keys() == words["pt"].keys()
    for name, english in words["en"].items():
        assert sorted(re.findall(r"\{\w+\}", english)) == sorted(re.findall(r"\{\w+\}", words["pt"][name]))


def test_a_phone_shows_answers_below_each_other(rate: Callable[..., Rater]) -> None:
    """As wide as the screen, which never scrolls sideways; every button is large enough for a finger."""
    page = rate("ana", **PHONE).page
    left, right = (page.locator(f"#{side}").bounding_box() for side in ("left", "right"))

    assert left is not None
    assert right is not None
    assert left["x"] == right["x"]
    assert left["y"] + left["height"] < right["y"]
    assert PHONE["viewport"]["width"] == page.evaluate("document.documentElement.scrollWidth")
    sizes = (
        page.locator("button")
        .filter(visible=True)
        .evaluate_all(
            "all => all.map(each => each.getBoundingClientRect()).map(box => [box.width, box.height])"
        )
    )
    assert min(size for both in sizes for size in both) >= 44


def test_without_scripts_the_page_says_so(browser: Browser, served: Serving) -> None:
    """In both languages."""
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(served.link("ana"))
    said = page.locator("body").inner_text()
    context.close()

    assert "needs JavaScript" in said
    assert "precisa de JavaScript" in said
