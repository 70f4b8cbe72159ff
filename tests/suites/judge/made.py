"""Pairs and judges for tests."""

from typing import Any

from harness.records.answers import Response, Sample
from harness.records.preferences import Pair
from suites.judge.pairwise import PairwiseJudge
from suites.judge.templates import TEMPLATES


def pair(name: str = "s", left: str = "left", right: str = "right", **others: Any) -> Pair:
    """Two whole answers to one prompt."""
    return Pair(
        sample=Sample(id=name, prompt=f"Prompt {name}."),
        left_run="run-l",
        right_run="run-r",
        left=Response(text=left, stop_reason=others.get("left_stopped", "end"), reason=others.get("reason")),
        right=Response(
            text=right, stop_reason=others.get("right_stopped", "end"), reason=others.get("reason")
        ),
    )


def pairwise(**others: Any) -> PairwiseJudge:
    """A judge that takes turns and no schema."""
    usual: dict[str, Any] = {
        "name": "judge",
        "fingerprint": "f",
        "has_turns": True,
        "template": TEMPLATES["pairwise-brief"],
        "criteria": ("helpful",),
        "order": "both",
        "form": "line",
        "max_tokens": 16,
        "seed": 0,
    }
    return PairwiseJudge(**{**usual, **others})
