"""How many bytes a stage takes: candidate, checkpoints, and the optimiser's state while it is trained."""

from math import ceil
from pathlib import Path

from trainers.settings import Conversational, EpochTraining
from trainers.sizes import BYTES, ModelSize
from trainers.stage_settings import Online, ToxicityTraining

TRAINED = 4
"""Bytes of a number while it is trained, in float32."""
MOMENTS = 2
"""Numbers that AdamW keeps for each one that it trains."""


def bytes_within(folder: Path) -> int:
    """The size of all files in a folder; what is linked several times counts once."""
    files = [path.lstat() for path in folder.rglob("*") if path.is_file()]
    return sum({(file.st_dev, file.st_ino): file.st_size for file in files}.values())


def disk_needs(
    kind: str, settings: Conversational | ToxicityTraining, size: ModelSize, rows: int, *, is_long: bool
) -> tuple[int, int]:
    """Bytes of a finished stage that starts from a model of this size, and the most while it is trained.

    `rows` are those of an epoch. `is_long`: it takes longer than the time after which a checkpoint is written
    to resume from. The newest checkpoint has the optimiser's state, and for a moment the one before it, too.
    """
    whole = size.parameters - (size.output_layer if kind == "reward" else 0)
    is_classifier = isinstance(settings, ToxicityTraining)  # in float32 whatever the base's format
    number = TRAINED if is_classifier else BYTES[size.dtype]
    candidate = whole * number + size.other_files
    adapter = settings.adapter if isinstance(settings, Conversational) else None
    trained = whole if adapter is None else size.adapter(adapter)
    checkpoint, optimiser = trained * TRAINED + size.other_files, MOMENTS * trained * TRAINED
    kept = _checkpoints(settings, rows)
    meanwhile = kept + (1 if is_long else 0)
    peak = meanwhile * checkpoint + min(meanwhile, 2) * optimiser
    after = kept * checkpoint + candidate
    if adapter is not None:
        after += checkpoint
    if is_classifier:  # the same weights again, as Detoxify reads them
        after += whole * TRAINED
    stays = after
    if adapter is None and number == TRAINED:  # one file with a checkpoint's weights
        stays -= whole * TRAINED
    return stays, max(peak, after)


def _checkpoints(settings: Conversational | ToxicityTraining, rows: int) -> int:
    """How many are kept."""
    if isinstance(settings, Online):
        return ceil(settings.steps / settings.checkpoint_steps)
    assert isinstance(settings, EpochTraining)
    return settings.checkpoints_over(rows)
