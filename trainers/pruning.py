"""The contents of the folders of stages, bases and mixes, and removing what is no longer needed.

stages/KIND-HASH            a finished stage
stages/KIND-HASH.partial    one in training, or interrupted
bases/HASH.partial          what a stage starts from, being written, or interrupted
mixes/NAME-HASH.partial     a mix, the same

`trainers.whole_folders` has the locks.
"""

import fcntl
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.errors import UsageError
from trainers import manifest
from trainers.whole_folders import LOCK, PARTIAL


@dataclass(frozen=True, slots=True, kw_only=True)
class StageFolder:
    """The folder of a stage, finished or not, or an unfinished one of a base or mix."""

    folder: Path
    finished: bool
    size: int
    """Bytes on the disk; files that share their content by a hard link count once."""
    changed: float
    """When something in it last changed, in seconds since 1970."""
    in_use: bool
    """Whether a process is training it now."""

    @property
    def stage(self) -> str:
        """The finished stage's name, also of a partial one."""
        return self.folder.name.removesuffix(PARTIAL)


def stage_folders(stages: Path) -> list[StageFolder]:
    """Every stage's folder within `stages`, sorted by name."""
    if not stages.is_dir():
        return []
    folders = (folder for folder in stages.iterdir() if folder.is_dir() and not folder.is_symlink())
    return [_inspect(folder) for folder in sorted(folders) if _is_stage(folder)]


def unfinished(folder: Path) -> list[StageFolder]:
    """The bases or mixes in this folder that were not written to their ends, sorted by name."""
    return [_inspect(each) for each in sorted(folder.glob(f"*{PARTIAL}")) if each.is_dir()]


def remove_folder(each: StageFolder) -> bool:
    """Remove a folder, unless a process is training it; whether it was removed.

    Raises UsageError where it cannot be removed.
    """
    with _lock(each.folder) as locked:
        if not locked:
            return False
        try:
            shutil.rmtree(each.folder)
        except OSError as error:
            raise UsageError(
                f"{each.folder} cannot be removed: {error.strerror} ({error.filename})"
            ) from error
    return True


def links_to(output: Path, gone: Collection[Path]) -> list[Path]:
    """The links in the output folder that lead to one of these folders."""
    targets = {folder.resolve() for folder in gone}
    return [link for link in sorted(output.glob("*")) if link.is_symlink() and link.resolve() in targets]


def _is_stage(folder: Path) -> bool:
    """Whether this is a stage's folder, and not something that a user put there."""
    return folder.name.endswith(PARTIAL) or manifest.is_finished(folder)


def _inspect(folder: Path) -> StageFolder:
    """Where no process is training it, this one holds its lock for a moment."""
    files = list({(file.st_dev, file.st_ino): file for file in map(Path.lstat, folder.rglob("*"))}.values())
    files = files or [folder.lstat()]
    with _lock(folder) as locked:
        return StageFolder(
            folder=folder,
            finished=not folder.name.endswith(PARTIAL),
            size=sum(file.st_blocks for file in files) * 512,
            changed=max(file.st_mtime for file in files),
            in_use=not locked,
        )


@contextmanager
def _lock(folder: Path) -> Iterator[bool]:
    """Take the stage's lock, where there is one; whether no other process holds it."""
    lock = folder.with_name(folder.name.removesuffix(PARTIAL) + LOCK)
    if not lock.exists():
        yield True
        return
    with lock.open("a") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
