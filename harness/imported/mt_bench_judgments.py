"""Reads MT-Bench's pairwise judgments, `gpt-4_pair.jsonl`: both orders of two models at a turn of a question.

Read against FastChat 0.2.36 (`llm_judge/common.py`, `show_result.py`). `g1_winner` is the winner where
`model_1` was shown first, `g2_winner` where `model_2` was; either is `model_1`, `model_2`, `tie`, or `error`,
which is no verdict. The two turns of a question are two items of one cluster. A judge that graded each answer
alone (`m1_score`) saw no order, and its two winners are one.
"""

from collections.abc import Iterator
from pathlib import Path

from harness.imported.preference_format import PreferenceFormat
from harness.preferences.named import UNREADABLE, NamedPreference
from harness.preferences.rows import Row, of_turn
from harness.records.preferences import Side

WINNERS = {"model_1": "left", "model_2": "right", "tie": "tie", "error": None}
GAMES: tuple[tuple[str, Side], ...] = (("g1_winner", "left"), ("g2_winner", "right"))


class MtBenchJudgments(PreferenceFormat):
    """`model_judgment/JUDGE_pair.jsonl`."""

    name = "MT-Bench's pairwise judgments"
    called = {"item": "question_id", "rater": "judge", "left": "model_1", "right": "model_2"}  # noqa: RUF012
    has_baselines = True

    def has(self, row: Row) -> bool:
        """It has the winners of two games."""
        return "g1_winner" in row or "g2_winner" in row

    def preferences(self, row: Row, file: Path) -> Iterator[Row]:
        """One for each game."""
        self.check(row, "question_id", "model_1", "model_2", "judge", "g1_winner", "g2_winner")
        alone, question = "m1_score" in row, row["question_id"]
        for key, shown_first in GAMES[:1] if alone else GAMES:
            if str(row[key]) not in WINNERS:
                raise ValueError(f"{key}: model_1, model_2, tie or error was expected, and not {row[key]!r}")
            winner = WINNERS[str(row[key])]
            yield {
                "item": None if question is None else of_turn(str(question), row.get("turn")),
                "cluster": question,
                "rater": row["judge"],
                "kind": "judge",
                "left": row["model_1"],
                "right": row["model_2"],
                "shown_first": None if alone else shown_first,
                "winner": winner,
                "reason": f"{UNREADABLE}error" if winner is None else None,
                "tstamp": row.get("tstamp"),
            }

    def baselines(self, preferences: list[NamedPreference]) -> list[str]:
        """The model that all pairs share, as in the mode `pairwise-baseline`; of one pair, `model_1`."""
        pairs = {frozenset((each.left, each.right)) for each in preferences}
        common = frozenset.intersection(*pairs)
        return [each for each in super().baselines(preferences) if each in common][:1] or sorted(common)
