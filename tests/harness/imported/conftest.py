"""A project into which other tools' results are imported."""

from pathlib import Path

import nltk
import pytest

from tests.working import Working


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Working:
    """An empty project, in whose folder another tool has written."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nltk" / "tokenizers" / "punkt_tab").mkdir(parents=True)  # so that nothing is downloaded
    monkeypatch.setattr(nltk.data, "path", [str(tmp_path / "nltk")])
    (tmp_path / "harness.toml").write_text('[models.sft]\npath = "./sft"\n')
    return Working(tmp_path, capsys)
