"""How good a toxicity classifier is that was trained here: in a word beside its name, as a note, and in full.

All of it is from the store's record of the stage, where the figures stand that training took on texts that
it held out (`trainers.classifier_quality`).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from harness.pluralize import pluralize
from reports.wording import number

UNMEASURED = "not measured"
TOO_FEW = "too few held-out texts to tell"
"""What training says of a class that cannot be judged."""
HELD_OUT = "held_out_texts"
"""Under which of a stage's metrics the figures stand."""


def in_a_word(manifest: Mapping[str, Any]) -> str:
    """The AUC of its main class, and what is wrong with it; or that nothing was measured."""
    found = _main(manifest)
    if found is None:
        return UNMEASURED
    if found.get("auc") is None or _fault(found) == TOO_FEW:
        return TOO_FEW
    return ", ".join(filter(None, (f"AUC {number(found['auc'])}", _fault(found))))


def note(suite: str, pipeline: str, manifest: Mapping[str, Any]) -> str:
    """What a reader of a suite's numbers must know of the classifier that gave them."""
    found = _main(manifest)
    if found is None:
        return (
            f"{suite}: no text was held out of the training of its classifier, {pipeline}: nobody knows how "
            "good its numbers are (`holdout` in its stage)"
        )
    return f"{suite}: its classifier, {pipeline}, on texts held out of its training: {_agreement(found)}"


def facts(found: Mapping[str, Any] | None) -> Iterator[tuple[str, str]]:
    """The figures of every class, for the page on training; nothing where no text was held out."""
    if found is None:
        return
    for name, each in found["classes"].items():
        yield f"held out: {name}", _agreement(each)
    table = found["classes"][found["main"]].get("calibration", ())
    bins = (
        f"{each['low']:.1f}–{each['high']:.1f}: predicted {each['predicted']:.2f}, labelled "
        f"{each['labelled']:.2f} ({each['texts']:,})"
        for each in table
    )
    if table:
        error = found["classes"][found["main"]]["calibration_error"]
        yield "calibration", f"of {found['main']}: expected error {error:.3f}; {'; '.join(bins)}"


def warnings(found: Mapping[str, Any] | None) -> Iterator[str]:
    """What is wrong with its classes."""
    for name, each in (found or {"classes": {}})["classes"].items():
        if _fault(each) is not None:
            yield f"{name}: {_fault(each)}"


def _fault(found: Mapping[str, Any]) -> str | None:
    """What is wrong with a class; classifiers trained before that had its name call it a verdict."""
    fault: str | None = found["fault"] if "fault" in found else found["verdict"]
    return fault


def _main(manifest: Mapping[str, Any]) -> Mapping[str, Any] | None:
    found = manifest["metrics"].get(HELD_OUT)
    return None if found is None else found["classes"][found["main"]]


def _agreement(found: Mapping[str, Any]) -> str:
    """How far a class agrees with its labels; first what is wrong with it."""
    if not found["texts"]:
        return str(_fault(found))
    parts = [
        _fault(found),
        f"AUC at 0.5 {_estimate(found['auc'], found['auc_interval'])}",
        f"Spearman's rho {_estimate(found['spearman'], found['spearman_interval'])}",
        f"predicted toxic {found['predicted_toxic']:.1%}, labelled {found['labelled_toxic']:.1%} of "
        f"{pluralize(found['texts'], 'text')}",
    ]
    return "; ".join(filter(None, parts))


def _estimate(value: float | None, interval: Sequence[float] | None) -> str:
    if value is None or interval is None:
        return "cannot be told"
    low, high = interval
    return f"{number(value)} [{number(low)}, {number(high)}]"
