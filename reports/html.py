"""The leaderboard as one HTML page that opens offline.

Model output is other people's text. It reaches the page in two ways only: through Jinja with autoescape, and
as JSON in a data block that the page's script writes out with `textContent`. The content security policy
allows the page's own script and style by their hashes and nothing else: no request leaves the page.
"""

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from harness.escape_controls import escape_controls
from reports import conditions, preference_tables, wording
from reports.board import Cell, Leaderboard
from reports.charts import CLASSES, panels
from reports.curves import curve
from reports.lineage import graph
from reports.samples import Payload, payloads
from reports.training import TrainedStage

_TEMPLATES = Path(__file__).parent / "templates"
_RANKED = '{% from "ranked.html.j2" import ranked %}{{ ranked(board) }}'


def render(board: Leaderboard) -> str:
    """The page's text."""
    script, style = _source("leaderboard.js"), _source("leaderboard.css")
    page = _environment().get_template("leaderboard.html.j2")
    return page.render(
        board=board,
        panels=panels(board),
        payloads=[_data_block(payload) for payload in payloads(board)],
        settings=conditions.settings(board.runs),
        environments=conditions.environments(board.runs),
        preferences=preference_tables.tables(board.preferences) if board.preferences else [],
        script=Markup(script),
        style=Markup(style),
        policy=_policy(script, style),
    )


def render_ranked(board: Leaderboard) -> str:
    """The ranked table alone, to stand in another page such as a notebook's."""
    table = _environment().from_string(_RANKED).render(board=board)
    return f'<div class="harness-leaderboard"><style>{_source("ranked.css")}</style>{table}</div>'


def render_training(stages: Sequence[TrainedStage], *, created: str, label: str | None) -> str:
    """The page on how candidates came to be; there is at least one stage. It needs no script."""
    style = _source("leaderboard.css") + _source("training.css")
    drawn = [
        (stage, [(each, curve(each, f"c{number}-{place}")) for place, each in enumerate(stage.curves)])
        for number, stage in enumerate(stages)
    ]
    return (
        _environment()
        .get_template("training.html.j2")
        .render(
            stages=drawn,
            graph=graph(stages),
            created=created,
            label=label,
            style=Markup(style),
            policy=_policy(None, style),
        )
    )


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: escape_controls(value) if type(value) is str else value,
    )
    environment.globals.update(
        marks=wording.MARKS,
        classes=CLASSES,
        how_to_read=wording.HOW_TO_READ,
        about_groups=wording.ABOUT_GROUPS,
        about_price=wording.ABOUT_PRICE,
        members=wording.members,
        preferred_columns=preference_tables.COLUMNS,
        preferred_cells=preference_tables.cells,
    )
    environment.filters.update(
        number=wording.number,
        signed=wording.signed,
        percent=wording.percent,
        count=wording.count,
        span=_span,
        could_be=wording.could_be,
        cut_short=wording.cut_short,
        evidence=wording.evidence,
        outside=wording.outside,
        selection=wording.selection,
        price=wording.price,
        breakable=_breakable,
        short=conditions.short,
        samples=conditions.samples,
        moment=conditions.moment,
        duration=conditions.duration,
        safe_svg=Markup,
    )
    return environment


def _breakable(name: str) -> Markup:
    """A name that may go on in the next line after a colon or an underscore."""
    return Markup(re.sub("([:_])", r"\1<wbr>", str(escape(escape_controls(name)))))


def _span(cells: Iterable[Cell | None]) -> str:
    """How many samples a column's numbers rest on, from the fewest to the most."""
    counts = sorted({cell.n for cell in cells if cell})
    return "–".join(wording.count(n) for n in dict.fromkeys([counts[0], counts[-1]]))


def _source(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")


def _policy(script: str | None, style: str) -> str:
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src {_hash(script)}" if script else "script-src 'none'",
            f"style-src {_hash(style)}",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
        ]
    )


def _hash(source: str) -> str:
    digest = hashlib.sha256(source.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _data_block(payload: Payload) -> Markup:
    """JSON that cannot end the element it stands in, whatever the texts hold."""
    text = json.dumps(payload.data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)
