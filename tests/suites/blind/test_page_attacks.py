"""The rating page in a real Chromium: it gives nothing away, and hostile answers and pages do nothing."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from harness.records.answers import Message
from suites.blind.markdown import TAGS
from tests.suites.blind.at_the_page import DESKTOP, IN_CHROMIUM, PHONE, Rater
from tests.suites.blind.rating import TELLTALES, BlindTest, Serving, made_test, plain_pairs, serving

pytestmark = IN_CHROMIUM


def test_nothing_received_tells_whose_an_answer_is(browser: Browser, tmp_path: Path) -> None:
    """Everything the browser receives and keeps, searched: addresses, headers, bodies, page and storage."""
    test = made_test(tmp_path, plain_pairs(7), repeats=2, checks=2)
    received: list[str] = []
    with serving(test) as served:
        context = browser.new_context(**DESKTOP)
        context.on("response", lambda reply: received.extend([reply.url, str(reply.all_headers())]))
        ana = Rater(context, served.link("ana"))
        ana.page.on("response", lambda reply: received.append(reply.text()))
        ana.page.reload()
        ana.page.locator("#ballot").wait_for()
        while not ana.is_done():
            received.append(ana.page.content())
            ana.choose("left", ana.press)
        received.append(str(ana.page.evaluate("[{...localStorage}, {...sessionStorage}, document.cookie]")))
        context.close()

    whole = "\n".join(received)
    assert 11 <= whole.count("/api/vote")
    assert "First answer to 3." in whole
    assert [] == [word for word in TELLTALES if word in whole]
    assert [] == [url for url in ana.asked if not url.startswith(served.address)]


HOSTILE = (
    "<script>alert(1)</script><img src=http://evil.example/i.png onerror=alert(2)><svg onload=alert(3)>",
    "[a](javascript:alert(4)) ![b](http://evil.example/b.png) <http://evil.example> http://evil.example/c",
    "<style>*{display:none}</style><link rel=stylesheet href=http://evil.example><base href=//evil.example>",
    "<form action=http://evil.example><input><button>Vote</button></form><iframe srcdoc='<b>x'></iframe>",
    "![d](data:image/svg+xml;base64,PHN2Zz4=) <object data=http://evil.example></object>",
    "<meta http-equiv=refresh content='0;url=http://evil.example'>",
    "# " + "wide" * 3_000,
    "\u202eright to left\u202c \u2066alone \u200bzero width \ufeff \0 \x1b[31m \ud800 tags \U000e0041",
    "e" + "\u0301" * 2_000 + " marks above marks",
    "|" + "cell|" * 60 + "\n|" + "-|" * 60 + "\n|" + "long words in a cell|" * 60,
    "\n".join("    " * depth + "- nested" for depth in range(60)),
    "word " * 30_000,
    "\u05e9\u05dc\u05d5\u05dd 123, \u0645\u0631\u062d\u0628\u0627 (abc)!",
    "</div></main><h1>Session over</h1><!-- ",
    "```\n</code></pre><script>alert(5)</script>\n```\n\n`<b onclick=alert(6)>x</b>`",
)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A blind test whose every answer, prompt and turn is hostile; the other answer is always the same."""
    asked = [(f"{text} {number}", text, "A calm answer.") for number, text in enumerate(HOSTILE)]
    asked.append(((Message(role="assistant", content=HOSTILE[0]),), HOSTILE[3], "A calm answer."))
    with serving(made_test(tmp_path_factory.mktemp("hostile"), asked)) as served:
        yield served


