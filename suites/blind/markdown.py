"""An answer's Markdown as a tree of a few harmless elements, which a page builds node by node.

No HTML is made: a node is a text, or an element with a name from `TAGS` and nodes inside. HTML, links, images
and entities in an answer stay the text they are; characters that cannot be seen, or that reorder others, are
written out. What Markdown would swallow (cells beyond a table's columns, nesting without end) makes the whole
answer plain text: a rater reads every word.
"""

from collections.abc import Iterable, Iterator
from typing import TypedDict

from markdown_it import MarkdownIt
from markdown_it.token import Token

from harness.escape_controls import escape_controls


class Element(TypedDict, total=False):
    """An element of the tree."""

    tag: str
    inside: list["Node"]
    start: int
    """The first number of a numbered list."""
    align: str
    """The alignment of a table's cell: `left`, `center` or `right`."""


Node = str | Element

TAGS = (
    *("p", "h3", "h4", "h5", "h6", "ul", "ol", "li", "blockquote", "pre", "small", "code", "hr"),
    *("strong", "em", "s", "br", "table", "thead", "tbody", "tr", "th", "td"),
)
"""Every element there is. An answer's headings come below the page's own, which are of levels 1 and 2."""

LONGEST = 100_000
"""Characters beyond which a text is shown plain: nobody reads that much, and a page must not stall on it."""
DEEPEST = 30
"""Elements within elements; what lies deeper is shown in the last one."""

_HEADINGS = {"h1": "h3", "h2": "h4", "h3": "h5", "h4": "h6", "h5": "h6", "h6": "h6"}
_UNUSED = ["link", "image", "autolink", "reference", "entity"]


def tree(text: str) -> list[Node]:
    """The nodes of a Markdown text, line breaks kept; none for a text without a visible character."""
    text = _readable(text)
    if not text.strip():
        return []
    if len(text) > LONGEST:
        return plain(text)
    nodes = _built(_flat(_parser().parse(text)))
    return nodes if _letters(_texts(nodes)) == _letters([text]) else plain(text)


def plain(text: str) -> list[Node]:
    """A text as it was written, in one paragraph that keeps its line breaks and spaces."""
    text = _readable(text)
    return [{"tag": "p", "inside": [text]}] if text.strip() else []


def _readable(text: str) -> str:
    return escape_controls(text.replace("\r\n", "\n").replace("\r", "\n"))


def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "maxNesting": 100})
    return parser.enable(["table", "strikethrough"]).disable(_UNUSED)


def _flat(tokens: Iterable[Token]) -> Iterator[Token]:
    """Block tokens with the inline ones in their places; paragraphs of tight lists are left out."""
    for token in tokens:
        if token.type == "inline":
            yield from token.children or ()
        elif not token.hidden:
            yield token


def _built(tokens: Iterable[Token]) -> list[Node]:
    nodes: list[Node] = []
    around = [nodes]
    for token in tokens:
        if token.nesting == 1:
            around.append(_opened(token, around))
        elif token.nesting == -1:
            around.pop()
        else:
            around[-1].extend(_leaf(token))
    return nodes


def _opened(token: Token, around: list[list[Node]]) -> list[Node]:
    """Where what follows goes: into a new element, or on into the last one there may be."""
    if len(around) > DEEPEST:
        return around[-1]
    element: Element = {"tag": _HEADINGS.get(token.tag, token.tag), "inside": []}
    if "start" in token.attrs:
        element["start"] = int(token.attrs["start"])
    if "style" in token.attrs:
        element["align"] = str(token.attrs["style"]).removeprefix("text-align:")
    around[-1].append(element)
    return element["inside"]


def _leaf(token: Token) -> list[Node]:
    match token.type:
        case "text":
            return [token.content] if token.content else []
        case "softbreak" | "hardbreak":
            return [{"tag": "br", "inside": []}]
        case "hr":
            return [{"tag": "hr", "inside": []}]
        case "code_inline":
            return [_code(token)]
        case "code_block" | "fence":
            return [{"tag": "pre", "inside": [*_named(token.info.strip()), _code(token)]}]
    raise AssertionError(token.type)


def _code(token: Token) -> Element:
    return {"tag": "code", "inside": [token.content]}


def _named(language: str) -> list[Node]:
    return [{"tag": "small", "inside": [language]}] if language else []


def _texts(nodes: Iterable[Node]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, str):
            yield node
        else:
            yield from _texts(node["inside"])


def _letters(texts: Iterable[str]) -> str:
    return "".join(character for text in texts for character in text if character.isalpha())
