"""The rating page in a real Chromium: no vote is lost and none is doubled, whatever happens."""

from collections.abc import Callable, Sequence

import pytest
from playwright.sync_api import Route, expect

from harness.records.preferences import Vote
from tests.suites.blind.at_the_page import IN_CHROMIUM, PHONE, Rater
from tests.suites.blind.rating import BlindTest, Serving

pytestmark = IN_CHROMIUM


def decided(test: BlindTest, votes: Sequence[Vote]) -> list[tuple[str, str]]:
    """Prompt and choice of each vote in the store."""
    prompts = {}
    for rater in ("ana", "bia"):
        for ballot in test.box._design.assignments[rater].ballots:
            prompts[ballot.id] = test.box._design.questions[ballot.shown.sample].prompt  # type: ignore[union-attr]
    return [(str(prompts[vote.ballot]), vote.choice) for vote in votes]


def test_two_raters_rate_everything_at_once(test: BlindTest, rate: Callable[..., Rater]) -> None:
    """A desktop with the keyboard alone and a phone by touch, turn by turn: the store has what they chose."""
    ana, bia = rate("ana"), rate("bia", **PHONE)
    turns = ["left", "right", "tie", "bad", "right", "left"]

    for place, choice in enumerate(turns):
        ana.choose(choice, ana.press)
        bia.choose(turns[-place - 1], lambda each: bia.button(each).tap())

    assert ana.is_done()
    assert bia.is_done()
    assert ana.chosen == decided(test, test.votes("ana"))
    assert bia.chosen == decided(test, test.votes("bia"))
    assert [] == ana.events + bia.events


def test_keys_and_buttons_do_the_same(test: BlindTest, rate: Callable[..., Rater]) -> None:
    """Tab and Enter reach every choice; a skipped ballot comes again at the end."""
    ana = rate("ana")

    def tab_to(choice: str) -> None:
        for _ in range(20):
            ana.page.keyboard.press("Tab")
            if ana.button(choice).evaluate("button => button === document.activeElement"):
                break
        ana.page.keyboard.press("Enter")

    ana.choose("tie", tab_to)
    ana.choose("skip", ana.press)
    ana.choose("skip", ana.click)
    for _ in range(3):
        ana.choose("left", ana.click)

    assert [ana.chosen[1][0], "6"] == [ana.prompt, ana.page.locator("#progress").get_attribute("max")]
    assert ana.chosen == decided(test, test.votes("ana"))


def test_a_reload_goes_on_where_it_was(test: BlindTest, rate: Callable[..., Rater]) -> None:
    """The same ballot, with the comment begun and the time looked at before."""
    ana = rate("ana")
    ana.choose("left", ana.press)
    prompt = ana.prompt
    ana.page.locator("#comment").fill("half a thought")
    ana.page.clock.fast_forward(60_000)

    ana.page.reload()
    expect(ana.page.locator("#comment")).to_have_value("half a thought")
    assert prompt == ana.prompt
    ana.choose("bad", ana.click)

    first, second = test.votes("ana")
    assert (None, "half a thought") == (first.comment, second.comment)
    assert 0.4 <= (first.seconds or 0) < 30
    assert 60.4 <= (second.seconds or 0) < 90


TURN = """hidden => {
  Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


def test_time_in_another_tab_does_not_count(test: BlindTest, rate: Callable[..., Rater]) -> None:
    """An hour in which the page could not be seen is no time in which the ballot was looked at."""
    ana = rate("ana")
    ana.page.clock.fast_forward(40_000)
    ana.page.evaluate(TURN, True)
    ana.page.clock.fast_forward(3_600_000)
    ana.page.evaluate(TURN, False)
    ana.page.clock.fast_forward(40_000)

    ana.choose("left", ana.press)

    (vote,) = test.votes("ana")
    assert 80 <= (vote.seconds or 0) < 120


def test_a_vote_without_connection_is_sent_later(test: BlindTest, rate: Callable[..., Rater]) -> None:
    """The rater is notified and cannot vote again, and the vote arrives once the connection is back."""
    ana = rate("ana")
    ana.read()
    prompt = ana.prompt

    ana.context.set_offline(True)
    ana.press("right")
    expect(ana.page.get_by_role("alert")).to_contain_text("No connection. Your vote is kept")
    ana.press("left")
    ana.button("tie").dispatch_event("click")
    assert prompt == ana.prompt
    ana.context.set_offline(False)
    expect(ana.page.locator("#status")).to_have_text("Saved. 1 of 6 rated.")

    expect(ana.page.get_by_role("alert")).to_be_empty()
    assert [(prompt, "right")] == decided(test, test.votes("ana"))


def test_a_vote_outlives_the_page(test: BlindTest, served: Serving, rate: Callable[..., Rater]) -> None:
    """The server is down and the page is closed: the vote is sent when the link is opened again."""
    ana = rate("ana")
    ana.read()
    prompt = ana.prompt
    served.stop()
    ana.press("bad")
    expect(ana.page.get_by_role("alert")).to_contain_text("is kept on this device")
    ana.page.close()
    assert [] == test.votes("ana")

    served.start()
    ana.page = ana.open()

    assert [(prompt, "bad")] == decided(test, test.votes("ana"))
    assert "1 of 6 rated" == ana.page.locator("#progress-text").inner_text()


@pytest.mark.parametrize("ending", ["connection cut", "server error", "half a reply"])
def test_a_vote_whose_reply_is_lost_is_not_doubled(
    test: BlindTest, rate: Callable[..., Rater], ending: str
) -> None:
    """The server kept it and the page cannot know: it sends the same again, which is one vote."""
    ana = rate("ana")
    lost = []

    def lose(route: Route) -> None:
        reply = route.fetch()
        lost.append(reply.status)
        if len(lost) > 1:
            route.fulfill(response=reply)
        elif ending == "connection cut":
            route.abort("connectionreset")
        elif ending == "server error":
            route.fulfill(status=502, body="bad gateway")
        else:
            route.fulfill(response=reply, body=reply.body()[:20])

    ana.page.route("**/api/vote", lose)
    ana.read()
    ana.press("left")
    ana.page.get_by_role("button", name="Try now").click()
    expect(ana.page.locator("#status")).to_have_text("Saved. 1 of 6 rated.")

    assert [200, 200] == lost
    assert ["left"] == [vote.choice for vote in test.votes("ana")]


def test_two_tabs_do_not_vote_twice(test: BlindTest, rate: Callable[..., Rater]) -> None:
    """The second tab's vote on a ballot that the first decided is refused in words, and it moves on."""
    ana = rate("ana")
    first, second = ana.page, ana.open()
    prompt = ana.prompt
    ana.choose("left", ana.press)
    next_prompt = ana.prompt

    second.keyboard.press("ArrowRight")
    expect(second.get_by_role("alert")).to_contain_text("already rated in another tab")

    assert next_prompt == second.locator("#prompt").inner_text()
    assert [(prompt, "left")] == decided(test, test.votes("ana"))
    ana.page = second
    ana.choose("tie", ana.press)
    first.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(first.locator("#prompt")).to_have_text(ana.prompt)


