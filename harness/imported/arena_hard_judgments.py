"""Reads Arena-Hard's judgments, of v0.1 and v2: two games of a model and the baseline on one question.

Read against arena-hard-auto (`gen_judgment.py` of v0.1, `src/arenahard/gen_judgment.py` and `show_result.py`
of v2). In the first game the baseline is A, in the second the model. A game without a score, and one that was
not played because the judge's service failed, has no verdict; the pair then has none. v0.1 does not say who
the baseline is.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.imported.preference_format import PreferenceFormat
from harness.preferences.named import UNREADABLE
from harness.preferences.rows import Row
from harness.records.preferences import Side

V01_BASELINE = "gpt-4-0314"
BASELINES = {
    **dict.fromkeys(("hard_prompt", "coding", "math"), "o3-mini-2025-01-31"),
    "creative_writing": "gemini-2.0-flash-001",
    "arena-hard-v0.1": V01_BASELINE,
}
"""Of v2, by category (`utils/judge_utils.py`), for files that do not name it."""
A, B = "A", "B"
VERDICTS = {
    **dict.fromkeys(("A>>B", "A>B", "B<A", "B<<A"), A),
    **dict.fromkeys(("A=B", "B=A"), None),
    **dict.fromkeys(("B>>A", "B>A", "A<B", "A<<B"), B),
}
STRONG = ("A>>B", "B<<A", "B>>A", "A<<B")
GAMES = 2


class ArenaHardJudgments(PreferenceFormat):
    """`model_judgment/JUDGE/MODEL.jsonl`."""

    name = "Arena-Hard's judgments"
    called = {"left": "baseline", "right": "model", "rater": "judge"}  # noqa: RUF012 - not changed
    has_baselines = True

    def __init__(self) -> None:
        self._verdicts = self._strong = 0
        self.assumed: list[str] = []
        """Baselines that the files do not name."""

    def has(self, row: Row) -> bool:
        """It has games."""
        return "games" in row

    def preferences(self, row: Row, file: Path) -> Iterator[Row]:
        """One for each game."""
        question = "uid" if "uid" in row else "question_id"
        self.check(row, question, "model", "judge", "games")
        games = row["games"]
        if not isinstance(games, list) or not 1 <= len(games) <= GAMES:
            raise ValueError("games: a list of two was expected, the first with the baseline as A")
        baseline = row["baseline"] if "baseline" in row else self._assume(row)
        for number, game in enumerate(games):
            shown_first: Side = "left" if number == 0 else "right"
            winner, reason = self._verdict(number, game, shown_first)
            yield {
                "item": row[question],
                "rater": row["judge"],
                "kind": "judge",
                "left": baseline,
                "right": row["model"],
                "shown_first": shown_first,
                "winner": winner,
                "reason": reason,
            }

    def notes(self) -> Iterator[str]:
        """That strong verdicts weigh as much as others."""
        if self._strong:
            yield (
                f"strong verdicts (A>>B, B>>A: {self._strong:,} of {self._verdicts:,}) count once here, and "
                "three times in Arena-Hard's own score"
            )

    def _assume(self, row: Row) -> str:
        category = str(row.get("category", "arena-hard-v0.1"))
        if category not in BASELINES:
            raise ValueError(f"lacks baseline, and {category!r} is no category of which it is known")
        baseline = BASELINES[category]
        if baseline not in self.assumed:
            self.assumed.append(baseline)
        return baseline

    def _verdict(self, number: int, game: Any, shown_first: Side) -> tuple[str | None, str | None]:
        """The winner, or why there is none."""
        if game is None:
            return None, "failed: the judge gave no answer"
        if not isinstance(game, dict) or "score" not in game:
            raise ValueError(f"games[{number}]: an object with a score was expected")
        score = game["score"]
        if score in (None, ""):
            return None, f"{UNREADABLE}no verdict"
        if not isinstance(score, str) or score.strip() not in VERDICTS:
            raise ValueError(
                f"games[{number}].score: A>>B, A>B, A=B, B>A or B>>A was expected, and not {score!r}"
            )
        self._verdicts += 1
        self._strong += score.strip() in STRONG
        won = VERDICTS[score.strip()]
        if won is None:
            return "tie", None
        return ("left" if (won == A) == (shown_first == "left") else "right"), None
