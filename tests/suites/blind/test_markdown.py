"""Markdown as a tree: what is written is all there, and nothing else is."""

import json
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.escape_controls import escape_controls
from suites.blind.markdown import DEEPEST, LONGEST, TAGS, Node, plain, tree

PIECES = st.sampled_from(
    [
        *("# ", "- ", "1. ", "> ", "    ", "```", "~~~ py", "`", "*", "**", "_", "~~", "|", "|-|-|", "\n"),
        *(
            "\n\n",
            "<b>",
            "</b>",
            "<!--",
            "&amp;",
            "[a](",
            "](http://e.example)",
            "![",
            "[r]: /u",
            "\\",
            "---",
        ),
        *("a", "bc ", "é", "語", "\u05d0", "\u202e", "\u200b", "\0", "\r", "\r\n", "\ud800", "7"),
    ]
)
TEXTS = st.lists(PIECES, max_size=60).map("".join)


def elements(nodes: Sequence[Node], depth: int = 1) -> Iterator[tuple[str, int]]:
    """Every element's name with its depth."""
    for node in nodes:
        if not isinstance(node, str):
            yield node["tag"], depth
            yield from elements(node["inside"], depth + 1)


def text_of(nodes: Sequence[Node]) -> str:
    """All text."""
    return "".join(node if isinstance(node, str) else text_of(node["inside"]) for node in nodes)


def letters(text: str) -> str:
    """What Markdown's own signs are not made of."""
    return "".join(each for each in text if each.isalpha())


def readable(text: str) -> str:
    """With line ends of one kind and nothing unseen."""
    return escape_controls(text.replace("\r\n", "\n").replace("\r", "\n"))


def test_markdown_becomes_elements() -> None:
    """Headings below the page's own, lists with their numbers, code with its language, tables, emphasis."""
    text = "# T\n\n3. a *b*\n   - c\n\n```py\nx < y\n```\n\n|h|i|\n|-|-:|\n|`1`|~~2~~|\n\nup  \ndown\n***"

    assert [
        {"tag": "h3", "inside": ["T"]},
        {
            "tag": "ol",
            "start": 3,
            "inside": [
                {
                    "tag": "li",
                    "inside": [
                        "a ",
                        {"tag": "em", "inside": ["b"]},
                        {"tag": "ul", "inside": [{"tag": "li", "inside": ["c"]}]},
                    ],
                }
            ],
        },
        {
            "tag": "pre",
            "inside": [{"tag": "small", "inside": ["py"]}, {"tag": "code", "inside": ["x < y\n"]}],
        },
        {
            "tag": "table",
            "inside": [
                {
                    "tag": "thead",
                    "inside": [
                        {
                            "tag": "tr",
                            "inside": [
                                {"tag": "th", "inside": ["h"]},
                                {"tag": "th", "align": "right", "inside": ["i"]},
                            ],
                        }
                    ],
                },
                {
                    "tag": "tbody",
                    "inside": [
                        {
                            "tag": "tr",
                            "inside": [
                                {"tag": "td", "inside": [{"tag": "code", "inside": ["1"]}]},
                                {
                                    "tag": "td",
                                    "align": "right",
                                    "inside": [{"tag": "s", "inside": ["2"]}],
                                },
                            ],
                        }
                    ],
                },
            ],
        },
        {"tag": "p", "inside": ["up", {"tag": "br", "inside": []}, "down"]},
        {"tag": "hr", "inside": []},
    ] == tree(text)


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)> and <b>bold</b>",
        "[click](javascript:alert(1)) ![seen](http://evil.example/i.png)",
        "<http://evil.example> http://evil.example &lt;b&gt; &#x202e;",
        "[r]: http://evil.example",
        "<!-- a comment -->",
    ],
)
def test_what_could_load_or_run_is_text(text: str) -> None:
    """HTML, links, images, references and entities are shown as they were written."""
    assert [{"tag": "p", "inside": [text]}] == tree(text)


@pytest.mark.parametrize("text", ["", " \n\t", "\r\n"])
def test_nothing_to_see_is_no_node(text: str) -> None:
    """The page then says that the answer is empty."""
    assert [] == tree(text) == plain(text)


@pytest.mark.parametrize(
    "text",
    ["> " * 5_000 + "deep", "|a|\n|-|\n|b|beyond the columns|", "- " * 3_000 + "deep", "word " * LONGEST],
)
def test_what_markdown_would_swallow_is_plain(text: str) -> None:
    """Nesting without end, cells beyond a table's columns, and what is too long to be laid out."""
    assert [{"tag": "p", "inside": [text]}] == tree(text)


@pytest.mark.parametrize("text", ["*" * 4_000 + "a" + "*" * 4_000, "*a " * 3_000 + "b*" * 3_000])
def test_emphasis_has_an_end(text: str) -> None:
    """A tree deeper than a page or a JSON reader bears would be a way to break the other answer's page."""
    nodes = tree(text)

    assert DEEPEST == max(depth for _, depth in elements(nodes))
    assert json.dumps(nodes)


@given(TEXTS)
def test_every_letter_is_shown_and_nothing_unseen(text: str) -> None:
    """In order, by known elements only, and fit for UTF-8."""
    nodes = tree(text)
    shown = text_of(nodes)

    letters = [
        letter
        for letter in escape_controls(text.replace("\r\n", "\n").replace("\r", "\n"))
        if letter.isalpha()
    ]
    assert letters == [letter for letter in shown if letter.isalpha()]
    assert shown == escape_controls(shown)
    assert {tag for tag, _ in elements(nodes)} <= set(TAGS)
    json.dumps(nodes, ensure_ascii=False).encode()


@given(TEXTS)
def test_plain_text_is_as_written(text: str) -> None:
    """But for line ends, which are of one kind, and for what cannot be seen."""
    assert text_of(plain(text)) in ("", readable(text))
