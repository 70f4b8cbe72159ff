"""Which stage starts from which, and which rewards which, as inline SVG: boxes in columns, lines around them.

A stage stands right of everything that it needs. A line that has further to go than to the next column passes
the columns between in a lane of its own, which has its place among their boxes: so no line runs behind a box,
and none seems to come out of one that it only passes. Lines of one kind from one box share lanes.

Colours are classes that the page's style sheet fills in. The drawing has a description in words.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from harness.escape_controls import shortened
from reports.svg import described, svg_text
from reports.training import TrainedStage

BOX_WIDTH, BOX_HEIGHT, ACROSS, DOWN = 192, 44, 52, 16
LANE = 10
"""The height of a lane, of which the line is the middle."""
ASIDE = 9
"""How far below the middle of a box rewards leave and arrive."""
LONGEST, LONGEST_BELOW = 20, 30
"""Characters of a name in a box, and of the smaller line below it."""
SWEEPS = 4
"""How often columns are put in order by what their boxes are connected with."""
STARTS, REWARDS = "edge", "edge reward"
"""The two kinds of lines, as the style sheet calls them."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line from what a stage needs to the stage."""

    start: str
    end: str
    kind: str


@dataclass(frozen=True, slots=True)
class Slot:
    """A place in a column: a box, or a lane for the lines of one kind that come from one box."""

    node: str
    """Whose box it is, or whose lines pass."""
    kind: str = ""
    """The kind of the lines; a box has none."""

    @property
    def height(self) -> int:
        """The height in the drawing's unit, which is a CSS pixel at its natural size."""
        return LANE if self.kind else BOX_HEIGHT


@dataclass(frozen=True, slots=True)
class EdgePiece:
    """The part of a line that leads from one column to the next."""

    column: int
    """The column of its start."""
    start: Slot
    end: Slot
    kind: str


