"""Whose a file is shows in its name or in how it begins, and never in all of it."""

from pathlib import Path

import pytest

from harness.imported.fields import BEGINNING, last_part
from harness.imported.formats import FORMATS
from tests.harness.imported.commands import imported
from tests.harness.imported.promptfoo_files import result, written
from tests.working import Working


def whose(file: Path) -> list[str]:
    """The formats that claim a file."""
    return [each.name for each in FORMATS if each.has(file)]


@pytest.mark.parametrize(
    ("name", "content", "owner"),
    [
        ("a.json", '{"evalId": null, "results": {}}', "promptfoo"),
        ("a.json", '{"schema_version": "0.2.2", "evaluation_id": "x"}', "every-eval-ever"),
        ("b_samples.jsonl", '{"evaluation_id": "x", "schema_version": "0.3.0"}', "every-eval-ever"),
        ("scenario_state.json", "", "helm"),
        ("a.jsonl", '{"spec": {"completion_fns": []}}', "openai-evals"),
        ("a.jsonl", '{"spec": "text"}', None),
        ("a.json", '{"results": {"version": 3}}', None),
        ("stats.json", "[]", None),
        ("a.txt", '{"evalId": null, "results": {}}', None),
        ("a.json", " " * BEGINNING + '{"evalId": null, "results": {}}', None),
        ("a.json", "\udcff", None),
    ],
)
def test_one_tool_s_or_nobody_s(tmp_path: Path, name: str, content: str, owner: str | None) -> None:
    """Files of other programs have like names, and are passed over."""
    file = tmp_path / name
    file.write_bytes(content.encode(errors="surrogateescape"))
    assert whose(file) == ([owner] if owner else [])
    assert whose(tmp_path / "absent.json") == []


def test_a_folder_of_several_tools(project: Working) -> None:
    """Each is read in its format; one can be chosen, and the list of all is in the message for none."""
    (project.folder / "out").mkdir()
    written(project.folder / "out/a.json", [result(1)], providers=["a"])
    (project.folder / "out/package.json").write_text("{}")
    (project.folder / "out/scenario_state.json").write_text("{}")
    assert "HERE/out/run_spec.json: is missing" in project.complaint(2, "import", f"{project.folder}/out")
    assert "a · promptfoo:capitals" in imported(project, "out", "--format", "promptfoo")
    said = project.complaint(2, "import", "out", "--format", "openai-evals")
    assert "no results of openai-evals, whose files are" in said


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("org/model", "model"),
        ("/home/ana/models/final/", "final"),
        ("C:\\Users\\ana\\model", "model"),
        ("openai:gpt-4o", "openai:gpt-4o"),
        ("../..", "../.."),
        ("a/b\x1b[31m\n", "b[31m"),
        ("", "model"),
    ],
)
def test_short_names_of_models(name: str, short: str) -> None:
    """Other people's folders are no part of them, and nothing that cannot be printed."""
    assert last_part(name) == short
