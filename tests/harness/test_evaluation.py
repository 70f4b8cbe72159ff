"""What makes a run that run: the same question asked twice is one run, and nothing else is."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from harness.engine.identity import Identity
from harness.evaluation import plan_run
from harness.protocols import Engine
from harness.records import Json, Local, Metric, Model, Row

MODEL = Model(name="sft", source=Local(path="folder"))


@dataclass(frozen=True)
class Quiz:
    """A suite of one row that is never asked."""

    metrics: tuple[Metric, ...]
    name: str = "quiz"
    version: str = "1"
    data_hash: str = "sha256:1"
    size: int = 1

    def settings(self, chat_template: str | None) -> Mapping[str, Json]:
        return {}

    def rows(self, engine: Engine) -> Iterator[Row]:
        raise NotImplementedError


def run_id(**metric: object) -> str:
    """The id of a run of one metric."""
    made = Metric(name="right", kind="binary", **metric)  # type: ignore[arg-type]  # a test's own words
    identity = Identity(fingerprint="sha256:model", chat_template=None)
    return plan_run(MODEL, identity, Quiz((made,)), seed=0).id


def test_a_run_keeps_the_id_of_before_there_were_splits() -> None:
    """What a metric does not declare is no part of it: runs of older stores are found again."""
    assert {"4cae3fcd2bb73ccbf7d6a6f10bc396d3"} == {run_id(), run_id(note="mind this"), run_id(margin=0.01)}


def test_what_is_split_makes_another_run() -> None:
    """A suite that begins to declare a split is scored anew, so that its samples get their tags."""
    assert 3 == len({run_id(), run_id(splits=("kind",)), run_id(splits=("kind", "topic"))})
