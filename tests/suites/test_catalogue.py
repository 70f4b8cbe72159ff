"""The table of suites: every name opens, a wrong one is answered with the nearest, and opening is light."""

import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from pydantic import ValidationError

from harness.errors import UnknownName
from suites import catalogue
from suites.catalogue import FAMILIES, SUITES, Entry, known_suites, open_suite, suite_settings
from suites.settings import SuiteSettings
from suites.truthfulqa import TruthfulQA
from tests.suites.rows import QUESTIONS, write_rows

HEAVY = ("torch", "transformers", "lm_eval", "datasets", "detoxify", "pandas", "nltk")
PLUGIN = Entry(SuiteSettings, TruthfulQA)


def nobody(name: str) -> Path | None:
    """Resolves no name."""
    return None


@pytest.fixture
def plugins(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Two packages: one adds a suite, one would replace ours."""
    value = f"{__name__}:PLUGIN"
    points = [EntryPoint(name, value, "harness.suites") for name in ("theirs", "ifeval")]
    monkeypatch.setattr(catalogue, "entry_points", lambda group: points)
    monkeypatch.setattr(EntryPoint, "load", lambda self: PLUGIN)
    known_suites.cache_clear()
    yield
    known_suites.cache_clear()


@pytest.mark.parametrize("name", SUITES)
def test_opens_under_its_own_name(name: str) -> None:
    """A suite is called as it is listed, has one headline, and opens without data or classifier.

    General ability has none: it is a price.
    """
    suite = open_suite(name, {}, data_root=None, resolve=nobody)
    assert suite.name == name
    assert [metric.headline for metric in suite.metrics].count(True) == (name != "general")


@pytest.mark.parametrize("prefix", FAMILIES)
def test_tasks_of_frameworks(prefix: str) -> None:
    """Any task of a framework opens by name, colons and all, whatever the framework will say to it."""
    name = f"{prefix}:any:task"
    assert open_suite(name, {}, data_root=None, resolve=nobody).name == name
    assert f"{prefix}:NAME" in suite_settings()


def test_unknown_name() -> None:
    """The nearest name is proposed."""
    with pytest.raises(UnknownName, match="no suite named 'truthfullqa'; did you mean 'truthfulqa'"):
        open_suite("truthfullqa", {}, data_root=None, resolve=nobody)


def test_unknown_setting() -> None:
    """Settings are the suite's own."""
    with pytest.raises(ValidationError, match="samples"):
        open_suite("truthfulqa", {"samples": 3}, data_root=None, resolve=nobody)


@pytest.mark.usefixtures("plugins")
def test_plugins_add_and_do_not_replace() -> None:
    """A package's suite can be asked for; one that takes our name is not."""
    assert known_suites()["theirs"] is PLUGIN
    assert known_suites()["ifeval"] is SUITES["ifeval"]


def test_a_stored_evaluation_is_found_without_heavy_imports(tmp_path: Path) -> None:
    """Name, version, metrics, data hash, size and settings of a suite over a file need no model library."""
    file = write_rows(tmp_path / "rows.jsonl", QUESTIONS)
    script = (
        "import sys\n"
        "from suites.catalogue import open_suite\n"
        f"settings = {{'data': {str(file)!r}}}\n"
        "suite = open_suite('truthfulqa', settings, data_root=None, resolve=lambda name: None)\n"
        "suite.name, suite.version, suite.metrics, suite.data_hash, suite.size, suite.settings(None)\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"
