"""Untrusted text made safe to look at: what cannot be seen, or reorders what can, is written out.

Model answers, model names and data sets are other people's text. Escaping for HTML or Markdown is the
renderers' work; this is what both need before: control characters, bidirectional overrides, zero-width
characters, fillers, Unicode tags and lone surrogates become marks that a reader sees and a file can hold.

Letters, emoji, tabs and line breaks stay as they are, and so do joiners between what they can join (emoji,
Persian, Hindi).
"""

import re

_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters, except tab and line break
    "\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"  # marks, overrides, zero width
    "\u00ad\u034f\u180e"  # soft hyphens and other joints that are not seen
    "\u115f\u1160\u17b4\u17b5\u3164\uffa0"  # letters that are blank
    "\ud800-\udfff"  # halves of a character, which UTF-8 cannot hold
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"  # formats of shorthand and music
    "\U000e0000-\U000e0fff]"  # tags and selectors: whole invisible sentences
    # joiners where they join nothing: beside ASCII, beside each other, at an end
    "|(?:(?<=[\x00-\x7f\u200c\u200d])|^)[\u200c\u200d]|[\u200c\u200d](?=[\x00-\x7f\u200c\u200d]|$)"
)
_CONTROL_PICTURES = 0x2400


def escape_controls(text: str) -> str:
    """`text` with every unseen character shown: NUL as its control picture, others as `⟨U+202E⟩`."""
    return _UNSEEN.sub(_mark, text)


def shortened(text: str, longest: int) -> str:
    """The text, or its beginning with an ellipsis, in so many characters."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _mark(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x20:
        return chr(_CONTROL_PICTURES + code)
    return f"\N{MATHEMATICAL LEFT ANGLE BRACKET}U+{code:04X}\N{MATHEMATICAL RIGHT ANGLE BRACKET}"
