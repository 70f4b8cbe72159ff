"""What `harness import` refuses, in words that help."""

from tests.harness.imported.lm_eval_files import sample, written
from tests.working import Working


def test_names_that_no_command_can_be_given_are_refused(project: Working) -> None:
    """A blank around a name would make a second model that looks the same, and a - before it an option."""
    lines = [sample({"question": "?"}, {"acc": 1.0}, choices=["a"], answers=[-1])]
    written(project.folder / "out", {"arc_easy": lines})
    for name in ("left ", " left", "-x"):
        code, _, err = project.run("import", "out", f"--as={name}")
        assert code == 2
        assert "a name has no blank around it, and no - before it" in " ".join(err.split())


def test_unknown_files_are_named_as_they_were_given(project: Working) -> None:
    """Not by the first file of a folder, which may have nothing to do with it; votes are pointed onwards."""
    (project.folder / "votes").mkdir()
    (project.folder / "votes" / "a.json").write_text("[]")
    code, _, err = project.run("import", "votes")
    said = " ".join(err.split())
    assert code == 2
    assert "harness: votes: no results of a known format" in said
    assert "harness preferences --from" in said


def test_one_name_for_several_models_is_refused_with_the_way_out(project: Working) -> None:
    """Where the tool's own names differ, none is needed; where they are equal, each needs one."""
    lines = [sample({"question": "?"}, {"acc": 1.0}, choices=["a"], answers=[-1])]
    for model in ("lab/one", "lab/two", "other/two"):
        written(project.folder / "out", {"arc_easy": lines}, model=model)
    code, _, err = project.run("import", "out/lab__one", "out/lab__two", "--as", "x")
    assert code == 2
    assert "one by one, with --as, or leave --as out" in " ".join(err.split())
    code, _, err = project.run("import", "out")
    assert code == 2
    assert "or leave --as out" not in " ".join(err.split())
