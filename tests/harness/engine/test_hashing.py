"""The memory of content hashes."""

import hashlib
import json
import os
from pathlib import Path

import pytest

from harness.engine import hashing
from harness.engine.hashing import file_hash


@pytest.fixture
def big(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file large enough to be remembered, and a cache of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    file = tmp_path / "weights"
    file.write_bytes(b"a" * hashing.REMEMBERED_FROM)
    return file


def test_the_hash_is_the_contents(big: Path, tmp_path: Path) -> None:
    """Big and small files have their SHA-256."""
    (tmp_path / "small").write_bytes(b"b")

    assert hashlib.sha256(big.read_bytes()).hexdigest() == file_hash(big)
    assert hashlib.sha256(b"b").hexdigest() == file_hash(tmp_path / "small")


def test_a_big_file_is_read_once(big: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While path, size and modification time stay, the remembered hash is given."""
    first = file_hash(big)
    monkeypatch.setattr(hashlib, "file_digest", None)

    assert first == file_hash(big)


@pytest.mark.parametrize("damage", ["[]", "null", '{"k": 3}', "[" * 100_000, "{"])
def test_a_damaged_memory_is_none(big: Path, tmp_path: Path, damage: str) -> None:
    """Whatever its file holds instead, the content is read, and remembered again."""
    first = file_hash(big)
    [memory] = (tmp_path / "cache" / "harness").glob("*.json")
    memory.write_text(damage)

    assert first == file_hash(big)
    assert first == file_hash(big)


def test_a_changed_file_is_read_again(big: Path) -> None:
    """Another modification time or size makes the memory worthless."""
    first = file_hash(big)
    state = big.stat()
    big.write_bytes(b"b" * hashing.REMEMBERED_FROM)
    os.utime(big, ns=(state.st_atime_ns, state.st_mtime_ns + 1))

    assert first != file_hash(big)
    assert hashlib.sha256(big.read_bytes()).hexdigest() == file_hash(big)


def test_a_retargeted_link_is_not_mistaken(big: Path, tmp_path: Path) -> None:
    """The memory is kept for the file a link leads to, not for the link."""
    other = tmp_path / "other"
    other.write_bytes(b"b" * hashing.REMEMBERED_FROM)
    state = big.stat()
    os.utime(other, ns=(state.st_atime_ns, state.st_mtime_ns))
    link = tmp_path / "latest"
    link.symlink_to(big)
    first = file_hash(link)
    link.unlink()
    link.symlink_to(other)

    assert first != file_hash(link)


@pytest.mark.parametrize("content", ["", "{"])
def test_a_damaged_memory_is_forgotten(big: Path, tmp_path: Path, content: str) -> None:
    """A damaged cache file costs time and nothing else, and is written anew."""
    memory = tmp_path / "cache" / "harness" / "hashes.json"
    memory.parent.mkdir(parents=True)
    memory.write_text(content)

    assert hashlib.sha256(big.read_bytes()).hexdigest() == file_hash(big)
    assert [str(big)] == list(json.loads(memory.read_text()))


def test_a_cache_that_cannot_be_written_is_done_without(big: Path, tmp_path: Path) -> None:
    """Hashing works where there is no place to remember."""
    (tmp_path / "cache").write_text("a file where a folder is needed")

    assert hashlib.sha256(big.read_bytes()).hexdigest() == file_hash(big)


def test_what_takes_time_to_make_is_hashed_once(big: Path) -> None:
    """A hash is computed again only for another name or another state."""
    computed: list[int] = []

    def compute() -> str:
        computed.append(len(computed))
        return f"hash {len(computed)}"

    assert "hash 1" == hashing.remembered_hash("rows", ["code 1"], compute)
    assert "hash 1" == hashing.remembered_hash("rows", ["code 1"], compute)
    assert "hash 2" == hashing.remembered_hash("rows", ["code 2"], compute)
    assert "hash 3" == hashing.remembered_hash("others", ["code 2"], compute)
