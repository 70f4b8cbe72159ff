"""`[data.NAME]`: what a mix may be told, and every mistake's message."""

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.errors import ConfigError
from harness.records.models import Mix, MixSource
from harness.registry import Registry, load
from suites.catalogue import OWN, suite_settings
from trainers.stage_settings import STAGE_SETTINGS

WHOLE = """
[data.m]
rows = "preferences"
deduplicate = "exact"
similarity = 0.7
min_characters = 10
max_characters = 100
decontaminate = ["truthfulqa", "ifeval"]
seed = 3
[[data.m.sources]]
data = "owner/name:test"
columns = { chosen = "best", rejected = "worst" }
count = 5
licence = "MIT"
[[data.m.sources]]
data = "toy:reward"
"""
SHORT = '[data.m]\nrows = "prompts"\n[[data.m.sources]]\ndata = "toy:sft"\n'
TRAINED = """
[models.base]
path = "base"
[pipelines.p]
base = "base"
[[pipelines.p.stages]]
kind = "sft"
"""

Read = Callable[[str], Registry]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Write a harness.toml into `tmp_path` and load it."""

    def load_text(text: str) -> Registry:
        file = tmp_path / "harness.toml"
        file.write_text(text, encoding="utf-8")
        return load(file, STAGE_SETTINGS, suite_settings(), own_suite=OWN)

    return load_text


def test_a_section_is_read_as_it_stands(read: Read) -> None:
    """Every key has its place in the record."""
    sources = (
        MixSource(
            data="owner/name:test", columns={"chosen": "best", "rejected": "worst"}, count=5, licence="MIT"
        ),
        MixSource(data="toy:reward"),
    )
    expected = Mix(
        name="m",
        rows="preferences",
        sources=sources,
        deduplicate="exact",
        similarity=0.7,
        min_characters=10,
        max_characters=100,
        decontaminate=("truthfulqa", "ifeval"),
        seed=3,
    )
    assert {"m": expected} == read(WHOLE).mixes


def test_the_defaults_are_the_records_own(read: Read) -> None:
    """And stand for every suite; false stands for none."""
    assert {"m": Mix(name="m", rows="prompts", sources=(MixSource(data="toy:sft"),))} == read(SHORT).mixes
    kept = read(SHORT.replace("[[", "decontaminate = false\n[[")).mixes["m"]
    assert () == kept.decontaminate


def test_a_stage_names_a_mix(read: Read) -> None:
    """By `mix:NAME`, among its other data."""
    registry = read(SHORT + TRAINED + 'data = ["mix:m", "toy:sft"]\n')
    assert ("mix:m", "toy:sft") == registry.pipelines["p"].stages[0].data


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[data.m]\nrows = "prompts"\n', "data.m.sources: this key is needed"),
        (
            '[data.m]\nrows = "prompts"\nsources = []\n',
            "data.m.sources: a mix needs a source: [[data.m.sources]]",
        ),
        (
            SHORT.replace("prompts", "pairs"),
            'data.m.rows: there is no choice "pairs"; known: demonstrations, preferences, prompts, texts',
        ),
        (SHORT + "wieght = 1\n", "data.m.sources[0].wieght: unknown key; did you mean 'weight'?"),
        (SHORT + "count = 0\n", "data.m.sources[0].count: expected more than 0, got 0"),
        (SHORT + "count = 1\nweight = 1.0\n", "data.m.sources[0]: `count` and `weight` exclude each other"),
        (SHORT + "weight = 0.0\n", "data.m.sources[0].weight: expected more than 0"),
        (
            SHORT + 'columns = { question = "q" }\n',
            'data.m.sources[0].columns.question: there is no choice "question"; known: chosen,',
        ),
        (SHORT.replace("toy:sft", "no.jsonl"), "data.m.sources[0].data: there is no file HERE/no.jsonl"),
        (
            SHORT.replace("toy:sft", "mix:m"),
            "data.m.sources[0].data: a mix is made of files, hub ids and toy",
        ),
        (
            SHORT.replace("[[", 'decontaminate = ["ifevall"]\n[['),
            "data.m.decontaminate[0]: there is no suite named 'ifevall'; did you mean 'ifeval'?",
        ),
        (
            SHORT.replace("[[", "min_characters = 5\nmax_characters = 4\n[["),
            "data.m: no row has `min_characters` = 5 and `max_characters` = 4",
        ),
        (SHORT.replace("[[", "similarity = 1.5\n[["), "data.m.similarity: expected 1 or less"),
        (SHORT.replace("data.m", 'data."m/n"'), 'data."m/n": a name is made of letters'),
        (
            SHORT + TRAINED + 'data = "mix:n"\n',
            "pipelines.p.stages[0].data: there is no mix named 'n'; known: m",
        ),
        (
            SHORT.replace("data.m", "data.answers") + TRAINED + 'data = ["toy:sft", "mix:answer"]\n',
            "pipelines.p.stages[0].data[1]: there is no mix named 'answer'; did you mean 'answers'?",
        ),
    ],
)
def test_every_mistake_is_told_with_its_key(read: Read, tmp_path: Path, text: str, message: str) -> None:
    """One line, with the nearest right name where a name is wrong."""
    with pytest.raises(ConfigError) as caught:
        read(text)
    found = str(caught.value).removeprefix(f"{tmp_path / 'harness.toml'}: ").replace(str(tmp_path), "HERE")
    assert found.startswith(message), found
    assert "\n" not in found
