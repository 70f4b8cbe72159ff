"""A blind test, its server, Chromium, and raters who open the page in it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.suites.blind.at_the_page import CHROMIUM, DESKTOP, FLAGS, Rater
from tests.suites.blind.rating import BlindTest, Serving, made_test, plain_pairs, serving


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for the module."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def test(tmp_path: Path) -> BlindTest:
    """Two raters, six pairs."""
    return made_test(tmp_path, plain_pairs(6))


@pytest.fixture
def served(test: BlindTest) -> Iterator[Serving]:
    """Its server."""
    with serving(test) as served:
        yield served


@pytest.fixture
def rate(browser: Browser, served: Serving) -> Iterator[Callable[..., Rater]]:
    """Opens the page for a rater, each in a browser of their own."""
    contexts = []

    def open_for(rater: str, **options: Any) -> Rater:
        contexts.append(browser.new_context(**{**DESKTOP, **options}))
        return Rater(contexts[-1], served.link(rater))

    yield open_for
    for context in contexts:
        context.close()
