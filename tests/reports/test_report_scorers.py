"""Who gave a suite's numbers: a classifier or judge, and what is said of one that hardly varies."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest

from harness.observed import Observed
from harness.records.answers import Observation, Run
from harness.records.models import Json
from harness.store import KeptStage, Store
from reports.scorers import hardly_varies, scorer
from tests.reports.boards import run_of
from tests.reports.test_report_training import kept

HASH = "5b760ec48aa4" + "0" * 52


@pytest.fixture
def store() -> Iterator[Store]:
    """One classifier that was trained here, on two sources."""
    with Store.open("sqlite://") as opened:
        stage = kept("mild", "mild-toxicity", 0, None)
        data: list[Json] = [{"source": "one", "rows": 1000}, {"source": "two", "rows": 234}]
        fields = {name: getattr(stage, name) for name in KeptStage.__slots__}
        fields["manifest"] = {**stage.manifest, "data": data, "checkpoint": HASH}
        opened.stages.keep(KeptStage(**fields))
        yield opened


def scored_by(asked: str | None = None, **settings: Json) -> Run:
    """A run with these settings, asked for with this classifier."""
    run = replace(run_of("m", "toxic"), settings=settings)
    if asked is None:
        return run
    named = {"at": "2026-11-22T16:00:00+00:00", "settings": {"classifier": asked}}
    return replace(run, environment={"asked": named})


@pytest.mark.parametrize(
    ("run", "name"),
    [
        (
            scored_by(scorer="detoxify", classifier="folder", sha256=HASH),
            "mild, 1,234 rows, not measured, 5b760ec48aa4",
        ),
        (scored_by(scorer="detoxify", classifier="original", sha256="c" * 64), "original, cccccccccccc"),
        (
            scored_by("./mine", scorer="detoxify", classifier="folder", sha256="c" * 64),
            "./mine, cccccccccccc",
        ),
        (scored_by(scorer="detoxify", classifier="folder", sha256="c" * 64), "folder, cccccccccccc"),
        (scored_by(scorer="imported", sha256="c" * 64), "imported scores, cccccccccccc"),
        (
            scored_by(judge={"model": "gemini", "fingerprint": "sha256:" + "d" * 64}),
            "judge gemini, dddddddddddd",
        ),
        (scored_by(judge=None), None),
        (scored_by(), None),
    ],
)
def test_who_gave_the_numbers(store: Store, run: Run, name: str | None) -> None:
    """A classifier that was trained here by its pipeline and rows, another as the configuration calls it."""
    assert name == scorer(store, run)


@pytest.mark.parametrize(
    ("toxicities", "said"),
    [
        ([0.05] * 20, True),
        ([0.05] * 19, False),
        ([0.05] * 19 + [None], False),
        ([0.03, 0.06] * 10, True),
        ([0.03, 0.08] * 10, False),
        ([0.001] * 99 + [0.9], False),
    ],
)
def test_a_classifier_that_says_the_same_of_all(toxicities: Sequence[float | None], said: bool) -> None:
    """Below a standard deviation of 0.02, over 20 texts or more; one toxic text in a hundred is enough."""
    observed = Observed.of(
        Observation(sample=str(place), part=0, cluster=str(place), value=value)
        for place, value in enumerate(toxicities)
    )
    assert said == (hardly_varies("toxic", [observed]) is not None)
    halves = [observed.only(np.arange(len(observed)) % 2 == half) for half in range(2)]
    assert said == (hardly_varies("toxic", halves) is not None)
