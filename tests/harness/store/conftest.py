"""A new store for a test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.store import Store


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Where a store can be made."""
    return f"sqlite:///{tmp_path}/store.db"


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    """An empty store."""
    with Store.open(url) as opened:
        yield opened
