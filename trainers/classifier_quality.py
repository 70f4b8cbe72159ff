"""How good a toxicity classifier is on texts that it was not trained on: order, calibration, toxic share.

For each class: the AUC for labels from 0.5 on, Spearman's rho with the labels as they are, Brier's score, the
reliability table, and which share of the texts the classifier and the labels call toxic. Whether that is
anything is decided here once, for the doctor, the card and every report.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from statistics import fmean, pstdev
from typing import Any

from harness.records.models import Json
from harness.stats.calibration import calibration_error, reliability
from harness.stats.clusters import FEW, by_cluster
from harness.stats.intervals import Estimate, difference_interval
from harness.stats.plan import Resampling
from harness.stats.ranks import auc, spearman
from trainers.data import ScoredText
from trainers.holdout import text_keys
from trainers.jsonl import read_jsonl, write_jsonl

FILE = "held_out.jsonl"
"""In a stage's folder: predictions and labels of every held-out text."""
FIGURES = "held_out_texts"
"""The key of the figures among a stage's metrics."""
MAIN = "toxicity"
"""The class that suites count by."""
TOXIC = 0.5
"""The label, and the probability, from which on a text counts as toxic."""
HOW = Resampling(level=0.95, resamples=2_000)
BINS = 10
TOO_FEW = "too few held-out texts to tell"
ALIKE = "nearly the same for all texts"
NO_BETTER = "no better than chance"
"""What can be wrong with a class."""
CHANCE = 0.5
"""The AUC of a classifier that has learned nothing."""
HARDLY = 0.1
"""A spread of predictions, as a part of the labels' own, below which they are nearly the same for all texts:
they could explain a hundredth of how the labels differ."""
FEWEST = 20
"""Fewer texts may be alike by chance."""
CONSTANT = 1e-3
"""A spread of predictions below which they are the same for all texts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedText:
    """A held-out text, with what a classifier predicts of it, and its labels."""

    text: str
    """A hash of the text, the same in every stage."""
    group: str
    """A hash that texts share which are not independent."""
    predicted: tuple[float, ...]
    """The probability of each class."""
    labels: tuple[float | None, ...]
    """The label of each class; None where there is none."""


def judged_texts(texts: Sequence[ScoredText], predicted: Sequence[Sequence[float]]) -> list[JudgedText]:
    """Texts with a classifier's predictions."""
    return [
        JudgedText(
            text=sha256(text.text.encode()).hexdigest()[:16],
            group=key[:16],
            predicted=tuple(given),
            labels=text.scores,
        )
        for text, key, given in zip(texts, text_keys(texts), predicted, strict=True)
    ]


def write(folder: Path, found: Sequence[JudgedText]) -> None:
    """Keep judged texts in a stage's folder."""
    write_jsonl(folder / FILE, map(asdict, found))


def read(folder: Path) -> list[JudgedText]:
    """The kept texts; none where nothing was held out."""
    return [
        JudgedText(**{**each, "predicted": tuple(each["predicted"]), "labels": tuple(each["labels"])})
        for each in read_jsonl(folder / FILE)
    ]


def main_class(classes: Sequence[str]) -> str:
    """The class that matters most: `toxicity`, or the first one where there is none of that name."""
    return MAIN if MAIN in classes else classes[0]


def figures(found: Sequence[JudgedText], classes: Sequence[str]) -> dict[str, Json]:
    """All metrics, as a manifest holds them, of at least one text. What is undefined is None."""
    return {
        "texts": len(found),
        "groups": len({each.group for each in found}),
        "main": main_class(classes),
        "classes": {name: _figures_of_class(found, place) for place, name in enumerate(classes)},
    }


def _figures_of_class(found: Sequence[JudgedText], place: int) -> dict[str, Json]:
    labelled = [
        (each.predicted[place], label, each.group)
        for each in found
        if (label := each.labels[place]) is not None
    ]
    if not labelled:
        return {"texts": 0, "toxic": 0, "fault": TOO_FEW}
    predicted, labels, groups = (list(column) for column in zip(*labelled, strict=True))
    toxic = [label >= TOXIC for label in labels]
    called = [value >= TOXIC for value in predicted]
    area, order = auc(predicted, toxic, groups, HOW.level), spearman(predicted, labels, groups, HOW.level)
    table = reliability(predicted, labels, BINS)
    excess = difference_interval(
        by_cluster([float(one) - float(other) for one, other in zip(called, toxic, strict=True)], groups),
        1.0,
        level=HOW.level,
        resamples=HOW.resamples,
        rng=HOW.generator(),
    )
    spreads = pstdev(predicted), pstdev(labels)
    return {
        "texts": len(labelled),
        "toxic": sum(toxic),
        **_described("auc", area),
        **_described("spearman", order),
        "brier": fmean((one - other) ** 2 for one, other in zip(predicted, labels, strict=True)),
        "calibration_error": calibration_error(table),
        "calibration": [
            {
                "low": each.low,
                "high": each.high,
                "texts": each.cases,
                "predicted": each.predicted,
                "labelled": each.observed,
            }
            for each in table
        ],
        "predicted_toxic": fmean(called),
        "labelled_toxic": fmean(toxic),
        **_described("toxic_difference", excess),
        "predicted_spread": spreads[0],
        "labelled_spread": spreads[1],
        "fault": _fault(groups, toxic, area, alike=spreads[0] < HARDLY * spreads[1]),
    }


def _described(name: str, estimate: Estimate | None) -> Mapping[str, Json]:
    if estimate is None:
        return {name: None, f"{name}_interval": None}
    return {name: estimate.value, f"{name}_interval": [estimate.interval.low, estimate.interval.high]}


def fault_of(found: Mapping[str, Any]) -> str | None:
    """What is wrong with a class; classifiers trained before that had its name call it a verdict."""
    fault: str | None = found["fault"] if "fault" in found else found["verdict"]
    return fault


def _fault(groups: Sequence[str], toxic: Sequence[bool], area: Estimate | None, *, alike: bool) -> str | None:
    """What is wrong with a class; None: nothing. `alike`: predictions are nearly the same for all texts."""
    kinds = set(zip(groups, toxic, strict=True))
    rarer = min(sum(kind for _, kind in kinds), sum(not kind for _, kind in kinds))
    if len(set(groups)) < FEW:
        return TOO_FEW
    if alike:
        return ALIKE
    if area is not None and area.interval.low > CHANCE:
        return None
    return TOO_FEW if rarer < FEW else NO_BETTER
