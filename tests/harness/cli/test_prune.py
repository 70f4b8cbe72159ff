"""`harness prune`: what it would free, what it frees, and what it leaves alone."""

import fcntl
import json
from pathlib import Path

import pytest

from harness.store import Store
from harness.verbs.project import open_project
from tests.harness.store.test_removal import ran
from tests.tiny_models import tiny_llama
from tests.working import Working

PROJECT = """
[models.base]
path = "./base"

[models.old]
path = "./candidates/stages/sft-bbbbbbbbbbbb"

[pipelines.sft]
base = "base"
[[pipelines.sft.stages]]
kind = "sft"
data = "rows.jsonl"
"""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model."""
    return tiny_llama(tmp_path_factory.mktemp("models") / "base")


@pytest.fixture
def working(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Working:
    """A project with one pipeline, of which nothing is trained."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("harness.cli.terminal.console.width", 160)
    (tmp_path / "base").symlink_to(base)
    (tmp_path / "harness.toml").write_text(PROJECT)
    found = Working(tmp_path, capsys)
    found.write("rows.jsonl", {"prompt": "Hello", "completion": "World"})
    return found


def stage(working: Working, name: str, *, finished: bool = False) -> Path:
    """A stage's folder of 64 KB, with its lock beside it."""
    folder = working.folder / "candidates" / "stages" / name
    (folder / "checkpoint-1").mkdir(parents=True)
    (folder / "checkpoint-1" / "weights").write_bytes(b"x" * 65536)
    if finished:
        (folder / "manifest.json").write_text("{}")
    folder.with_name(f"{name.removesuffix('.partial')}.lock").touch()
    return folder


def needed() -> str:
    """The name of the folder of the pipeline's stage."""
    [planned] = open_project().plan("sft")
    return planned.folder.name


def whys(working: Working, *options: str) -> dict[str, tuple[bool, str]]:
    """Whether each folder would go, and why."""
    code, out, _ = working.run("prune", "--json", *options)
    assert 0 == code
    return {Path(each["folder"]).name: (each["goes"], each["why"]) for each in json.loads(out)["stages"]}


def test_nothing_goes_unless_it_is_asked_for(working: Working) -> None:
    """Without --yes it is said what would go and how much that is, and nothing does."""
    orphan = stage(working, "sft-aaaaaaaaaaaa.partial")
    code, out, _ = working.run("prune")
    assert 0 == code
    assert "sft-aaaaaaaaaaaa.partial" in out
    assert "interrupted, and no pipeline would go on with it" in out
    assert "would free: 6" in out
    assert "nothing was removed: add --yes" in out
    assert orphan.is_dir()


def test_an_orphaned_partial_stage_goes(working: Working) -> None:
    """What training would go on with stays, and so does every lock, for which somebody may be waiting."""
    orphan = stage(working, "sft-aaaaaaaaaaaa.partial")
    kept = stage(working, f"{needed()}.partial")
    assert {
        orphan.name: (True, "interrupted, and no pipeline would go on with it"),
        kept.name: (False, "pipeline 'sft' needs it: training goes on with it"),
    } == whys(working)
    code, out, _ = working.run("prune", "--yes")
    assert 0 == code
    assert "freed: 6" in out
    assert not orphan.exists()
    assert orphan.with_name("sft-aaaaaaaaaaaa.lock").exists()
    assert kept.is_dir()


@pytest.mark.parametrize(("kind", "needs"), [("bases", "stage"), ("mixes", "plan")])
def test_what_was_not_written_to_its_end_goes(working: Working, kind: str, needs: str) -> None:
    """A base or a mix that nothing goes on with, as it is written anew; one that is being written stays."""
    folder = working.folder / "candidates" / kind
    for name in ("aaaaaaaaaaaa.partial", "bbbbbbbbbbbb.partial", "cccccccccccc"):
        (folder / name).mkdir(parents=True)
        (folder / name / "content").write_bytes(b"x" * 65536)
    with (folder / "bbbbbbbbbbbb.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert {
            "aaaaaaaaaaaa.partial": (True, f"interrupted; a {needs} that needs it writes all of it again"),
            "bbbbbbbbbbbb.partial": (False, "is being written now"),
        } == whys(working, "--yes")
    assert ["bbbbbbbbbbbb.lock", "bbbbbbbbbbbb.partial", "cccccccccccc"] == sorted(
        path.name for path in folder.iterdir()
    )


def test_what_is_linked_counts_once(working: Working) -> None:
    """A checkpoint that shares its weights' file with the candidate frees nothing of its own."""
    orphan = stage(working, "sft-aaaaaaaaaaaa.partial")
    (orphan / "model.safetensors").hardlink_to(orphan / "checkpoint-1" / "weights")
    [listed] = json.loads(working.run("prune", "--json")[1])["stages"]

    assert 65536 <= listed["size"] < 2 * 65536


