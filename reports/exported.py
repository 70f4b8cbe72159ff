"""What is exported, before a format lays it out. All that is large is read when a format asks for it."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256

from harness.preferences.named import NamedPreference
from harness.records.answers import Row, Run
from harness.records.comparisons import Verdict
from reports.board import Leaderboard, MetricSummary

LONGEST_NAME = 80
_HALF = re.compile("[\ud800-\udfff]")
_UNPORTABLE = re.compile(r"[^\w.-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class HubDataset:
    """A data set on the hub."""

    repository: str
    config: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """Runs with all that is known of them: of a comparison, or everything in the store."""

    created: str
    """ISO 8601, UTC."""
    label: str | None
    """What every reader must know first, as on a leaderboard."""
    runs: tuple[Run, ...]
    """Whole ones, those of the baseline first; those without metrics have answers alone."""
    shown: frozenset[str]
    """The ids of those that a report shows; the store may hold earlier ones besides."""
    rows: Callable[[Run], Iterator[Row]]
    """A run's rows, without those that reports leave out, read as they are asked for."""
    measured: Callable[[Run], Sequence[MetricSummary]]
    verdicts: Callable[[], Sequence[Verdict]]
    """The verdicts of a comparison; of the store there are none."""
    preferences: Callable[[], Sequence[NamedPreference]]
    board: Callable[[], Leaderboard]
    """The leaderboard of the same models, with all its answers."""
    dataset: Callable[[Run], HubDataset | None]
    """The data set that a run's samples are of; None where it is not known, or not on the hub."""
    hub_model: Callable[[Run], str | None]
    """The hub's id of a run's model; None for models that were made here, served, or read from files."""


def whole_text(text: str) -> str:
    """The text as UTF-8 can hold it: halves of characters, which models do write, become U+FFFD."""
    return _HALF.sub("\N{REPLACEMENT CHARACTER}", text)


def file_name(name: str) -> str:
    """A name for files and folders, made of a model's or suite's, which may be a path or hold any character.

    One that had to be changed, so that another could become the same, ends with its hash.
    """
    portable = _UNPORTABLE.sub("_", name)[:LONGEST_NAME].strip("._-") or "model"
    return portable if portable == name else f"{portable}-{sha256(whole_text(name).encode()).hexdigest()[:8]}"
