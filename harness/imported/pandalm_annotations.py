"""Reads PandaLM's annotations, `testset-v1.json`, and what judges said of the same items.

Read against PandaLM's repository (`data/testset-v1.json`, `data/compute_metrics.py`). A row has two models'
responses to one instruction, `cmp_key` names the two, and `annotator1`, `annotator2` and `annotator3` are 1
or 2 for the better one and 0 for a tie. A judge's file has `idx` and `NAME_result` (1, 2, 0 or `tie`;
`garbage` is no verdict), and the pairs are those of the annotations. PandaLM reports how often a judge says
what most annotators say, and counts garbage as a tie.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from harness.imported.preference_format import PreferenceFormat
from harness.preferences.named import UNREADABLE
from harness.preferences.rows import Row

ANNOTATOR = re.compile(r"annotator\d+")
WINNERS = {"0": "tie", "1": "left", "2": "right", "tie": "tie"}
NONE = ("none", "garbage", "")
TEST_SET = re.compile(r"-testset-v\d+$")
PAIR = ("left", "right", "cluster", "left_text", "right_text")


class PandaLmAnnotations(PreferenceFormat):
    """`testset-v1.json`."""

    name = "PandaLM's annotations"
    called = {"item": "idx", "left": "cmp_key", "right": "cmp_key"}  # noqa: RUF012 - not changed

    def __init__(self) -> None:
        self.pairs: dict[str, Row] = {}
        """What is common to all that is said of an item."""

    def has(self, row: Row) -> bool:
        """It names a pair."""
        return "cmp_key" in row

    def preferences(self, row: Row, file: Path) -> Iterator[Row]:
        """One of each annotator."""
        self.check(row, "idx", "cmp_key", "instruction", "response1", "response2")
        annotators = [key for key in row if ANNOTATOR.fullmatch(key)]
        if not annotators:
            raise ValueError(f"lacks annotator1, which {self.name} have")
        item, pair = row["idx"], _pair(row)
        if self.pairs.setdefault(str(item), pair) != pair:
            raise ValueError(f"idx: {item} is another instruction or pair in an earlier row")
        for annotator in annotators:
            yield {"item": item, "rater": annotator, "kind": "human", **pair, **_said(annotator, row)}


class PandaLmResults(PreferenceFormat):
    """`gpt-3.5-turbo-testset-v1.json`, beside the annotations."""

    name = "a judge's results on PandaLM's annotations"
    called = {"item": "idx"}  # noqa: RUF012 - not changed
    needs_others = True

    def __init__(self, annotations: PandaLmAnnotations) -> None:
        self._annotations = annotations

    def has(self, row: Row) -> bool:
        """It has a result."""
        return "idx" in row and any(key.endswith("_result") for key in row)

    def preferences(self, row: Row, file: Path) -> Iterator[Row]:
        """One, of the judge that the file is named for."""
        self.check(row, "idx")
        key = next((key for key in row if key.endswith("_result")), None)
        if key is None:
            raise ValueError(f"lacks a NAME_result, which {self.name} have")
        item = row["idx"]
        pair = self._annotations.pairs.get(str(item))
        if pair is None:
            raise ValueError(
                f"idx: {item} stands in no annotations that were read, which say whose responses are judged; "
                "PandaLM's testset-v1.json is needed, too, by another --from"
            )
        rater = TEST_SET.sub("", file.name.removesuffix(".gz").removesuffix(".json"))
        yield {"item": item, "rater": rater, "kind": "judge", **pair, **_said(key, row)}


def _pair(row: Row) -> Row:
    names = str(row["cmp_key"]).split("_")
    if len(names) != len(("left", "right")):
        raise ValueError(
            f"cmp_key: two models' names with one _ between them were expected, and not {row['cmp_key']!r}"
        )
    asked = "\n\n".join(str(each) for each in (row["instruction"], row.get("input")) if each)
    found = (*names, asked, row["response1"], row["response2"])
    return dict(zip(PAIR, found, strict=True))


def _said(key: str, row: Row) -> Row:
    said = str(row[key]).strip().lower()
    if said in NONE:
        return {"winner": None, "reason": f"{UNREADABLE}{said or 'nothing'}"}
    if said not in WINNERS:
        raise ValueError(f"{key}: 0, 1 or 2 was expected, and not {row[key]!r}")
    return {"winner": WINNERS[said]}
