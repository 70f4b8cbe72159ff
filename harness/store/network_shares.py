"""Whether a file lies on a network share, where SQLite's locks and shared memory hold for one machine."""

from collections.abc import Sequence
from pathlib import Path

import psutil

SHARES = frozenset(
    [
        "9p",
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "fuse.sshfs",
        "glusterfs",
        "gpfs",
        "lustre",
        "nfs",
        "nfs4",
        "panfs",
        "smb3",
        "smbfs",
    ]
)
"""Types of file systems that several machines can see."""
Mounted = Sequence[tuple[str, str]]


def network_share(file: Path) -> str | None:
    """The type of the share that a file lies on, or would; None: it lies on this machine."""
    mounted = [(each.mountpoint, each.fstype) for each in psutil.disk_partitions(all=True)]
    return _share(file.absolute(), mounted)


def _share(file: Path, mounted: Mounted) -> str | None:
    """The same, for these mount points with their types."""
    holding = [(point, kind) for point, kind in mounted if file.is_relative_to(point)]
    # the innermost, and of several in one place the last, which hides the others
    _, kind = max(reversed(holding), key=lambda each: len(each[0]), default=("", ""))
    return kind if kind in SHARES else None
