"""Mixes that are kept: made once, made anew when what they depend on changes, and trained on by name."""

import json
from pathlib import Path
from typing import Any

import pytest

from harness.errors import ConfigError, UnknownName, UsageError
from harness.records.models import Mix, MixSource
from tests.trainers.world import World, pipeline, stage, write_rows
from trainers.contamination import PromptTexts
from trainers.mix_cache import CachedMix, cached_mix, make_mix
from trainers.mix_cache import write_rows as write_out
from trainers.reading import Source, read

ROWS = [
    {"prompt": f"What happened in {year}?", "completion": f"Much, in {year}."} for year in range(1900, 1920)
]
MIX = Mix(name="m", rows="demonstrations", sources=(MixSource(data="rows.jsonl"),))
KNOWN = {"suite": "1"}


class Project:
    """A folder with one source, and what is asked there."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.asked = 0
        write_rows(root / "rows.jsonl", ROWS)

    def kept(self, mix: Mix = MIX, known: dict[str, str] = KNOWN) -> CachedMix:
        """The mix, made where it is not kept."""
        return cached_mix(mix, folders=[self.root], output=self.root / "out", known=known, prompts=self.ask)

    def ask(self) -> PromptTexts:
        """What a suite asks: one of the rows' prompts."""
        self.asked += 1
        return PromptTexts(by_suite={"suite": ["what happened in 1900"]})


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """With nothing made yet."""
    return Project(tmp_path)


def test_a_mix_is_made_once(project: Project) -> None:
    """A plan that needs it again reads its hash, and the rows only when they are wanted."""
    first, second = project.kept(), project.kept()
    assert 1 == project.asked
    assert first == second
    assert 19 == len(second.source.rows)
    assert first.source.hash == read("out/mixes/" + first.rows.parent.name + "/rows.jsonl", project.root).hash
    assert {"rows.jsonl", "card.md", "mix.json"} == {file.name for file in first.folder.iterdir()}


def test_a_mix_whose_rows_are_gone_is_made_again(project: Project) -> None:
    """Half a folder is no mix of no rows."""
    project.kept().rows.unlink()
    assert 19 == len(project.kept().source.rows)
    assert 2 == project.asked


def test_a_mix_that_was_not_written_to_its_end_is_written_anew(project: Project) -> None:
    """Nothing of it is taken over, and nothing of it stays."""
    unfinished = project.kept().folder.rename(project.kept().folder.with_suffix(".partial"))
    (unfinished / "rows.jsonl").write_text("half a ")
    mix = project.kept()
    assert 19 == len(mix.source.rows)
    assert not unfinished.exists()


@pytest.mark.parametrize("change", ["source", "section", "prompts"])
def test_a_mix_is_made_anew_when_what_it_depends_on_changes(project: Project, change: str) -> None:
    """Its sources' rows, its section, and the prompts it is kept apart from."""
    before = project.kept()
    mix, known = MIX, KNOWN
    if change == "source":
        write_rows(project.root / "rows.jsonl", ROWS[:15])
    elif change == "section":
        mix = Mix(name="m", rows="demonstrations", sources=MIX.sources, seed=1)
    else:
        known = {"suite": "2"}
    after = project.kept(mix, known)
    assert 2 == project.asked
    assert before.folder != after.folder
    assert (before.hash == after.hash) == (change == "prompts")


def test_making_a_mix_anew_replaces_what_was_kept(project: Project) -> None:
    """A foreign suite's prompts can change without a sign; then the folder has the new rows."""
    before = project.kept()
    nothing = PromptTexts(by_suite={"suite": ["x"]})
    built, after = make_mix(
        MIX, folders=[project.root], output=project.root / "out", known=KNOWN, prompts=nothing
    )
    assert before.folder == after.folder
    assert 20 == len(built.rows) == len(after.source.rows)
    assert after == project.kept()


def test_an_output_that_cannot_be_written_is_a_usage_error(project: Project) -> None:
    """Nothing half-made is left where a mix is looked for."""
    (project.root / "out").touch()
    with pytest.raises(UsageError, match="cannot be written"):
        project.kept()


# ---------------------------------------------------------------- files


