"""Recognises a full disk, which every library reports in its own way, and raises one error for it."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from harness.errors import DiskFull

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""A full disk, a full quota, and the limit on a file's size (`ulimit -f`)."""
NO_SPACE = (
    "No space left on device",
    "os error 28",
    "os error 27",
    "PytorchStreamWriter failed writing file",
    "unexpected pos",
)
"""Messages of libraries that hide the error number of a full disk."""


@contextmanager
def raising_disk_full(folder: Path) -> Iterator[None]:
    """Raise DiskFull for whatever a library raises when the disk is full."""
    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:
        number = error.errno if isinstance(error, OSError) else None
        if number in FULL or any(message in str(error) for message in NO_SPACE):
            raise DiskFull(
                f"the disk is full; {folder} could not be written. Make room and run the same command: "
                "training resumes from the last complete checkpoint"
            ) from error
        raise
