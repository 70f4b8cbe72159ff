"""The picture of how candidates came to be: a line is read as what it is, whatever stages there are."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from reports.lineage import BOX_HEIGHT, BOX_WIDTH, graph
from reports.training import TrainedStage

STEPS = 16
"""Points of a curve that are looked at."""


class Box(NamedTuple):
    """Where a stage is drawn."""

    x: float
    y: float

    def holds(self, x: float, y: float) -> bool:
        """Whether a point lies within, and not only on the border."""
        return self.x < x < self.x + BOX_WIDTH and self.y < y < self.y + BOX_HEIGHT

    def overlaps(self, other: "Box") -> bool:
        """Whether both have a place in common."""
        return abs(self.x - other.x) < BOX_WIDTH and abs(self.y - other.y) < BOX_HEIGHT


class Piece(NamedTuple):
    """A part of a line: its kind, and its points from one end to the other."""

    kind: str
    points: list[tuple[float, float]]


def stage(
    identity: str, parent: str | None, rewards: tuple[str, ...] = (), base: str | None = None
) -> TrainedStage:
    """A stage that needs these."""
    return TrainedStage(
        identity=identity,
        name=f"{identity} · kind",
        candidates=(),
        parent=parent,
        base=base,
        rewards=rewards,
        facts={},
        curves=(),
        warnings=(),
        completions=(),
    )


@st.composite
def lineages(draw: st.DrawFn) -> list[TrainedStage]:
    """Stages of which each starts from an earlier one, from a model or from nothing, and may be rewarded."""
    names = [f"s{number}" for number in range(draw(st.integers(1, 12)))]
    stages = []
    for number, name in enumerate(names):
        earlier = names[:number]
        parent = draw(st.sampled_from([None, *earlier]))
        base = draw(st.sampled_from([None, "gemma", "smollm2"])) if parent is None else None
        rewards = draw(st.lists(st.sampled_from(earlier), max_size=3, unique=True)) if earlier else []
        stages.append(stage(name, parent, tuple(rewards), base))
    return stages


def drawn(stages: list[TrainedStage]) -> tuple[dict[str, Box], list[Piece]]:
    """The boxes by what stands in them, and all parts of lines."""
    root = ET.fromstring(graph(stages))
    boxes = {}
    for group in root.iter("g"):
        rect, name = group.find("rect"), group.find("text")
        assert rect is not None
        assert name is not None
        boxes[str(name.text)] = Box(float(rect.attrib["x"]), float(rect.attrib["y"]))
    paths = [path for path in root.iter("path") if "tip" not in path.attrib["class"].split()]
    return boxes, [Piece(path.attrib["class"], list(_points(path.attrib["d"]))) for path in paths]


def _points(path: str) -> Iterator[tuple[float, float]]:
    numbers = [float(each) for each in re.findall(r"-?[\d.]+", path)]
    x, y, *rest = numbers
    ends = (
        [(x, y), *zip(rest[::2], rest[1::2], strict=True)]
        if "C" in path
        else [(x, y)] * 2 + [(rest[0], y)] * 2
    )
    for step in range(STEPS + 1):
        t = step / STEPS
        weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3)
        yield (
            sum(weight * px for weight, (px, _) in zip(weights, ends, strict=True)),
            sum(weight * py for weight, (_, py) in zip(weights, ends, strict=True)),
        )


def reached(start: Box, kind: str, boxes: dict[str, Box], pieces: list[Piece]) -> set[str]:
    """The boxes at which lines of this kind end that leave this one, followed as an eye would."""
    found: set[str] = set()
    ends = [piece for piece in pieces if piece.kind == kind and _is_beside(piece.points[0], start, BOX_WIDTH)]
    while ends:
        x, y = ends.pop().points[-1]
        found |= {name for name, box in boxes.items() if _is_beside((x, y), box, 0)}
        ends += [piece for piece in pieces if piece.kind == kind and piece.points[0] == (x, y)]
    return found


def _is_beside(point: tuple[float, float], box: Box, across: int) -> bool:
    return point[0] == box.x + across and box.y < point[1] < box.y + BOX_HEIGHT


@settings(max_examples=60)  # drawing takes as long as the machine is busy
@given(lineages())
def test_no_line_crosses_a_box(stages: list[TrainedStage]) -> None:
    """Not even the boxes at its ends; and no two boxes lie on each other."""
    boxes, pieces = drawn(stages)

    placed = list(boxes.values())
    assert not [(a, b) for n, a in enumerate(placed) for b in placed[:n] if a.overlaps(b)]
    assert not [
        (name, piece)
        for name, box in boxes.items()
        for piece in pieces
        if any(box.holds(*point) for point in piece.points)
    ]


@settings(max_examples=60)  # drawing takes as long as the machine is busy
@given(lineages())
def test_a_line_is_read_as_what_it_is(stages: list[TrainedStage]) -> None:
    """Following the lines from a box one comes to all stages that start from it, and to no other."""
    boxes, pieces = drawn(stages)

    for name, box in boxes.items():
        started = {each.identity for each in stages if name in (each.parent, each.base)}
        rewarded = {each.identity for each in stages if name in each.rewards}
        assert started == reached(box, "edge", boxes, pieces)
        assert rewarded == reached(box, "edge reward", boxes, pieces)


def test_the_base_is_a_box() -> None:
    """A model that was not trained here stands left of everything that starts from it, once."""
    boxes, _ = drawn(
        [stage("sft", None, base="gemma"), stage("raw", None, base="gemma"), stage("dpo", "sft")]
    )

    assert {"gemma", "sft", "raw", "dpo"} == boxes.keys()
    assert boxes["gemma"].x < boxes["sft"].x == boxes["raw"].x < boxes["dpo"].x
