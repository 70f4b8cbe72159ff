"""A toxicity classifier's card: what it was trained on, and how far it agrees with labels it did not see.

Markdown, for people, in the classifier's folder.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from harness.pluralize import pluralize
from trainers.card import code, table

FILE = "card.md"


def classifier_card(
    *,
    data: str,
    architecture: str,
    parameters: int,
    from_base: bool,
    texts: int,
    held_out: Mapping[str, Any] | None,
) -> str:
    """The whole card. `texts` were learned; `held_out` are the figures of those that were not, or None."""
    start = "fine-tuned from a base" if from_base else "trained from nothing"
    parts = [
        "# Card of a toxicity classifier",
        f"{code(architecture)}, {parameters:,} parameters, {start} on {pluralize(texts, 'text')} of "
        f"{code(data)}.\nIt gives each class a probability of its own, trained on labels from 0 to 1 as they "
        "are (binary cross-entropy).",
    ]
    if held_out is None:
        parts.append("**Nothing was held out: how good it is, nobody has measured.**")
        return "\n\n".join(parts) + "\n"
    main, classes = held_out["main"], held_out["classes"]
    parts += [
        "## What it agrees with\n\n"
        f"Of the data {pluralize(held_out['texts'], 'text')} in "
        f"{pluralize(held_out['groups'], 'independent group')} were held out of training. A text is toxic "
        "where label or probability is 0.5 or more; intervals are of 95 %, by group. It need not agree as "
        "well on texts of another kind.",
        _agreement(classes),
        "\n".join(f"- **{code(name)}: {each['fault']}**" for name, each in classes.items() if each["fault"]),
    ]
    if "calibration" in classes[main]:
        parts.append(f"## Calibration of {code(main)}\n\n{_calibration(classes[main]['calibration'])}")
    return "\n\n".join(filter(None, parts)) + "\n"


def _agreement(classes: Mapping[str, Mapping[str, Any]]) -> str:
    heading = (
        "class",
        "texts",
        "AUC",
        "Spearman's rho",
        "Brier",
        "calibration error",
        "predicted toxic",
        "labelled toxic",
    )
    return table(heading, [(code(name), *_cells(each)) for name, each in classes.items()])


def _cells(found: Mapping[str, Any]) -> Sequence[str]:
    if not found["texts"]:
        return ("0", *("–" for _ in range(6)))
    return (
        f"{found['texts']:,}",
        estimate(found["auc"], found["auc_interval"]),
        estimate(found["spearman"], found["spearman_interval"]),
        f"{found['brier']:.4f}",
        f"{found['calibration_error']:.3f}",
        f"{found['predicted_toxic']:.1%}",
        f"{found['labelled_toxic']:.1%}",
    )


def estimate(value: float | None, interval: Sequence[float] | None) -> str:
    """A number with its interval; a dash where there is none."""
    if value is None or interval is None:
        return "–"
    low, high = interval
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"


def _calibration(bins: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        (
            f"{each['low']:.1f}–{each['high']:.1f}",
            f"{each['texts']:,}",
            f"{each['predicted']:.3f}",
            f"{each['labelled']:.3f}",
        )
        for each in bins
    ]
    return table(("probability", "texts", "mean probability", "mean label"), rows)
