"""How far the work is: what verbs report while they train and ask."""

from trainers.doctor.findings import Examination
from trainers.job import StageProgress


class Progress:
    """Receives the progress of verbs. This one shows nothing; subclasses override its methods."""

    def training(self, progress: StageProgress) -> None:
        """A stage has done another step."""

    def examined(self, examination: Examination) -> None:
        """A stage is about to be trained, and this is what the doctor found in it."""

    def loading(self, model: str) -> None:
        """A model is being loaded, and then its first suite prepared."""

    def asking(self, model: str, suite: str, done: int, total: int) -> None:
        """Another answer of one request is there."""
