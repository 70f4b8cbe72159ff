"""The table of suites: every name opens, a wrong one is answered with the nearest, and opening is light."""

import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from pydantic import ValidationError

from harness.errors import UnknownName, UsageError
from suites import catalogue
from suites.catalogue import FAMILIES, SUITES, Entry, known_suites, open_suite, suite_settings
from suites.settings import SuiteSettings
from suites.truthfulqa import TruthfulQA
from tests.suites.rows import EXCERPTS, QUESTIONS, write_rows
from tests.suites.tiny_classifier import tiny_classifier

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
def test_opens_under_its_own_name(name: str, tmp_path: Path) -> None:
    """A suite is called as it is listed, and has one headline; neither takes data or weights.

    General ability has none: it is a price.
    """
    classifier = tiny_classifier(tmp_path / "c")
    suite = open_suite(name, {}, data_root=None, resolve={"toxicity": classifier}.get)
    assert suite.name == name
    assert [metric.headline for metric in suite.metrics].count(True) == (name != "general")


@pytest.mark.parametrize("prefix", FAMILIES)
def test_tasks_of_frameworks(prefix: str) -> None:
    """Any task of a framework opens by name, colons and all, whatever the framework will say to it."""
    name = f"{prefix}:any:task"
    assert open_suite(name, {}, data_root=None, resolve=nobody).name == name
    assert f"{prefix}:NAME" in suite_settings()


def test_a_suite_in_several_ways(tmp_path: Path) -> None:
    """A labelled suite is the suite with other settings, under a name of its own."""
    data = write_rows(tmp_path / "rows.jsonl", QUESTIONS)
    plain, labelled = (
        open_suite(name, {"data": str(data), **given}, data_root=None, resolve=nobody)
        for name, given in (("truthfulqa", {}), ("truthfulqa:short", {"limit": 1}))
    )
    assert ("truthfulqa:short", 3, 1) == (labelled.name, plain.size, labelled.size)
    assert (plain.version, plain.metrics) == (labelled.version, labelled.metrics)
    assert plain.settings(None) == labelled.settings(None)
    assert plain.data_hash != labelled.data_hash


def test_unknown_name() -> None:
    """The nearest name is proposed."""
    for name in ("truthfulqa:", "truthfullqa:short"):
        with pytest.raises(UnknownName, match=f"no suite named '{name}'"):
            open_suite(name, {}, data_root=None, resolve=nobody)
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


@pytest.mark.parametrize("suite", ["truthfulqa", "realtoxicityprompts"])
def test_a_stored_evaluation_is_found_without_heavy_imports(tmp_path: Path, suite: str) -> None:
    """Name, version, metrics, data hash, size and settings of a suite over a file need no model library."""
    rows = {"truthfulqa": QUESTIONS, "realtoxicityprompts": EXCERPTS}[suite]
    settings = {"data": str(write_rows(tmp_path / "rows.jsonl", rows))}
    if suite == "realtoxicityprompts":
        settings["classifier"] = str(tiny_classifier(tmp_path / "c"))
    script = (
        "import sys\n"
        "from suites.catalogue import open_suite\n"
        f"suite = open_suite({suite!r}, {settings!r}, data_root=None, resolve=lambda name: None)\n"
        "suite.name, suite.version, suite.metrics, suite.data_hash, suite.size, suite.settings(None)\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("no_such_module_at_all:SUITE", "suite 'theirs' (no_such_module_at_all:SUITE) cannot be loaded"),
        ("suites.catalogue:NO_SUCH_NAME", "suite 'theirs' (suites.catalogue:NO_SUCH_NAME) cannot be loaded"),
        ("suites.catalogue:GROUP", "suite 'theirs' (suites.catalogue:GROUP) is str, where"),
    ],
)
def test_a_package_whose_suite_is_broken(value: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names it, without a traceback."""
    point = EntryPoint("theirs", value, "harness.suites")
    monkeypatch.setattr(catalogue, "entry_points", lambda group: [point])
    known_suites.cache_clear()
    with pytest.raises(UsageError) as caught:
        known_suites()
    known_suites.cache_clear()
    assert str(caught.value).startswith(message)
