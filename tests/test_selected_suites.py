"""A suite that selected a checkpoint: the samples that did are reported for nobody.

From the command line, with a stage that is trained and chosen by a suite of the project's own.
"""

import json
import sqlite3
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.checkpoint_selection import LeftOut, SelectionSplit
from harness.errors import UnknownName
from harness.observed import Observed
from harness.protocols import Suite
from harness.records.answers import Observation, Response
from harness.records.models import Local
from harness.store import Store
from harness.verbs.checkpoint_selection import score_part, selection_metric
from harness.verbs.project import open_project
from suites.catalogue import open_suite
from tests.suites.scripted import FunctionEngine, says
from tests.tiny_models import tiny_llama
from tests.working import Working
from trainers.settings import CheckpointSelection

ROWS = [{"id": f"{number}", "prompt": f"What is {number}?", "target": "the"} for number in range(40)]
SPLIT = SelectionSplit(suite="mine", share=0.5, seed=0)
REPORTED = [str(row["id"]) for row in ROWS if not SPLIT.selects(str(row["id"]))]
CONFIGURATION = """
[models.one]
path = "./one"
thinking_tags = ["<aside>", "</aside>"]

[suites.mine]
prompts = "mine.jsonl"
rule = "contains"
max_tokens = 2

[pipelines.picked]
base = "one"
[[pipelines.picked.stages]]
kind = "sft"
data = ["sft.jsonl"]
epochs = 2
learning_rate = 1e-3
select = { by = "suite", suite = "mine" }
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project's folder."""
    folder = tmp_path_factory.mktemp("selected")
    tiny_llama(folder / "one", seed=1)
    (folder / "mine.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in ROWS))
    rows = [{"prompt": f"What was {number}?", "completion": "the"} for number in range(16)]
    (folder / "sft.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    (folder / "harness.toml").write_text(CONFIGURATION)
    return folder


@pytest.fixture
def project(trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Working:
    """The same folder as the working one: what a test trained is there for the next."""
    monkeypatch.chdir(trained)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return Working(trained, capsys)


def values(project: Working, *names: str) -> dict[str, int]:
    """How many samples `harness eval` takes the mean of, by model."""
    code, out, err = project.run("eval", *names, "--suite", "mine", "--json")
    assert 0 == code, err
    return {line["model"]: line["n"] for line in json.loads(out)}


# ---------------------------------------------------------------- from the command line


def test_a_candidate_is_asked_like_what_it_was_trained_from(project: Working) -> None:
    """Its checkpoints too when they are measured: nothing differs between their runs but the weights."""
    values(project, "one", "picked")
    with Store.open(f"sqlite:///{project.folder}/harness.db") as store:
        runs = [run for name in ("one", "picked") if (run := store.runs.latest(name, "mine"))]
    asked = [run.environment["engine"]["thinking_tags"] for run in runs]
    assert [["<aside>", "</aside>"]] * 2 == asked


def test_a_candidate_is_asked_in_its_pipelines_number_format(project: Working) -> None:
    """It is the stage's candidate all the same, as it was trained and kept."""
    file = project.folder / "narrow.toml"
    narrow = CONFIGURATION.replace('base = "one"', 'base = "one"\ndtype = "bfloat16"')
    file.write_text(f'[project]\nstore = "sqlite:///narrow.db"\n{narrow}')
    code, out, err = project.run("eval", "picked", "--suite", "mine", "--limit", "2", "--config", str(file))
    assert 0 == code, err + out
    with Store.open(f"sqlite:///{project.folder}/narrow.db") as store:
        run = store.runs.latest("picked", "mine")
    assert run is not None
    assert "bfloat16" == run.environment["engine"]["dtype"]
    assert Local(path="kept", dtype="bfloat16") == open_project(file).trained("picked", Path("kept")).source


def test_the_base_that_is_no_stage_is_a_box(project: Working) -> None:
    """The page of training draws the model that the chain begins with, and where the stage starts."""
    code, _, err = project.run("compare", "one", "picked", "--suite", "mine")
    assert 0 == code, err
    page = (project.folder / "reports/training.html").read_text("utf-8")
    assert "base model" in page
    assert "starts from outside" not in page
    assert "starts from one" in page


def test_what_writes_no_answers_is_asked_in_no_manner(project: Working) -> None:
    """A reward model's chain begins with a model that thinks, and what it ends in only rates."""
    rating = (
        '[pipelines.rating]\nbase = "picked"\n[[pipelines.rating.stages]]\nkind = "reward"\ndata = ["p"]\n'
    )
    file = project.folder / "rating.toml"
    file.write_text(f"{CONFIGURATION}\n{rating}")
    opened = open_project(file)
    written, rated = (opened.trained(name, Path("folder")) for name in ("picked", "rating"))
    assert (("<aside>", "</aside>"), None) == (written.thinking_tags, rated.thinking_tags)
    assert Local(path="folder") == written.source == rated.source


def test_what_selected_is_left_out_for_every_model(project: Working) -> None:
    """Of the chosen one and of the one that was never chosen, in the comparison, the table and the pairs."""
    code, _, err = project.run("compare", "one", "picked", "--suite", "mine")
    assert 0 == code, err
    report = (project.folder / "reports/leaderboard.md").read_text(encoding="utf-8")
    gone = len(ROWS) - len(REPORTED)

    told = f"{gone} of 40 samples selected a checkpoint of picked; they are left out"
    assert told in report.replace("\\", "")
    assert {"one": len(REPORTED), "picked": len(REPORTED)} == values(project, "one", "picked")
    assert 40 == len(project.rows("picked", "mine"))


def test_another_tools_manifest_says_nothing(project: Working) -> None:
    """A model's folder may hold a file of this name that is no record of a stage."""
    foreign = project.folder / "one/manifest.json"
    foreign.write_text('{"files": []}')
    file = project.folder / "foreign.toml"
    file.write_text(f'[project]\nstore = "sqlite:///foreign.db"\n{CONFIGURATION}')
    code, out, err = project.run("eval", "./one", "--suite", "mine", "--json", "--config", str(file))
    foreign.unlink()
    assert 0 == code, err
    assert [len(ROWS)] == [line["n"] for line in json.loads(out)]


def test_alone_a_model_that_was_not_selected_is_measured_on_everything(project: Working) -> None:
    """Nothing of it was chosen by these samples."""
    assert {"one": 40} == values(project, "one")
    assert {"picked": len(REPORTED)} == values(project, "picked")


def test_a_candidates_folder_is_known_by_what_it_says(project: Working) -> None:
    """Naming the folder instead of the pipeline hides nothing."""
    values(project, "picked")
    assert {"candidates/picked": len(REPORTED)} == values(project, "candidates/picked")


def test_the_store_alone_still_leaves_it_out(project: Working) -> None:
    """A report that is written again, without the candidate's folder being looked at."""
    values(project, "one", "picked")
    code, out, err = project.run("report", "one", "picked", "--json")
    assert 0 == code, err
    assert len(REPORTED) in [line["n"] for line in _comparisons(json.loads(out))]


def test_the_chosen_checkpoints_answers_are_not_asked_again(project: Working) -> None:
    """They are in the store under the candidate's fingerprint, for it is the same model."""
    values(project, "picked")
    with Store.open(f"sqlite:///{project.folder}/harness.db") as store:
        run = store.runs.latest("picked", "mine")
        assert run is not None
    asked = _answers_by_fingerprint(project.folder / "harness.db")
    assert 40 == asked[run.fingerprint]
    # two checkpoints, of which one is the candidate; `one`; and the folder, which no section names
    assert len(asked) <= 4


def test_a_suite_that_nothing_defines_is_a_mistake_of_the_file(project: Working) -> None:
    """With its key, and before anything is trained."""
    text = (project.folder / "harness.toml").read_text()
    (project.folder / "wrong.toml").write_text(text.replace('suite = "mine" }', 'suite = "mien" }'))
    told = project.complaint(2, "train", "picked", "--config", "wrong.toml")
    assert (
        "pipelines.picked.stages[0].select.suite: there is no suite named 'mien'; did you mean 'mine'" in told
    )


def test_a_metric_that_the_suite_has_not_is_told_before_training(project: Working) -> None:
    """Not after hours of it."""
    text = (project.folder / "harness.toml").read_text()
    (project.folder / "wrong.toml").write_text(
        text.replace('suite = "mine" }', 'suite = "mine", metric = "m" }')
    )
    told = project.complaint(2, "train", "picked", "--config", "wrong.toml")
    assert "there is no metric of mine named 'm'" in told
    assert 1 == len(list((project.folder / "candidates/stages").glob("sft-*/manifest.json")))


def _comparisons(found: object) -> list[dict[str, int]]:
    """Whatever in it has an `n`, at any depth."""
    if isinstance(found, dict):
        return [*([found] if "n" in found else []), *(x for v in found.values() for x in _comparisons(v))]
    return [each for value in found for each in _comparisons(value)] if isinstance(found, list) else []


def _answers_by_fingerprint(database: Path) -> dict[str, int]:
    with sqlite3.connect(database) as connection:
        query = (
            "SELECT fingerprints.fingerprint, count(*) FROM answers "
            "JOIN fingerprints ON fingerprints.number = answers.fingerprint GROUP BY 1"
        )
        return dict(connection.execute(query))


# ---------------------------------------------------------------- which samples


@given(
    cluster=st.text(max_size=20),
    seed=st.integers(0, 5),
    shares=st.tuples(st.floats(0.01, 0.99), st.floats(0.01, 0.99)),
)
def test_larger_shares_hold_smaller_ones(cluster: str, seed: int, shares: tuple[float, float]) -> None:
    """So two candidates that were selected with one seed leave out no more than the larger share."""
    small, large = (SelectionSplit(suite="s", share=share, seed=seed) for share in sorted(shares))
    assert large.selects(cluster) or not small.selects(cluster)


def test_the_share_is_about_what_was_asked_for() -> None:
    """Of ten thousand samples within three standard errors; and another seed draws others."""
    split, other = (SelectionSplit(suite="s", share=0.3, seed=seed) for seed in (0, 1))
    drawn = {n for n in range(10_000) if split.selects(str(n))}
    assert abs(len(drawn) - 3000) < 3 * (10_000 * 0.3 * 0.7) ** 0.5
    again = {n for n in range(10_000) if other.selects(str(n))}
    assert 700 < len(drawn & again) < 1100


def seen(sample: str, cluster: str) -> Observation:
    """A score."""
    return Observation(sample=sample, part=0, cluster=cluster, value=1.0)


def test_whole_clusters_are_left_out_and_other_suites_are_not() -> None:
    """Samples of a cluster stand and fall together."""
    left = LeftOut(splits={SPLIT: ("picked",)})
    clusters = [str(n) for n in range(20)]
    observations = [seen(f"{cluster}{half}", cluster) for cluster in clusters for half in "ab"]
    kept = left.without("mine", {"right": Observed.of(observations)})

    assert [each for each in observations if not SPLIT.selects(each.cluster)] == list(kept["right"])
    assert observations == list(left.without("another", {"right": Observed.of(observations)})["right"])
    assert left.note("another", {"a": "a"}) is None


def test_a_label_asks_the_same_samples() -> None:
    """`ifeval:strict` is `ifeval` with other settings: its samples selected, too."""
    left = LeftOut(splits={SPLIT: ("picked",)}, suite_of=lambda name: name.partition(":")[0])
    observations = {"right": Observed.of(seen(str(n), str(n)) for n in range(20))}
    assert left.without("mine", observations) == left.without("mine:again", observations)
    assert len(left.without("mine:again", observations)["right"]) < 20


# ---------------------------------------------------------------- what is scored


def toy_ifeval() -> Suite:
    """A suite without a model."""
    return open_suite("toy-ifeval", {}, data_root=None, resolve=lambda name: None)


def test_only_what_selects_is_scored() -> None:
    """The score is computed on the samples of the split, and on no other."""
    suite, engine = toy_ifeval(), FunctionEngine(answer=lambda prompt: says("red"))
    select = CheckpointSelection(by="suite", suite="toy-ifeval", share=0.4, seed=3)
    scored = score_part(suite, engine, select)
    split = SelectionSplit(suite="toy-ifeval", share=0.4, seed=3)
    every = [row.sample.id for row in suite.rows(engine)]

    assert {name for name in every if split.selects(name)} == scored.values.keys()
    assert 0 < len(scored.values) < len(every)
    assert ("prompt_strict", True) == (scored.metric, scored.higher_is_better)
    assert (suite.version, suite.data_hash) == (scored.conditions["version"], scored.conditions["data_hash"])


def test_unscored_samples_are_left_out() -> None:
    """They are no zeros."""
    refused = Response(text="", stop_reason="refused", reason="no")
    scored = score_part(
        toy_ifeval(),
        FunctionEngine(answer=lambda prompt: refused),
        CheckpointSelection(by="suite", suite="toy-ifeval"),
    )
    assert {} == scored.values


def test_the_metric_is_the_one_named_or_the_headline() -> None:
    """A name that it has not is told, with the nearest."""
    suite = toy_ifeval()
    assert "prompt_strict" == selection_metric(suite, CheckpointSelection(by="suite", suite="s")).name
    named = CheckpointSelection(by="suite", suite="s", metric="instruction_strict")
    assert "instruction_strict" == selection_metric(suite, named).name
    with pytest.raises(UnknownName, match="did you mean 'prompt_strict'"):
        selection_metric(suite, CheckpointSelection(by="suite", suite="s", metric="prompt_stric"))
