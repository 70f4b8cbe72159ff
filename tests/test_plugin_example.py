"""A plug-in package, installed as a user installs one: its suite and its rule are there by their names."""

import importlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from suites.catalogue import known_suites
from tests.tiny_models import tiny_llama
from tests.working import Working

EXAMPLE = Path(__file__).parent / "plugin_example"
PROJECT = """
[models.one]
path = "./one"

[suites.parrot]
limit = 3

[suites.brief]
prompts = "brief.jsonl"
rule = "brevity"
max_tokens = 4
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that pip has installed the package into, without a network."""
    source, target = tmp_path_factory.mktemp("source") / "package", tmp_path_factory.mktemp("target")
    shutil.copytree(EXAMPLE, source, ignore=shutil.ignore_patterns("__pycache__"))
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index"]
    options = ["--no-deps", "--no-build-isolation", "--target", str(target)]
    subprocess.run([*pip, *options, str(source)], check=True, capture_output=True)
    return target


@pytest.fixture
def project(
    tmp_path: Path,
    installed: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Working]:
    """A project where the package is installed, as the working folder."""
    monkeypatch.syspath_prepend(str(installed))
    importlib.invalidate_caches()
    known_suites.cache_clear()
    tiny_llama(tmp_path / "one", seed=1)
    (tmp_path / "harness.toml").write_text(PROJECT)
    monkeypatch.chdir(tmp_path)
    working = Working(tmp_path, capsys)
    working.write("brief.jsonl", {"prompt": "One word, please.", "words": 1})
    yield working
    known_suites.cache_clear()
    sys.modules.pop("harness_parrot", None)


def test_its_suite_is_listed_and_asked(project: Working) -> None:
    """`harness list` knows the suite, `[suites.parrot]` sets it, and `harness eval` asks it."""
    assert "parrot" in project.run("list")[1]
    code, _, err = project.run("eval", "one", "-s", "parrot")
    assert 0 == code, err
    rows = project.rows("one", "parrot")
    assert ["Paris", "hammer", "seven"] == [row.sample.id for row in rows]
    assert ["repeated"] * 3 == [score.metric for row in rows for score in row.scores]


def test_its_rule_scores_a_users_own_suite(project: Working) -> None:
    """`rule` may name what a package declares in the group `harness.rules`."""
    code, _, err = project.run("eval", "one", "-s", "brief")
    assert 0 == code, err
    [row] = project.rows("one", "brief")
    [score] = row.scores
    assert "brevity" == score.metric
    assert score.value is not None


def test_its_settings_are_checked(project: Working) -> None:
    """A mistake in the suite's section is told with its key, as for ours."""
    (project.folder / "harness.toml").write_text(PROJECT.replace("limit", "limmit"))
    expected = "harness.toml: suites.parrot.limmit: unknown key; did you mean 'limit'?"
    assert expected == project.complaint(2, "list")
