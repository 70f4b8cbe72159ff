"""What several libraries say of a full disk, as one error.

It does not know what is written.
"""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from harness.errors import DiskFull

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""A full disk, a full quota, and the size that a file may have (`ulimit -f`)."""
NO_SPACE = (
    "No space left on device",
    "os error 28",
    "os error 27",
    "PytorchStreamWriter failed writing file",
    "unexpected pos",
)
"""How libraries that hide the error number say that a disk is full."""


@contextmanager
def disk_full_by_name(folder: Path) -> Iterator[None]:
    """Turn what several libraries say of a full disk into DiskFull."""
    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:
        number = error.errno if isinstance(error, OSError) else None
        if number in FULL or any(said in str(error) for said in NO_SPACE):
            raise DiskFull(
                f"the disk is full; {folder} could not be written. Make room and give the same command: "
                "training goes on from the last whole checkpoint"
            ) from error
        raise
