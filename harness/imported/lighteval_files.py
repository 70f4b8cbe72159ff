"""Which files are lighteval's, and which belong together.

`results/MODEL/results_TIME.json` and `details/MODEL/TIME/details_TASK_TIME.parquet`, where lighteval 0.13
puts them; side by side, or as its repositories on the hub have them, with the details in a folder of their
time.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from harness.errors import DataError
from harness.imported.fields import beginning
from harness.imported.lm_eval_results import LIGHTEVALS

TIME = r"(?P<time>\d{4}-\d\d-\d\dT.+)"
RESULTS = re.compile(rf"results_{TIME}\.json")
DETAILS = re.compile(rf"details_(?P<task>.+)_{TIME}\.parquet", re.DOTALL)


def is_lighteval(file: Path) -> bool:
    """Whether a file is named as lighteval's details are, or is one of its results."""
    if DETAILS.fullmatch(file.name):
        return True
    return RESULTS.fullmatch(file.name) is not None and LIGHTEVALS in beginning(file)


def details_of(file: Path) -> list[Path]:
    """The details that a file of results is of."""
    named = RESULTS.fullmatch(file.name)
    if named is None:
        return []
    folders = [file.parent, file.parent / named["time"]]
    folders += [folder / named["time"] for folder in _mirrored(file.parent, "results", "details")]
    return sorted(found for folder in folders for found in folder.glob(f"details_*_{named['time']}.parquet"))


def results_of(details: Path, time: str, given: Mapping[str, Path]) -> Path:
    """The results that a file of details belongs to; `given`: the results that were named, by their time.

    Raises DataError where there are none.
    """
    name, parent = f"results_{time}.json", details.parent
    folders = [parent, parent.parent, *_mirrored(parent.parent, "details", "results")]
    usual = [folder / name for folder in folders]
    found = given.get(time) or next((file for file in usual if file.is_file()), None)
    if found is None:
        raise DataError(
            str(details),
            0,
            f"{name} is not where lighteval puts it, which says how the model was asked: name it too",
        )
    return found


def _mirrored(folder: Path, of: str, to: str) -> Iterator[Path]:
    """The folder with one of its parts changed."""
    for place, part in enumerate(folder.parts):
        if part == of:
            yield Path(*folder.parts[:place], to, *folder.parts[place + 1 :])
