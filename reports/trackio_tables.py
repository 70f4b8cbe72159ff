"""Results as Trackio runs, kept in the folder.

The only file that imports trackio, which is no dependency: whoever has it can use it.
"""

import os
from collections.abc import Sequence
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

from harness.errors import UsageError
from reports.exported import Exported
from reports.tracked import PROJECT, TrackedModel, check_installed, tracked
from reports.whole_files import WholeFiles

FOLDER = "TRACKIO_DIR"
"""The environment variable by which trackio, when it is imported, finds where it keeps what it is given."""


def write(exported: Exported, files: WholeFiles) -> Sequence[str]:
    """A run for each model, with its means and its tables.

    Raises UsageError without trackio, and where this process has imported it for another folder.
    """
    check_installed("trackio", "Trackio")
    before = os.environ.get(FOLDER)
    os.environ[FOLDER] = str(files.folder.absolute())
    try:
        notes: list[str] = []
        for model in tracked(exported, notes):
            _log(model)
    finally:
        del os.environ[FOLDER]
        if before is not None:
            os.environ[FOLDER] = before
    return *notes, f"`{FOLDER}={files.folder} trackio show --project {PROJECT}` shows it"


def _log(model: TrackedModel) -> None:
    import trackio  # noqa: PLC0415 - no dependency, and slow to import

    kept_in = trackio.utils.TRACKIO_DIR
    if kept_in != Path(os.environ[FOLDER]):
        raise UsageError(
            f"trackio is in use in this process, and keeps what it is given in {kept_in}: export in another "
            "process"
        )
    with redirect_stdout(StringIO()):  # it tells how to look at it, which a note says
        run = trackio.init(
            project=PROJECT,
            name=model.name,
            config=dict(model.config),
            embed=False,
            auto_log_gpu=False,
            auto_log_cpu=False,
        )
        run.log(dict(model.numbers))
        for table in model.tables:
            lines = [dict(zip(table.columns, line, strict=True)) for line in table.lines]
            run.log({table.name: trackio.Table(data=lines)})
        trackio.finish()