def test_what_is_in_training_stays(working: Working) -> None:
    """A process that holds a stage's lock is at it, also where it took it up after the list was made."""
    orphan = stage(working, "sft-aaaaaaaaaaaa.partial")
    with orphan.with_name("sft-aaaaaaaaaaaa.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert {orphan.name: (False, "is being trained now")} == whys(working, "--yes")
    assert orphan.is_dir()


def test_a_stage_taken_up_meanwhile_stays(working: Working, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the list and the removal another process may have begun."""
    orphan = stage(working, "sft-aaaaaaaaaaaa.partial")
    lock = orphan.with_name("sft-aaaaaaaaaaaa.lock").open()

    def taken_up(output: Path, gone: object) -> list[Path]:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return []

    monkeypatch.setattr("harness.verbs.prune.links_to", taken_up)
    with lock:
        assert "freed: 0" in working.run("prune", "--yes")[1]
    assert orphan.is_dir()


@pytest.mark.parametrize("key", ["path", "adapter"])
def test_what_a_model_of_the_file_lies_in_stays(working: Working, key: str) -> None:
    """However deep in a stage's folder, and whether or not the stage was finished."""
    partial = stage(working, "sft-aaaaaaaaaaaa.partial")
    finished = stage(working, "sft-dddddddddddd", finished=True)
    file = working.folder / "harness.toml"
    base = 'path = "./base"\n' if key == "adapter" else ""
    for number, folder in enumerate((partial, finished)):
        place = folder.relative_to(working.folder) / "checkpoint-1"
        file.write_text(f'{file.read_text()}\n[models.m{number}]\n{base}{key} = "./{place}"\n')
    found = whys(working, "--unused-stages", "--yes")
    assert [False, False] == [found[folder.name][0] for folder in (partial, finished)]
    assert found[partial.name][1].endswith("model 'm0' lies in it")
    assert partial.is_dir()
    assert finished.is_dir()


def test_finished_stages_go_only_by_name(working: Working) -> None:
    """One that nothing of the file needs may be another seed's; its candidate's link goes with it."""
    unused = stage(working, "sft-cccccccccccc", finished=True)
    model = stage(working, "sft-bbbbbbbbbbbb", finished=True)
    kept = stage(working, needed(), finished=True)
    (working.folder / "candidates" / "gone").symlink_to("stages/sft-cccccccccccc")
    (working.folder / "candidates" / "sft").symlink_to(f"stages/{kept.name}")
    unneeded = "trained with another seed, other settings or from another file"
    assert (False, unneeded) == whys(working, "--yes")[unused.name]
    assert {
        unused.name: (True, unneeded),
        model.name: (False, "model 'old' lies in it"),
        kept.name: (False, "pipeline 'sft' needs it"),
    } == whys(working, "--unused-stages", "--yes")
    assert not unused.exists()
    assert model.is_dir()
    assert ["sft", "stages"] == sorted(path.name for path in (working.folder / "candidates").iterdir())


def test_another_seed_needs_other_stages(working: Working) -> None:
    """With --seed, what that seed trained is needed."""
    of_another = working.folder / "candidates" / "stages" / open_project(seed=7).plan("sft")[0].folder.name
    stage(working, of_another.name, finished=True)
    assert whys(working, "--unused-stages")[of_another.name][0]
    assert not whys(working, "--unused-stages", "--seed", "7")[of_another.name][0]


def test_what_is_not_a_stage_is_left_alone(working: Working) -> None:
    """A folder that somebody put among the stages is not ours to remove."""
    own = working.folder / "candidates" / "stages" / "notes"
    own.mkdir(parents=True)
    assert {} == whys(working, "--unused-stages", "--yes")
    assert own.is_dir()


def test_a_pipeline_that_cannot_be_planned_stops_everything(working: Working) -> None:
    """Which stages it needs is not known, so that none is removed, and the reason is said."""
    orphan = stage(working, "sft-aaaaaaaaaaaa.partial")
    (working.folder / "base").unlink()
    said = working.complaint(2, "prune", "--yes")
    assert "pipeline 'sft' cannot be planned" in said
    assert "nothing was removed" in said
    assert orphan.is_dir()


def test_the_stores_file_gives_its_room_back(working: Working) -> None:
    """What dropped runs have left in the file is part of what is freed."""
    with Store.open(f"sqlite:///{working.folder}/harness.db") as store:
        ran(store, "large", *(f"{number} {'x' * 4000}" for number in range(50)))
        store.removals.remove("large")
        assert "of unused space in" in working.run("prune")[1]
        assert "freed: 2" in working.run("prune", "--yes")[1]
        assert 0 == store.database.unused_bytes()
    assert "there is nothing to free" in working.run("prune")[1]
