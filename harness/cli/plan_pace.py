"""How long those stages of a plan take that come after the one in training.

Their tokens are forecast. How many of those a second trains is measured, for each kind of stage by itself,
since answers are written more slowly than texts are read. For a kind that is not measured yet its forecast of
time stands, or, where there is none, the pace of the stage in training.
"""

from collections.abc import Iterable

from trainers.forecast import StageForecast


class PlanPace:
    """The stages that wait to be trained, and the paces of those that were."""

    def __init__(self) -> None:
        self._waiting: dict[str, StageForecast] = {}
        self._current: StageForecast | None = None
        self._paces: dict[str, float] = {}
        """Forecast tokens per second, by kind of stage."""

    def add(self, stages: Iterable[StageForecast]) -> None:
        """Stages of which those that are missing will be trained."""
        for stage in stages:
            if not stage.done:
                self._waiting.setdefault(stage.folder.name, stage)

    def seconds_after(self, folder: str, steps: int, per_second: float | None) -> float | None:
        """Seconds for what waits behind the stage in this folder, which has so many steps and does so many a
        second; None where that is not known, or nothing waits."""
        if folder in self._waiting:
            self._current = self._waiting.pop(folder)
        if self._current is None or per_second is None:
            return None
        pace = self._paces[self._current.kind] = self._current.tokens / steps * per_second
        return sum(self._seconds(each, pace) for each in self._waiting.values()) or None

    def _seconds(self, stage: StageForecast, pace: float) -> float:
        if stage.kind in self._paces or stage.seconds is None:
            return stage.tokens / self._paces.get(stage.kind, pace)
        return stage.seconds
