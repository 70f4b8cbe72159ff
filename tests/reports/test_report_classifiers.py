"""How good a classifier is stands beside its name, in a note and on the page of training."""

import json
from typing import Any

import pytest

from reports.classifiers import facts, in_a_word, note, warnings

GOOD: dict[str, Any] = {
    "texts": 200,
    "toxic": 60,
    "auc": 0.9731,
    "auc_interval": [0.95, 0.99],
    "spearman": 0.91,
    "spearman_interval": [0.88, 0.93],
    "calibration_error": 0.021,
    "calibration": [{"low": 0.0, "high": 0.1, "texts": 100, "predicted": 0.05, "labelled": 0.06}],
    "predicted_toxic": 0.285,
    "labelled_toxic": 0.3,
    "fault": None,
}


def manifest(**changed: Any) -> dict[str, Any]:
    """A finished stage's, with two classes, of which a test changes the first."""
    threat = {"texts": 0, "toxic": 0, "fault": "too few held-out texts to tell"}
    classes = {"toxicity": {**GOOD, **changed}, "threat": threat}
    return {"metrics": {"held_out_texts": {"texts": 200, "main": "toxicity", "classes": classes}}}


@pytest.mark.parametrize(
    ("found", "word"),
    [
        (manifest(), "AUC 0.973"),
        (manifest(auc=0.52, fault="no better than chance"), "AUC 0.520, no better than chance"),
        (manifest(fault="too few held-out texts to tell"), "too few held-out texts to tell"),
        (manifest(auc=None, fault="too few held-out texts to tell"), "too few held-out texts to tell"),
        ({"metrics": {"held_out_texts": None}}, "not measured"),
        ({"metrics": {}}, "not measured"),
    ],
)
def test_a_classifier_in_a_word(found: dict[str, Any], word: str) -> None:
    """Its AUC, with what is wrong with it; one of before this was measured was not measured."""
    assert word == in_a_word(found)


def test_a_note_on_a_classifier() -> None:
    """With intervals, and both shares; first what is wrong."""
    assert (
        "toxic: its classifier, mild, on texts held out of its training: AUC at 0.5 0.973 [0.950, 0.990]; "
        "Spearman's rho 0.910 [0.880, 0.930]; predicted toxic 28.5%, labelled 30.0% of 200 texts"
        == note("toxic", "mild", manifest())
    )
    assert "training: no better than chance; AUC" in note(
        "toxic", "mild", manifest(fault="no better than chance")
    )
    assert "nobody knows how good its numbers are" in note("toxic", "mild", {"metrics": {}})


def test_facts_of_a_classifier() -> None:
    """Every class, and the calibration of the main one; nothing where nothing was held out."""
    shown = dict(facts(manifest()["metrics"]["held_out_texts"]))
    assert ["held out: toxicity", "held out: threat", "calibration"] == list(shown)
    assert "too few held-out texts to tell" == shown["held out: threat"]
    assert (
        "of toxicity: expected error 0.021; 0.0–0.1: predicted 0.05, labelled 0.06 (100)"
        == shown["calibration"]
    )
    assert [] == list(facts(None))


def test_warnings_of_a_classifier() -> None:
    """Each class with which something is wrong."""
    bad = manifest(fault="no better than chance")["metrics"]["held_out_texts"]
    assert ["toxicity: no better than chance", "threat: too few held-out texts to tell"] == list(
        warnings(bad)
    )
    assert [] == list(warnings(None))


def test_an_earlier_record_calls_a_fault_a_verdict() -> None:
    """Its report says the same."""
    now = manifest(auc=0.52, fault="no better than chance")["metrics"]["held_out_texts"]
    before = json.loads(json.dumps(now).replace('"fault"', '"verdict"'))
    assert [*facts(now), *warnings(now)] == [*facts(before), *warnings(before)]
    assert "no better than chance" in str(list(warnings(before)))
