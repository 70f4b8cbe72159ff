"""What every test gets: its own cache, no network, one thread; a reason where official data are absent."""

import os
import sys
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # tests run beside each other
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashes that one test caches are not another's."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def official_data() -> Path:
    """The folder that HARNESS_DATA names."""
    return Path(os.environ["HARNESS_DATA"])


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Gradients are on: lighteval's own model class switches them off for the process when it is imported."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_grad_enabled(True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip tests of the official data where there are none."""
    if os.environ.get("HARNESS_DATA"):
        return
    skip = pytest.mark.skip(reason="HARNESS_DATA names no folder of official data")
    for item in items:
        if "official" in item.keywords:
            item.add_marker(skip)