def test_both_tabs_unsent_votes_arrive_once(test: BlindTest, rate: Callable[..., Rater]) -> None:
    """Two tabs without connection on one ballot: one vote counts, and neither tab is stuck."""
    ana = rate("ana")
    first, second = ana.page, ana.open()
    ana.read()
    ana.context.set_offline(True)
    first.keyboard.press("ArrowLeft")
    second.keyboard.press("ArrowRight")
    for tab in (first, second):
        expect(tab.get_by_role("alert")).to_contain_text("No connection")

    ana.context.set_offline(False)
    for tab in (first, second):
        expect(tab.locator("#progress-text")).to_have_text("1 of 6 rated")

    assert 1 == len(test.votes("ana"))
    assert 0 == first.evaluate("Object.keys(localStorage).filter(name => name.startsWith('act')).length")


def test_the_back_button_is_harmless(test: BlindTest, rate: Callable[..., Rater]) -> None:
    """It leaves the page instead of going back a ballot; coming forward shows what is to be rated now."""
    ana = rate("ana")
    ana.choose("left", ana.press)
    ana.choose("right", ana.press)
    prompt = ana.prompt

    ana.page.go_back()
    assert "about:blank" == ana.page.url
    ana.page.go_forward()
    expect(ana.page.locator("#prompt")).to_have_text(prompt)
    ana.choose("tie", ana.press)

    assert ana.chosen == decided(test, test.votes("ana"))


CLICK_TWICE = """() => {
  const button = document.querySelector(".choice[value=left]");
  const prompt = document.querySelector("#prompt");
  new MutationObserver(() => button.click()).observe(prompt, { childList: true });
  button.click();
}"""


def test_a_double_click_is_one_vote(test: BlindTest, rate: Callable[..., Rater]) -> None:
    """What nobody read takes no vote: a second click that meets the next ballot, a key that is held down."""
    ana = rate("ana")
    ana.read()
    ana.page.evaluate(CLICK_TWICE)
    expect(ana.page.locator("#status")).to_have_text("Saved. 1 of 6 rated.")
    ana.read()

    ana.page.keyboard.down("ArrowRight")
    expect(ana.page.locator("#status")).to_have_text("Saved. 2 of 6 rated.")
    ana.read()
    ana.page.keyboard.down("ArrowRight")
    ana.page.reload()
    expect(ana.page.locator("#progress-text")).to_have_text("2 of 6 rated")

    assert ["left", "right"] == [vote.choice for vote in test.votes("ana")]


def test_undo_brings_the_ballot_back(test: BlindTest, rate: Callable[..., Rater]) -> None:
    """By key and by button, from the last ballot's end too; the undone vote stays in the record."""
    ana = rate("ana")
    ana.read()
    ana.page.keyboard.press("u")
    expect(ana.page.get_by_role("alert")).to_contain_text("nothing to undo")
    for _ in range(6):
        ana.choose("left", ana.press)
    last = ana.chosen[-1][0]

    ana.page.locator("#done").get_by_role("button", name="Undo").click()
    expect(ana.page.locator("#prompt")).to_have_text(last)
    expect(ana.page.locator("#status")).to_have_text("Undone. 5 of 6 rated.")
    ana.choose("right", ana.press)

    assert ["left", "undo", "right"] == [vote.choice for vote in test.votes("ana")][-3:]
