"""How far the work is: what verbs report while they train and ask."""

from collections.abc import Sequence

from trainers.checkpoints import Stopped
from trainers.doctor.findings import Examination
from trainers.forecast import StageForecast
from trainers.job import StageProgress


class Progress:
    """Receives the progress of verbs. This one shows nothing; subclasses override its methods."""

    def planned(self, stages: Sequence[StageForecast]) -> None:
        """These stages are needed, and those that are missing are about to be trained."""

    def resuming(self, pipeline: str, stage: str, stopped: Stopped) -> None:
        """A stage that was stopped there is taken up again."""

    def training(self, progress: StageProgress) -> None:
        """A stage has done another step."""

    def examined(self, examination: Examination) -> None:
        """A stage is about to be trained, and this is what the doctor found in it."""

    def loading(self, model: str) -> None:
        """A model is being loaded, and then its first suite prepared."""

    def writing(self, written: int, left: int) -> None:
        """A local model has written so many tokens of one request, and writes at most `left` more."""

    def beside(self) -> "Progress":
        """The progress of one among several things that are done at the same time."""
        return self

    def end(self) -> None:
        """It is over."""

    def asking(self, model: str, suite: str, done: int, total: int) -> None:
        """Another answer of one request is there."""

    def copying(self, kind: str, done: int, total: int) -> None:
        """More of a store's rows of one kind is in another store."""
