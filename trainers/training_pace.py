"""How fast a training goes: the tokens of its loop, and the seconds that it took."""

from time import monotonic

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from harness.records.models import Json


class TrainingPace(TrainerCallback):
    """Measures the training loop from its first step in this process to its last."""

    def __init__(self) -> None:
        self._began = self._seconds = 0.0
        self._before = self._tokens = 0

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **others: object
    ) -> None:
        """Remember what was done before."""
        self._began, self._before = monotonic(), state.num_input_tokens_seen

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **others: object
    ) -> None:
        """Measure what was done since."""
        self._seconds = monotonic() - self._began
        self._tokens = int(state.num_input_tokens_seen) - int(self._before)

    @property
    def measured(self) -> dict[str, Json]:
        """For the manifest."""
        return {"tokens": self._tokens, "seconds": round(self._seconds, 2)}
