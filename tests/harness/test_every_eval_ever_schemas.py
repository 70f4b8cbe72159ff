"""Exported records against the two schemas of Every Eval Ever.

pip download --no-deps --python-version 3.12 every-eval-ever==0.3.0
EVERY_EVAL_EVER=every_eval_ever-0.3.0-py3-none-any.whl pytest -m schemas
"""

import json
import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import jsonschema
import pytest

import harness
from tests.harness.kept_results import keep_results

WHEEL = os.environ.get("EVERY_EVAL_EVER")
pytestmark = [
    pytest.mark.schemas,
    pytest.mark.skipif(WHEEL is None, reason="EVERY_EVAL_EVER names no wheel of every-eval-ever 0.3.0"),
]


@cache
def schema(name: str) -> Mapping[str, Any]:
    """One of the schemas, from the wheel."""
    with ZipFile(str(WHEEL)) as wheel:
        found: Mapping[str, Any] = json.loads(wheel.read(f"every_eval_ever/schemas/{name}.schema.json"))
    assert "0.3.0" == found["version"]
    return found


@pytest.mark.parametrize("names", [(), ("base", "x_&_y")], ids=["store", "comparison"])
def test_records_are_valid(names: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every aggregate and every instance, with unscored samples, draws, choices and names of any kind."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "harness.toml").write_text("")
    keep_results(tmp_path)
    project = harness.open_project()

    files = harness.export(project, names, format_name="every-eval-ever", folder=tmp_path / "out").files

    checked = 0
    for file in files:
        name = "eval" if file.suffix == ".json" else "instance_level_eval"
        texts = [file.read_text()] if file.suffix == ".json" else file.read_text().splitlines()
        for text in texts:
            jsonschema.validate(json.loads(text), schema(name))
            checked += 1
    assert 6 + 12 + 11 + 2 * (3 + 8) == checked
