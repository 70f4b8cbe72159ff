"""Somebody at the rating page in a real Chromium."""

import shutil
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

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
DESKTOP: dict[str, Any] = {"viewport": {"width": 1280, "height": 900}}
PHONE: dict[str, Any] = {"viewport": {"width": 360, "height": 740}, "is_mobile": True, "has_touch": True}
KEYS = {"left": "ArrowLeft", "right": "ArrowRight", "tie": "t", "bad": "b", "skip": "s"}
UNREAD = 450
"""Milliseconds after which a new ballot takes a choice. The page's clock is put forward by them."""

IN_CHROMIUM = [
    pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's chromium"),
    pytest.mark.xdist_group("rating page"),
]
"""Marks of the tests that open it."""

expect.set_options(timeout=20_000)  # a machine may be busy with other tests

MOVED_ON = """prompt => !document.querySelector("#done").hidden
  || document.querySelector("#prompt").innerText !== prompt"""


class Rater:
    """Somebody at the page; everything that happens while it is open is written down."""

    def __init__(self, context: BrowserContext, link: str) -> None:
        context.clock.install()
        self.context, self.link = context, link
        self.chosen: list[tuple[str, str]] = []
        """What was decided: prompt and choice."""
        self.events: list[str] = []
        """Dialogs, errors, console lines."""
        self.asked: list[str] = []
        """Addresses of requests."""
        self.page = self.open()

    def open(self) -> Page:
        """A tab at the rater's link."""
        page = self.context.new_page()
        page.set_default_timeout(20_000)
        page.on("dialog", lambda dialog: (self.events.append(f"dialog {dialog.message}"), dialog.accept()))
        page.on("console", lambda message: self.events.append(f"console {message.text}"))
        page.on("pageerror", lambda error: self.events.append(f"error {error}"))
        page.on("request", lambda request: self.asked.append(request.url))
        page.goto(self.link)
        page.locator("#ballot, #done").filter(visible=True).wait_for()
        return page

    @property
    def prompt(self) -> str:
        """What is asked now."""
        return self.page.locator("#prompt").inner_text()

    def read(self) -> None:
        """Let the time pass in which a new ballot takes no choice."""
        self.page.clock.fast_forward(UNREAD)

    def choose(self, choice: str, act: Callable[[str], None]) -> None:
        """Choose in some way, and wait for the next ballot, or the end."""
        self.chosen.append((self.prompt, choice))
        self.read()
        act(choice)
        self.page.wait_for_function(MOVED_ON, arg=self.chosen[-1][0], polling=20)

    def press(self, choice: str) -> None:
        """By its key."""
        self.page.keyboard.press(KEYS[choice])

    def click(self, choice: str) -> None:
        """By its button."""
        self.button(choice).click()

    def button(self, choice: str) -> Locator:
        """A choice's button."""
        return self.page.locator(f".choice[value={choice}]")

    def is_done(self) -> bool:
        """Whether nothing is left to rate."""
        return self.page.locator("#done").is_visible()