@pytest.mark.parametrize("device", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_hostile_answers_do_nothing(browser: Browser, hostile: Serving, device: dict[str, Any]) -> None:
    """Nothing runs, loads or is sent, only Markdown's elements are made, the calm answer stays as it is."""
    context = browser.new_context(**device)
    ana = Rater(context, hostile.link("ana" if device is DESKTOP else "bia"))
    width = device["viewport"]["width"]
    calm, made, text = set(), set(), ""
    while not ana.is_done():
        shown = ana.page.evaluate(LOOK)
        assert width == shown["width"]
        made |= set(shown["tags"])
        calm.add(tuple(shown["calm"]))
        text += shown["text"]
        ana.choose("tie", ana.press)
    context.close()

    assert [] == ana.events
    assert {hostile.address} == {url[: len(hostile.address)] for url in ana.asked}
    assert made <= {tag.upper() for tag in TAGS} | {"DIV"}
    assert 1 == len(calm)
    assert not re.search("[\u202a-\u202e\u2066-\u2069\u200b\ufeff\0\x1b\U000e0041]", text)
    assert "\N{MATHEMATICAL LEFT ANGLE BRACKET}U+202E" in text
    assert all(word in text for word in ("<script>alert(1)", "[a](javascript:alert(4))", "<form action"))


LOOK = """
() => {
  const calm = [...document.querySelectorAll('.answer')].find((each) => each.innerText === 'A calm answer.');
  const words = calm.querySelector('p');
  const box = words.getBoundingClientRect();
  const style = getComputedStyle(words);
  return {
    width: document.documentElement.scrollWidth,
    text: document.querySelector('main').textContent,
    tags: [...document.querySelectorAll('.own *')].map((each) => each.tagName),
    calm: [box.width, box.height, box.top - calm.getBoundingClientRect().top, style.color, style.direction],
  };
}
"""


def test_the_policy_holds_where_the_page_fails(rate: Callable[..., Rater]) -> None:
    """Were there a hole: inline scripts and styles, HTML sinks, images, frames, foreign requests fail."""
    page = rate("ana").page

    def fails(script: str) -> bool:
        return bool(
            page.evaluate(f"async () => {{ try {{ {script}; return false }} catch {{ return true }} }}")
        )

    assert fails("document.body.innerHTML = '<b>x</b>'")
    assert fails("document.createRange().createContextualFragment('<b>x</b>')")
    assert fails("await fetch('http://127.0.0.1:9/')")
    assert fails(
        "document.body.append(Object.assign(document.createElement('script'), {text: 'window.ran = 1'}))"
    )
    page.evaluate(
        """() => {
          window.seen = new Set();
          document.addEventListener('securitypolicyviolation', (event) => seen.add(event.effectiveDirective));
          document.body.setAttribute('style', 'color: red');
          const loading = {img: 'src', iframe: 'src', form: 'action', base: 'href'};
          for (const [tag, name] of Object.entries(loading)) {
            document.body.append(Object.assign(document.createElement(tag), {[name]: '/page.css'}));
          }
          document.querySelector('form').submit();
        }"""
    )
    page.wait_for_function("() => seen.size >= 5")
    blocked = page.evaluate("[...seen]")
    assert {"style-src-attr", "img-src", "frame-src", "form-action", "base-uri"} == set(blocked)


def test_a_foreign_page_can_neither_vote_nor_frame(
    browser: Browser, test: BlindTest, served: Serving, tmp_path: Path
) -> None:
    """With the right key and ballot even: a form, a simple request, one with JSON, and a frame all fail."""
    key, ballot = test.box.links()["ana"], test.box.current("ana")
    assert ballot is not None
    vote = {"ballot": ballot.id, "choice": "left", "token": "t", "seconds": 1, "comment": None}
    with serving(made_test(tmp_path / "evil", plain_pairs(1))) as evil:
        context = browser.new_context(bypass_csp=True)
        page = context.new_page()
        page.goto(evil.address.replace("127.0.0.1", "localhost"))
        outcomes = page.evaluate(
            """async ([address, key, vote]) => {
              const body = JSON.stringify(vote);
              const auth = {Authorization: `Bearer ${key}`};
              const asked = [
                {method: 'POST', mode: 'no-cors', body},
                {method: 'POST', body, headers: {...auth, 'Content-Type': 'application/json'}},
                {method: 'POST', body, headers: {'Content-Type': 'text/plain'}},
                {headers: auth},
              ];
              const results = [];
              for (const options of asked) {
                const path = options.method ? 'vote' : 'state';
                try { results.push((await fetch(`${address}/api/${path}`, options)).type); }
                catch { results.push('failed'); }
              }
              return results;
            }""",
            [served.address, key, vote],
        )
        context.close()

    assert ["failed"] * 3 == outcomes[1:]
    assert outcomes[0] in ("opaque", "failed")
    assert [] == test.votes("ana")


@pytest.mark.parametrize("key", ["", "guessed", "\u00e9", "../api/state", "x" * 5_000])
def test_a_guessed_link_shows_nothing(browser: Browser, served: Serving, key: str) -> None:
    """Words for the rater who copied it wrongly, and no ballot."""
    context = browser.new_context(**DESKTOP)
    page = context.new_page()
    page.goto(f"{served.address}/#{key}")
    expect(page.get_by_role("alert")).to_contain_text("This link is not known")
    visible = page.locator("#ballot, #done, #rater, progress").filter(visible=True).count()
    context.close()

    assert 0 == visible


def test_another_raters_link_in_the_same_tab_is_another_rater(
    test: BlindTest, served: Serving, rate: Callable[..., Rater]
) -> None:
    """The page is loaded anew: no vote goes under the key of the rater before."""
    ana = rate("ana")
    ana.choose("left", ana.press)

    ana.page.goto(served.link("bia"))
    expect(ana.page.locator("#rater")).to_have_text("Rating as bia")
    ana.choose("right", ana.press)

    assert [["left"], ["right"]] == [[vote.choice for vote in test.votes(each)] for each in ("ana", "bia")]
