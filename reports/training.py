"""How candidates were made, from the store alone: every stage, its curves, and its answers in training."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.movement import movement, training_warnings
from harness.pluralize import pluralize
from harness.store import KeptStage, Store
from reports import classifiers
from reports.wording import toml

NAMED = "named"
"""In a kept manifest: when a command named the pipeline last, the same in all of its stages."""

CURVES = (
    ("loss", "loss"),
    ("eval_loss", "loss on rows that were held out"),
    ("reward", "reward"),
    ("kl", "KL divergence from the base"),
    ("completions/mean_length", "length of answers, in tokens"),
    ("accuracy", "share of pairs ranked right"),
    ("rewards/accuracies", "share of pairs ranked right"),
    ("rewards/margins", "reward of the chosen answer above the rejected one's"),
)
"""What is drawn of a training where it is logged, in this order: TRL's name, and its meaning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One logged number over the steps of a stage."""

    name: str
    meaning: str
    points: tuple[tuple[int, float], ...]
    """(step, value), at least two."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedStage:
    """A finished stage."""

    identity: str
    name: str
    """`PIPELINE · KIND`, by the pipeline that defines it."""
    candidates: tuple[str, ...]
    """The models of the report that it ends."""
    parent: str | None
    """The identity of the stage it starts from; None: from nothing, or from a model not trained here."""
    base: str | None
    """The name of the model it starts from, where that was not trained here."""
    rewards: tuple[str, ...]
    """The identities of the stages that gave it rewards."""
    facts: Mapping[str, str]
    """What it was made from and with, in words."""
    curves: tuple[Curve, ...]
    warnings: tuple[str, ...]
    """What its training showed that a reader must know."""
    completions: tuple[Mapping[str, Any], ...]
    """Answers of the policy in training: step, prompt, completion, rewards."""
    scores: tuple[str, ...] = ()
    """The suites of the report that it is the classifier of."""


def trained_stages(
    store: Store, models: Sequence[str], classifiers: Mapping[str, Sequence[str]] | None = None
) -> tuple[TrainedStage, ...]:
    """Every stage that these models and what they depend on are made of; none where none was trained here.

    In the order of training. A stage that several models share stands once. `classifiers` are the suites of
    the report by the identity of the stage that trained their classifier.
    """
    scoring = classifiers or {}
    kept = [stage for model in models for stage in _newest(store.stages.find(model))]
    kept += [stage for stage in store.stages.find() if stage.identity in scoring]
    ends: dict[str, list[str]] = {}
    for model in models:
        if theirs := _newest(store.stages.find(model)):
            ends.setdefault(theirs[-1].identity, []).append(model)
    unique = {stage.identity: stage for stage in kept}
    by_folder = {_folder(stage): stage.identity for stage in unique.values()}
    return tuple(
        replace(
            _trained(stage, ends.get(stage.identity, ()), by_folder, unique),
            scores=tuple(scoring.get(stage.identity, ())),
        )
        for stage in unique.values()
    )


def _newest(stages: Sequence[KeptStage]) -> list[KeptStage]:
    """A pipeline's stages as it was named last, which need not be those that were trained last.

    In a store of before that was recorded: of each place, the one that was trained last.
    """
    last = max((_named(stage) for stage in stages), default="")
    named = {stage.position: stage for stage in stages if _named(stage) == last}
    return [stage for _, stage in sorted(named.items())]


def _named(stage: KeptStage) -> str:
    return str(stage.manifest.get(NAMED, ""))


def _trained(
    stage: KeptStage, ends: Sequence[str], by_folder: Mapping[str, str], known: Mapping[str, KeptStage]
) -> TrainedStage:
    manifest: Mapping[str, Any] = stage.manifest
    return TrainedStage(
        identity=stage.identity,
        name=f"{manifest.get('pipeline', stage.pipeline)} · {stage.kind}",
        candidates=tuple(ends),
        parent=by_folder.get(str(manifest["parent"])),
        base=manifest.get("base"),
        rewards=tuple(each["identity"] for each in manifest["rewards"] if each["identity"] in known),
        facts=dict(_facts(manifest)),
        curves=(*_curves(manifest.get("history", ())), *_selection(manifest.get("selection", ()))),
        warnings=tuple(_warnings(manifest["metrics"])),
        completions=tuple(manifest.get("completions", ())),
    )


def _warnings(metrics: Mapping[str, Any]) -> Iterator[str]:
    yield from training_warnings(metrics)
    yield from classifiers.warnings(metrics.get(classifiers.HELD_OUT))
    for description in (metrics.get("selected") or {}).get("over_optimised", ()):
        yield f"over-optimised? {description}"


def _folder(stage: KeptStage) -> str:
    return stage.folder.replace("\\", "/").rstrip("/").rpartition("/")[2]


def _facts(manifest: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield (
        "data",
        ", ".join(f"{each['source']} ({pluralize(each['rows'], 'row')})" for each in manifest["data"]),
    )
    if manifest["rewards"]:
        rewards = (f"{each['weight']:g} × {each['reward']}" for each in manifest["rewards"])
        yield "rewards", ", ".join(rewards)
    settings = manifest["inputs"]["settings"]
    yield "settings", ", ".join(f"{name} = {toml(value)}" for name, value in settings.items() if value)
    yield from _selected(manifest["metrics"].get("selected"))
    yield from _held_out(manifest["metrics"].get("held_out"))
    yield from classifiers.facts(manifest["metrics"].get(classifiers.HELD_OUT))
    if (steps := manifest["metrics"].get("steps")) is not None:
        without = manifest["metrics"].get("steps_without_signal")
        yield "steps", f"{steps:,}" + (f", {without:,} without signal" if without else "")
    if (moved := movement(manifest["metrics"])) is not None:
        yield "moved", str(moved)
    yield "seconds", f"{manifest['seconds']:,}"
    yield "seed", str(manifest["inputs"]["seed"])


def _selected(found: Mapping[str, Any] | None) -> Iterator[tuple[str, str]]:
    """Which checkpoint is the candidate."""
    if found is not None:
        yield (
            "checkpoint",
            f"step {found['step']} of {found['last']}, best of {found['checkpoints']} by {found['by']}",
        )


def _held_out(found: Mapping[str, Any] | None) -> Iterator[tuple[str, str]]:
    """How good a reward model is on pairs that it did not learn."""
    if found is None:
        return
    low, high = found["accuracy_interval"]
    yield (
        "held-out accuracy",
        f"{found['accuracy']:.0%} [{low:.0%}, {high:.0%}] of {pluralize(found['pairs'], 'pair')}",
    )
    table = (
        f"{each['low']:.1f}–{each['high']:.1f}: said {each['said']:.2f}, was {each['was']:.2f} "
        f"({each['pairs']:,})"
        for each in found["calibration"]
    )
    yield "calibration", f"expected error {found['calibration_error']:.2f}; {'; '.join(table)}"
    if (lengths := found["lengths"]) is not None:
        low, high = lengths["interval"]
        yield (
            "longer answers",
            f"given more in {lengths['rewarded']:.0%} and better in {lengths['preferred']:.0%} of "
            f"{pluralize(lengths['pairs'], 'pair')} (difference [{low:+z.0%}, {high:+z.0%}])",
        )


def _curves(history: Sequence[Mapping[str, Any]]) -> Iterator[Curve]:
    named = {name for point in history for name in point}
    several = [name for name in sorted(named) if name.startswith("rewards/") and name.endswith("/mean")]
    wanted = [*CURVES, *((name, f"reward from {name.split('/')[1]}") for name in several if len(several) > 1)]
    for name, meaning in wanted:
        yield from _curve(history, name, name, meaning)


def _selection(found: Sequence[Mapping[str, Any]]) -> Iterator[Curve]:
    """What the checkpoints were worth."""
    suite = next((each["suite_metric"] for each in found if "suite_metric" in each), "")
    measures = (
        ("loss", "checkpoints: loss on rows that were held out"),
        ("reward", "checkpoints: reward of answers to the selecting prompts"),
        ("suite", f"checkpoints: {suite} on the samples that select"),
    )
    for name, meaning in measures:
        yield from _curve(found, name, f"select {name}", meaning)


def _curve(steps: Sequence[Mapping[str, Any]], key: str, name: str, meaning: str) -> Iterator[Curve]:
    """What was logged under a key, if that is more than one point."""
    points = tuple((each["step"], float(each[key])) for each in steps if key in each)
    if len(points) > 1:
        yield Curve(name=name, meaning=meaning, points=points)
