"""Reads AlpacaEval's `annotations.json`: an annotator's preference between two outputs to one instruction.

Read against alpaca_eval 0.6.6 (`annotators/pairwise_evaluator.py`, `metrics/helpers.py`). `preference` is 1
for `output_1`, which is the reference's, 2 for `output_2`, or a number between; 1.5, and 0 in older files, is
a draw, and null (-1 in the annotator's cache) is none. There is no id: the instruction is the key. Equal
outputs are never asked about; they are draws that count in AlpacaEval's win rate, and so they do here. A
model against itself has one `generator` in older files, where all others have two.
"""

from collections.abc import Iterator
from pathlib import Path

from harness.imported.preference_format import PreferenceFormat
from harness.preferences.named import UNREADABLE
from harness.preferences.rows import Row

NEEDED = ("instruction", "output_1", "output_2", "annotator", "preference")
DRAWS = (0, 1.5)
NONE = (None, -1)


class AlpacaEvalAnnotations(PreferenceFormat):
    """`annotations.json`."""

    name = "AlpacaEval's annotations"
    called = {  # noqa: RUF012 - not changed
        "item": "instruction",
        "rater": "annotator",
        "left": "generator_1",
        "right": "generator_2",
        "left_text": "output_1",
        "right_text": "output_2",
    }
    has_baselines = True

    def __init__(self) -> None:
        self._equal = 0

    def has(self, row: Row) -> bool:
        """Two outputs stand in it."""
        return "output_1" in row and "output_2" in row

    def preferences(self, row: Row, file: Path) -> Iterator[Row]:
        """One: the order in which the annotator saw them is not kept."""
        generators = ("generator",) if "generator" in row else ("generator_1", "generator_2")
        self.check(row, *NEEDED, *generators)
        left, right = row[generators[0]], row[generators[-1]]
        share = _share(row["preference"])
        self._equal += left != right and row["output_1"] == row["output_2"]
        asked, given = row["instruction"], row.get("input")
        yield {
            "item": f"{asked}\n\n{given}" if asked and given else asked,
            "rater": row["annotator"],
            "kind": "judge",
            "left": left,
            "right": right,
            "winner": None,
            "share": share,
            "left_text": row["output_1"],
            "right_text": row["output_2"],
            "reason": f"{UNREADABLE}no preference" if share is None else None,
        }

    def notes(self) -> Iterator[str]:
        """That equal outputs count."""
        if self._equal:
            yield (
                f"ties of equal outputs ({self._equal:,}), which nobody was asked about, count as in "
                "AlpacaEval's own win rate"
            )


def _share(preference: object) -> float | None:
    """By how much the second output is preferred."""
    if preference in NONE:
        return None
    if isinstance(preference, int | float) and preference in DRAWS:
        return 0.5
    if isinstance(preference, bool) or not isinstance(preference, int | float) or not 1 <= preference <= 2:
        raise ValueError(f"preference: a number from 1 to 2 was expected, and not {preference!r}")
    return preference - 1
