"""Results as Weights & Biases runs, kept in the folder: offline, unless WANDB_MODE says otherwise.

The only file that imports wandb, which is no dependency: whoever has it can use it.
"""

import os
from collections.abc import Sequence
from hashlib import sha256

from harness.errors import UsageError
from reports.exported import Exported, whole_text
from reports.tracked import PROJECT, TrackedModel, check_installed, tracked
from reports.whole_files import WholeFiles


def write(exported: Exported, files: WholeFiles) -> Sequence[str]:
    """A run for each model, with its means as its summary, and its tables.

    Raises UsageError where wandb is not installed, or does not take them.
    """
    check_installed("wandb", "W&B")
    mode = os.environ.get("WANDB_MODE", "offline")
    notes: list[str] = []
    for model in tracked(exported, notes):
        _log(model, files, mode)
    if mode == "offline":
        notes.append(f"nothing was sent; `wandb sync {files.folder}/wandb/offline-run-*` sends it")
    return notes


def _log(model: TrackedModel, files: WholeFiles, mode: str) -> None:
    import wandb  # noqa: PLC0415 - no dependency, and slow to import

    settings = wandb.Settings(silent=True, console="off", x_disable_stats=True, save_code=False)
    identity = sha256(whole_text(f"{model.name} {model.config}").encode()).hexdigest()[:16]
    about = {"project": PROJECT, "name": model.name, "id": identity, "config": dict(model.config)}
    try:
        with wandb.init(**about, resume="allow", dir=str(files.folder), mode=mode, settings=settings) as run:
            run.summary.update(dict(model.numbers))
            for table in model.tables:
                columns, lines = list(table.columns), [list(line) for line in table.lines]
                run.log({table.name: wandb.Table(columns=columns, data=lines, allow_mixed_types=True)})
    except wandb.Error as error:
        raise UsageError(f"W&B did not take the results: {error}") from error
