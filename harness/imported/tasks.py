"""What another tool's results say of one model and one task."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.engine.given_answers import GivenAnswer
from harness.records.answers import Metric, Row
from harness.records.models import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedTask:
    """One task of one model, as another tool's files have it."""

    tool: str
    """Its name and version."""
    scored_by: str = ""
    """What must be the same for two of its scores to be comparable; empty: the tool in this version."""
    family: str
    """What stands before the task's name where its scores are kept as they stand: `lm_eval:hellaswag`."""
    path: str
    """What the tool calls the model."""
    model: str
    """The same without the folders before it."""
    task: str
    definition: str | None = ""
    """The task's name in `SCORED_BY`; empty: as it is called. None: no suite of ours could score it."""
    version: str
    """The task's own."""
    files: tuple[Path, ...]
    """What it was read from; their content is the model's identity."""
    data_hash: str
    """Of the documents, whatever was answered to them."""
    size: int
    """The number of documents."""
    metrics: tuple[Metric, ...]
    """Those that are means over documents; there may be none."""
    settings: Mapping[str, Json]
    """The conditions of asking, as far as the files say them."""
    asked_otherwise: Mapping[str, Json] = field(default_factory=dict)
    """What was not as a suite of ours asks (greedily, without examples), under the names of its settings."""
    seed: int
    described: Mapping[str, Json]
    """What the files say of the model and its engine."""
    chat_template: str | None
    notes: tuple[str, ...]
    """What of the files was not taken, and why."""
    rows: Callable[[], Iterator[Row]]
    """Every document with what was answered and the tool's own scores, read as they are asked for."""
    documents: Callable[[], Sequence[Mapping[str, Any]]] = tuple
    """The documents themselves, in their order."""
    answers: Callable[[], Sequence[GivenAnswer]] = tuple
    """What was answered to each document, for a suite of ours to score."""
    shared: bool = False
    """Whether its files are of several models, of which this is one."""