Columns = list[list[Slot]]
Middles = Mapping[tuple[int, Slot], float]
"""By column and slot, the height at which its middle lies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """What a box stands for."""

    identity: str
    title: str
    subtitle: str
    is_candidate: bool
    needs: tuple[Line, ...]


def graph(stages: Sequence[TrainedStage]) -> str:
    """Every stage and every model that one starts from, left to right, with the lines between them."""
    nodes = _nodes(stages)
    columns, pieces = _columns(nodes)
    _order(columns, pieces)
    middles = _middles(columns, pieces)
    by_identity = {node.identity: node for node in nodes}
    width = len(columns) * (BOX_WIDTH + ACROSS) - ACROSS + 2
    height = max(middles[c, s] + s.height / 2 for c, column in enumerate(columns) for s in column) + 2
    return "".join(
        [
            f'<svg viewBox="-1 -1 {width} {height:.0f}" width="{width}" role="img"',
            ' aria-labelledby="lineaget lineaged">',
            described("lineage", "Lineage", "; ".join(sentences(stages))),
            *_lanes(columns, middles),
            *(_curve(piece, middles) for piece in pieces),
            *(
                _box(by_identity[slot.node], _left(c), middles[c, slot] - BOX_HEIGHT / 2)
                for c, column in enumerate(columns)
                for slot in column
                if not slot.kind
            ),
            "</svg>",
        ]
    )


def sentences(stages: Sequence[TrainedStage]) -> list[str]:
    """The same graph in words, a sentence for each stage."""
    names = {stage.identity: stage.name for stage in stages}
    found = []
    for stage in stages:
        start = f" starts from {names[stage.parent] if stage.parent else stage.base or 'outside'}"
        rewarded = (
            f", rewarded by {', '.join(names[each] for each in stage.rewards)}" if stage.rewards else ""
        )
        candidate = f", and is {', '.join(stage.candidates)}" if stage.candidates else ""
        scores = f", and scores {', '.join(stage.scores)}" if stage.scores else ""
        found.append(f"{stage.name}{start}{rewarded}{candidate}{scores}")
    return found


# ---------------------------------------------------------------- what is drawn


def _nodes(stages: Sequence[TrainedStage]) -> list[Node]:
    """Models from elsewhere first, then stages, each after those that it needs."""
    bases = dict.fromkeys(stage.base for stage in stages if stage.base is not None)
    outside = [
        Node(identity=f"base {name}", title=name, subtitle="base model", is_candidate=False, needs=())
        for name in bases
    ]
    return [*outside, *(_node(stage) for stage in stages)]


def _node(stage: TrainedStage) -> Node:
    pipeline, _, kind = stage.name.rpartition(" · ")
    start = stage.parent or (None if stage.base is None else f"base {stage.base}")
    return Node(
        identity=stage.identity,
        title=pipeline,
        subtitle=f"{kind}, scores {', '.join(stage.scores)}" if stage.scores else kind,
        is_candidate=bool(stage.candidates),
        needs=(
            *([Line(start, stage.identity, STARTS)] if start else []),
            *(Line(each, stage.identity, REWARDS) for each in stage.rewards),
        ),
    )


# ---------------------------------------------------------------- where it stands


def _columns(nodes: Sequence[Node]) -> tuple[Columns, list[EdgePiece]]:
    """Boxes in the column after the last thing they need, with lanes for lines that pass a column."""
    depths: dict[str, int] = {}
    for node in nodes:
        depths[node.identity] = 1 + max((depths[line.start] for line in node.needs), default=-1)
    columns: Columns = [[] for _ in range(1 + max(depths.values()))]
    for node in nodes:
        columns[depths[node.identity]].append(Slot(node.identity))
    pieces = dict.fromkeys(piece for node in nodes for line in node.needs for piece in _pieces(line, depths))
    for piece in pieces:
        if piece.end not in columns[piece.column + 1]:
            columns[piece.column + 1].append(piece.end)
    return columns, list(pieces)


def _pieces(line: Line, depths: Mapping[str, int]) -> Iterator[EdgePiece]:
    """A line column by column."""
    at, last = Slot(line.start), depths[line.end] - 1
    for column in range(depths[line.start], last + 1):
        to = Slot(line.end) if column == last else Slot(line.start, line.kind)
        yield EdgePiece(column, at, to, line.kind)
        at = to


def _order(columns: Columns, pieces: Sequence[EdgePiece]) -> None:
    """Put each column in the order of what its slots are connected with, so that few lines cross."""
    for _ in range(SWEEPS):
        for number in range(1, len(columns)):
            _sort(columns[number], columns[number - 1], _origins(pieces, number))
        for number in reversed(range(len(columns) - 1)):
            _sort(columns[number], columns[number + 1], _targets(pieces, number))


def _sort(column: list[Slot], beside: Sequence[Slot], connected: Mapping[Slot, Sequence[Slot]]) -> None:
    places = {slot: place for place, slot in enumerate(beside)}
    own = {slot: place for place, slot in enumerate(column)}
    column.sort(key=lambda slot: fmean([places[each] for each in connected.get(slot, ())] or [own[slot]]))


def _origins(pieces: Sequence[EdgePiece], column: int) -> dict[Slot, list[Slot]]:
    """For each slot of this column, the slots of the column before from which lines come."""
    found: dict[Slot, list[Slot]] = {}
    for piece in pieces:
        if piece.column == column - 1:
            found.setdefault(piece.end, []).append(piece.start)
    return found


def _targets(pieces: Sequence[EdgePiece], column: int) -> dict[Slot, list[Slot]]:
    """For each slot of this column, the slots of the next one to which lines lead."""
    found: dict[Slot, list[Slot]] = {}
    for piece in pieces:
        if piece.column == column:
            found.setdefault(piece.start, []).append(piece.end)
    return found


def _middles(columns: Columns, pieces: Sequence[EdgePiece]) -> Middles:
    """Each slot lies beside what it comes from, or below the slot above it."""
    middles: dict[tuple[int, Slot], float] = {}
    for number, column in enumerate(columns):
        origins = _origins(pieces, number)
        free = 0.0
        for slot in column:
            beside = [middles[number - 1, each] for each in origins.get(slot, ())]
            middles[number, slot] = max(free + slot.height / 2, fmean(beside) if beside else 0.0)
            free = middles[number, slot] + slot.height / 2 + DOWN
    return middles


# ---------------------------------------------------------------- how it is drawn


def _left(column: int) -> int:
    return column * (BOX_WIDTH + ACROSS)


def _lanes(columns: Columns, middles: Middles) -> Iterator[str]:
    """The straight lines through columns that they only pass."""
    for number, column in enumerate(columns):
        for slot in column:
            if slot.kind:
                start = f"M{_left(number)} {middles[number, slot]:.1f}"
                yield f'<path class="{slot.kind}" d="{start}H{_left(number) + BOX_WIDTH}"/>'


def _curve(piece: EdgePiece, middles: Middles) -> str:
    """A curve from one column to the next, with an arrow where it ends at a box."""
    x, to_x = _left(piece.column) + BOX_WIDTH, _left(piece.column + 1)
    y = middles[piece.column, piece.start] + _aside(piece.start, piece.kind)
    to_y = middles[piece.column + 1, piece.end] + _aside(piece.end, piece.kind)
    middle = (x + to_x) / 2
    tip = f'<path class="{piece.kind} tip" d="M{to_x - 6} {to_y - 4:.1f}l6 4l-6 4"/>'
    bend = f"C{middle:g} {y:.1f} {middle:g} {to_y:.1f} {to_x} {to_y:.1f}"
    return f'<path class="{piece.kind}" d="M{x} {y:.1f}{bend}"/>{"" if piece.end.kind else tip}'


def _aside(slot: Slot, kind: str) -> int:
    """How far from the middle of its slot a line is: at a box, rewards have a place of their own."""
    return ASIDE if kind == REWARDS and not slot.kind else 0


def _box(node: Node, x: float, y: float) -> str:
    shown, below = shortened(node.title, LONGEST), shortened(node.subtitle, LONGEST_BELOW)
    candidate = " candidate" if node.is_candidate else ""
    return (
        f'<g class="box{candidate}"><title>{svg_text(f"{node.title} · {node.subtitle}")}</title>'
        f'<rect x="{x}" y="{y:.1f}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="6"/>'
        f'<text class="name" x="{x + 10}" y="{y + 19:.1f}">{svg_text(shown)}</text>'
        f'<text class="tick" x="{x + 10}" y="{y + 35:.1f}">{svg_text(below)}</text></g>'
    )
