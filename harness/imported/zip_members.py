"""Reads the members of a zip archive, also those packed with Zstandard.

`inspect_ai` packs so by default; Python's own zipfile can do that from 3.14 on. Everything else (the
directory, where a member begins, whether it is encrypted) is zipfile's here too.
"""

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from pathlib import Path
from typing import IO
from zipfile import ZIP_STORED, BadZipFile, ZipFile, ZipInfo

import zstandard

from harness.errors import DataError

ZSTANDARD = 93
"""The method's number in zip archives (PKWARE's APPNOTE 6.3.8, 4.4.5)."""
ENCRYPTED = 1
"""The flag of a member that cannot be read without a password."""
MOST = 2**28
"""Bytes of a member, unpacked. The largest are of kilobytes, or a few megabytes with pictures in them."""
UNREADABLE = (
    *(BadZipFile, EOFError, OSError, ValueError, NotImplementedError),
    *(struct.error, zlib.error, zstandard.ZstdError),
)
"""What zipfile raises for archives that are damaged or packed in another way."""


class ZipMembers:
    """The members of an open archive, by their names."""

    def __init__(self, file: Path, archive: ZipFile) -> None:
        """`file` is what errors call the archive."""
        self._file, self._archive = file, archive
        self._found = {each.filename: each for each in archive.infolist()}

    @property
    def names(self) -> list[str]:
        """Each once: of several members of one name, the last counts."""
        return list(self._found)

    def read(self, name: str) -> bytes:
        """A member's content. Raises DataError where it cannot be unpacked, and where it is too large."""
        info = self._found[name]
        if info.flag_bits & ENCRYPTED:
            raise DataError(self.called(name), 0, "is encrypted, which no log is: decrypt the archive first")
        if info.file_size > MOST:
            raise DataError(self.called(name), 0, f"is {info.file_size:,} bytes; {MOST:,} are the most")
        try:
            with self._open(info) as member:
                content = member.read(info.file_size + 1)
        except UNREADABLE as error:
            raise DataError(self.called(name), 0, f"cannot be unpacked: {error}") from error
        if len(content) != info.file_size or zlib.crc32(content) != info.CRC:
            raise DataError(self.called(name), 0, "is damaged: it is not what the archive's directory says")
        return content

    def called(self, name: str) -> str:
        """What errors call a member."""
        return f"{self._file}, {name}"

    def _open(self, info: ZipInfo) -> IO[bytes]:
        if info.compress_type != ZSTANDARD:
            return self._archive.open(info)
        packed = self._archive.open(_as_it_lies(info))
        return zstandard.ZstdDecompressor().stream_reader(packed, read_across_frames=True, closefd=True)


@contextmanager
def open_members(file: Path) -> Iterator[ZipMembers]:
    """An archive, to be read within. Raises DataError for what is no whole archive."""
    try:
        archive = ZipFile(file)
    except UNREADABLE as error:
        raise DataError(str(file), 0, f"is no whole zip archive ({error})") from error
    with archive:
        yield ZipMembers(file, archive)


def _as_it_lies(info: ZipInfo) -> ZipInfo:
    """A member as if it were not packed: zipfile then gives the bytes that are in the archive."""
    packed = copy(info)
    packed.compress_type, packed.file_size = ZIP_STORED, packed.compress_size
    del packed.CRC  # it is of the unpacked content
    return packed