@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet"])
def test_written_rows_are_read_again_as_they_are(tmp_path: Path, name: str) -> None:
    """Either kind of file is a source of the same content."""
    rows = [{"prompt": [{"role": "user", "content": "Größe?"}], "topic": f"t{number}"} for number in range(3)]
    write_out(rows, tmp_path / "new" / name)
    assert rows == [dict(row) for row in read(f"new/{name}", tmp_path).rows]


@pytest.mark.parametrize(
    ("name", "message"), [("a.txt", "as .jsonl or .parquet"), ("a.parquet", "write .jsonl")]
)
def test_rows_that_cannot_be_written_are_a_usage_error(tmp_path: Path, name: str, message: str) -> None:
    """An ending that stands for nothing, and rows that make no table."""
    with pytest.raises(UsageError, match=message):
        write_out([{"a": 1}, {"a": "b"}], tmp_path / name)


# ---------------------------------------------------------------- pipelines


def mixed(world: World, shape: Any, data: str, **settings: Any) -> dict[str, Any]:
    """A plan's argument: one mix `m` over one of the world's files."""

    def mix(name: str) -> Source:
        if name != "m":
            raise UnknownName("mix", name, ["m"])
        described = Mix(name=name, rows=shape, sources=(MixSource(data=data),), **settings)
        return cached_mix(
            described,
            folders=[world.root],
            output=world.output,
            known={},
            prompts=lambda: PromptTexts(by_suite={}),
        ).source

    return {"mix": mix}


def test_a_stage_trains_on_a_mix(world: World) -> None:
    """The manifest names it with its rows and hash, and the hash is part of the stage's identity."""
    added = pipeline("mixed", "base", stage("sft", "mix:m", epochs=1))
    arguments = mixed(world, "demonstrations", "sft.jsonl")
    folder = world.produce("mixed", added, **arguments)
    reported = json.loads((folder / "manifest.json").read_text())
    (planned,) = [each for each in world.plan("mixed", added, **arguments) if each.kind == "sft"]
    assert planned.done
    assert [("mix:m", planned.sources[0].hash)] == [
        (each["source"], each["hash"]) for each in reported["data"]
    ]
    assert len(planned.sources[0].rows) == reported["data"][0]["rows"]
    other = world.plan("mixed", added, **mixed(world, "demonstrations", "sft.jsonl", seed=1))[-1]
    assert planned.folder != other.folder


def test_equal_rows_are_equal_data_by_whatever_mix(world: World) -> None:
    """Not what a mix is set to but what it gives decides whether a stage is trained again."""
    added = pipeline("mixed", "base", stage("sft", "mix:m", epochs=1))
    one, other = (
        world.plan("mixed", added, **mixed(world, "demonstrations", "sft.jsonl", deduplicate=how))[-1].folder
        for how in ("near", "exact")
    )
    assert one == other


@pytest.mark.parametrize(
    ("shape", "data", "wrong"),
    [
        ("preferences", "pairs.jsonl", stage("sft", "mix:m")),
        ("demonstrations", "sft.jsonl", stage("reward", "mix:m")),
        ("demonstrations", "sft.jsonl", stage("dpo", "mix:m")),
        ("texts", "text.jsonl", stage("grpo", "mix:m", "reward")),
    ],
)
def test_a_mix_that_a_stage_cannot_learn_from_is_refused_in_the_plan(
    world: World, shape: str, data: str, wrong: Any
) -> None:
    """Before anything is trained, with the key and what the stage learns from."""
    expected = rf'stages\[0\]\.data: mix:m has rows = "{shape}", and this {wrong.kind} stage learns from'
    with pytest.raises(ConfigError, match=expected):
        world.plan("p", pipeline("p", "base", wrong), **mixed(world, shape, data))


@pytest.mark.parametrize(
    ("shape", "data", "right"),
    [
        ("preferences", "pairs.jsonl", stage("dpo", "mix:m")),
        ("prompts", "prompts.jsonl", stage("dpo", "mix:m", "reward", on_policy=2)),
        ("preferences", "pairs.jsonl", stage("grpo", "mix:m", "reward")),
        ("texts", "toxic.jsonl", stage("toxicity", "mix:m")),
    ],
)
def test_a_mix_that_a_stage_can_learn_from_is_planned(
    world: World, shape: str, data: str, right: Any
) -> None:
    """Prompts can be taken from anything that has some; a classifier's labels are kept beside its texts."""
    base = None if right.kind == "toxicity" else "base"
    assert world.plan("p", pipeline("p", base, right), **mixed(world, shape, data))
