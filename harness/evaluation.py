"""The evaluation loop: runs a suite on a model's engine, and keeps every answer and score.

A run's id is the hash of everything that identifies it, so the same evaluation requested twice is one run. A
finished run is found in the store, and an interrupted one continues under its id with the answers it has.

The caller opens the engine, and only if something is left to ask: this module imports no model library.
"""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime

from harness.engine.identity import Identity
from harness.environment import environment
from harness.errors import AnswersMissing, UsageError, WorkFailed
from harness.protocols import Engine, Suite
from harness.records.answers import SECONDS_BEFORE, LogLikelihood, Metric, Row, Run
from harness.records.models import Json, Model, Source
from harness.store import Store, digest

SECONDS_BETWEEN_WRITES = 1.0

SCORING = "scoring"
"""The key of an engine's description that says how it scored, once it has."""


def plan_run(model: Model, identity: Identity, suite: Suite, *, seed: int) -> Run:
    """The run that would say how this model does on this suite; `started` is empty until it begins."""
    data_hash = suite.data_hash  # first: data may be wrong, and settings may download or train a scorer
    settings = suite.settings(identity.chat_template)
    what_makes_it: list[Json] = [
        model.name,
        identity.fingerprint,
        suite.name,
        suite.version,
        [_identifying(metric) for metric in suite.metrics],
        data_hash,
        settings,
        seed,
    ]
    return Run(
        id=run_id(what_makes_it),
        model=model.name,
        fingerprint=identity.fingerprint,
        suite=suite.name,
        suite_version=suite.version,
        metrics=suite.metrics,
        data_hash=data_hash,
        settings=settings,
        seed=seed,
        environment={},
        size=suite.size,
        started="",
    )


def run_id(what_makes_it: Sequence[Json]) -> str:
    """The id of the run that all this makes the one it is."""
    return digest(list(what_makes_it)).removeprefix("sha256:")[:32]


def evaluate(
    run: Run,
    model: Model,
    suite: Suite,
    engine: Engine,
    store: Store,
    *,
    seconds_before: float = 0.0,
) -> Run:
    """Ask everything, keep rows and scores as they come, and return the finished run.

    `engine` is one that remembers (`harness.recorded`): rows name its answers by their keys in the store.
    `seconds_before`: what those answers took that were asked before this, together with other suites'.
    Raises WorkFailed where the suite gives other than the rows it promised; what was answered is kept.
    """
    before = {SECONDS_BEFORE: round(seconds_before, 3)} if seconds_before else {}
    return _keep(replace(run, environment=before), model, engine, store, suite.rows(engine))


def rescore(run: Run, model: Model, suite: Suite, engine: Engine, store: Store) -> Run:
    """Score what is answered already, and return the finished run.

    `engine` answers from the store alone (`harness.recorded.recalled`). Every row is scored before any is
    kept: what is refused leaves no run behind. Raises UsageError where an answer is missing.
    """
    try:
        rows = list(suite.rows(engine))
    except AnswersMissing as found:
        raise UsageError(
            f"model {model.name!r}, suite {suite.name!r}: {found}, so nothing was scored and no run "
            f"begun; `harness eval {model.name} --suite {suite.name}`, without --rescore, asks them"
        ) from found
    return _keep(run, model, engine, store, rows)


def _keep(run: Run, model: Model, engine: Engine, store: Store, rows: Iterable[Row]) -> Run:
    known = _way_of_scoring(store, model, run)
    about = {key: value for key, value in engine.info.description.items() if key != SCORING}
    started = replace(run, started=_now(), environment={**run.environment, **environment(), "engine": about})
    _keep_model(store, model, run, engine, known)
    store.runs.begin(started)
    kept, scored = 0, False
    for batch in _in_batches(rows):
        store.runs.keep_rows(run.id, [(row.position, row) for row in batch])
        kept += len(batch)
        scored = scored or any(isinstance(each, LogLikelihood) for row in batch for each in row.responses)
    if kept != run.size:
        raise WorkFailed(
            f"suite {run.suite!r} gave {kept} rows and promised {run.size}; the answers are kept, "
            "and the run stays unfinished"
        )
    _keep_model(store, model, run, engine, known)
    way = _way_of_scoring(store, model, run) if scored else {}
    store.runs.finish(run.id, _now(), {**_since(about, engine), **way})
    finished = store.runs.get(run.id)
    assert finished is not None
    return finished


def _since(about: Mapping[str, Json], engine: Engine) -> dict[str, Json]:
    """What the engine says of itself now and did not before: a replica may have come late."""
    now = engine.info.description
    return {key: value for key, value in now.items() if key != SCORING and about.get(key) != value}


def _keep_model(store: Store, model: Model, run: Run, engine: Engine, known: Mapping[str, Json]) -> None:
    """Keep what the engine says, and of its way of scoring what was known where it has not scored."""
    info = engine.info
    description = {**known, **info.description}
    source = _source_as_json(model.source)
    store.models.keep(model.name, run.fingerprint, source, description, info.chat_template)


def _source_as_json(source: Source) -> dict[str, Json]:
    """A source under the keys of earlier stores, in which its limits are its `traffic`."""
    return {"traffic" if name == "limits" else name: value for name, value in asdict(source).items()}


def _way_of_scoring(store: Store, model: Model, run: Run) -> dict[str, Json]:
    """How this model's log-likelihoods were computed last, as far as that is known."""
    kept = store.models.get(model.name, run.fingerprint)
    said = {} if kept is None else kept.description
    return {SCORING: said[SCORING]} if SCORING in said else {}


def _identifying(metric: Metric) -> dict[str, Json]:
    """A metric as a part of what makes a run.

    What it is split by is a part, so that a suite that declares a split is scored anew, from the answers in
    the store, and its samples get their tags; where nothing is declared the run keeps the id it had before
    there were splits. Its note, its margin and whether it is of excerpts are for those who read its numbers.
    """
    left_out = ("note", "margin", "excerpt")
    return {name: value for name, value in asdict(metric).items() if name not in left_out and value != ()}


def _in_batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Rows as they come, handed on about once a second: a transaction per row would cost more than asking."""
    batch: list[Row] = []
    written = time.monotonic()
    for row in rows:
        batch.append(row)
        if time.monotonic() - written >= SECONDS_BETWEEN_WRITES:
            yield batch
            batch, written = [], time.monotonic()
    if batch:
        yield batch


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
