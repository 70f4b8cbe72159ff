"""A user's own modules: found beside harness.toml, and never taken for another of the same name."""

import sys
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.user_modules import load_function, module_file


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project's folder that Python looks in last, as for rules and rewards."""
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    return tmp_path


def test_a_module_beside_harness_toml(root: Path) -> None:
    """A file, or a package's."""
    (root / "my_rules.py").touch()
    (root / "more_rules").mkdir()
    (root / "more_rules" / "__init__.py").touch()
    assert root / "my_rules.py" == module_file("my_rules", root, "rule")
    assert root / "more_rules" / "__init__.py" == module_file("more_rules", root, "rule")


@pytest.mark.parametrize(
    ("name", "which"),
    [
        ("suites.py", "a package of harness itself"),
        ("harness/__init__.py", "a package of harness itself"),
        ("reports.py", "a package of harness itself"),
        ("json.py", "json/__init__.py"),
        ("time.py", "built-in"),
    ],
)
def test_a_name_that_is_taken(root: Path, name: str, which: str) -> None:
    """The user's file is never run, so its name is the mistake, whatever the other module holds."""
    (root / name).parent.mkdir(exist_ok=True)
    (root / name).touch()
    module = name.removesuffix(".py").removesuffix("/__init__")
    with pytest.raises(UsageError, match=f"rule: {root / name} has the name of another module, .*{which}"):
        module_file(module, root, "rule")


@pytest.mark.parametrize("module", ["no_such_module", "sys", "", ".x"])
def test_no_such_module(root: Path, module: str) -> None:
    """What has no file cannot be told apart from one run to the next."""
    with pytest.raises(UsageError, match=f"rule: there is no module '{module}' with a file, neither inst"):
        module_file(module, root, "rule")


@pytest.mark.parametrize("source", ["json:no_such_function", "no_such_module:score"])
def test_a_function_that_cannot_be_loaded(source: str) -> None:
    """What asked for it is named as harness.toml has it."""
    with pytest.raises(UsageError, match=f"reward '{source}' cannot be loaded"):
        load_function(source, f"reward {source!r}")


def test_what_is_no_function() -> None:
    """A name in a module can be anything."""
    with pytest.raises(UsageError, match="reward 'sys:path': 'path' of sys is not a function"):
        load_function("sys:path", "reward 'sys:path'")
