"""What makes a run that run: the same question asked twice is one run, and nothing else is."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from harness.engine.identity import Identity
from harness.evaluation import evaluate, plan_run
from harness.protocols import Engine, EngineInfo
from harness.recorded import recorded
from harness.records.answers import Metric, Prompt, Row, Sample, SamplingParameters, Score
from harness.records.models import Endpoint, Json, Local, Model
from harness.store import Store
from tests.harness.engine.scripted import ScriptedEngine

MODEL = Model(name="sft", source=Local(path="folder"))
IDENTITY = Identity(fingerprint="sha256:model", chat_template=None)


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
    return plan_run(MODEL, IDENTITY, Quiz((made,)), seed=0).id


def test_a_run_keeps_the_id_of_before_there_were_splits() -> None:
    """What a metric does not declare is no part of it: runs of older stores are found again."""
    assert {"4cae3fcd2bb73ccbf7d6a6f10bc396d3"} == {run_id(), run_id(note="mind this"), run_id(margin=0.01)}


def test_what_is_split_makes_another_run() -> None:
    """A suite that begins to declare a split is scored anew, so that its samples get their tags."""
    assert 3 == len({run_id(), run_id(splits=("kind",)), run_id(splits=("kind", "topic"))})


class Scoring(Quiz):
    """Its row is a log-likelihood."""

    def rows(self, engine: Engine) -> Iterator[Row]:
        for _, answer in engine.loglikelihood([("a", "b")]):
            yield Row(sample=Sample(id="a", prompt="a"), responses=(answer,), scores=())


class Writing(Quiz):
    """Its row is a text."""

    def rows(self, engine: Engine) -> Iterator[Row]:
        for _, answer in engine.generate([Prompt(content="a")], SamplingParameters(max_tokens=1)):
            score = Score(metric="right", value=1.0)
            yield Row(sample=Sample(id="a", prompt="a"), responses=(answer,), scores=(score,))


class Sharing(ScriptedEngine):
    """Says in which way it scored, once it has."""

    @property
    def info(self) -> EngineInfo:
        scored = any(isinstance(asked, tuple) for asked in self.asked)
        way = {"scoring": "shared prefixes"} if scored else {}
        return EngineInfo(fingerprint="sha256:model", description={"engine": "scripted", **way})


def _engine_of_run(suite: Quiz, engine: Engine, store: Store) -> Any:
    """What a run of the suite records of its engine."""
    run = plan_run(MODEL, IDENTITY, suite, seed=0)
    return evaluate(run, MODEL, suite, recorded(engine, store), store).environment["engine"]


def test_a_run_says_in_which_way_its_log_likelihoods_were_computed() -> None:
    """It shows only when the engine scores; texts have no such way, and kept answers keep theirs."""
    metrics = (Metric(name="right", kind="binary"),)
    engine = Sharing(["b"], likelihood=lambda context, continuation: -1.0)
    with Store.open("sqlite://") as store:
        scored = _engine_of_run(Scoring(metrics, name="scoring"), engine, store)
        written = _engine_of_run(Writing(metrics, name="writing"), engine, store)
        again = _engine_of_run(Scoring(metrics, name="once more"), Sharing(), store)

    assert {"engine": "scripted", "scoring": "shared prefixes"} == scored == again
    assert {"engine": "scripted"} == written


def test_a_kept_source_has_the_keys_of_earlier_stores() -> None:
    """What a store holds of a model reads the same, whatever the record's fields are called."""
    served = Model(name="served", source=Endpoint(url="https://x/v1", model="m"))
    suite = Writing((Metric(name="right", kind="binary"),))
    with Store.open("sqlite://") as store:
        run = plan_run(served, IDENTITY, suite, seed=0)
        evaluate(run, served, suite, recorded(ScriptedEngine(["b"]), store), store)
        kept = store.models.get("served", run.fingerprint)

    assert kept is not None
    assert {"url", "model", "api", "key_env", "traffic"} == kept.source.keys()
