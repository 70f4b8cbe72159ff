"""The files of a HELM run, checked: what was asked of each instance, and HELM's statistics of it.

An instance under one perturbation is a sample; training trials, and trials with other random seeds, are its
draws. Every metric of HELM's writes an entry of its own for an instance. A statistic is of one split and one
perturbation; those of another split than `test`, and of perturbed instances, are metrics by themselves.
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import DataError
from harness.files import json_object, log_value
from harness.imported.fields import as_number, as_object, as_objects

SPEC, STATE, STATS, MEANS = "run_spec.json", "scenario_state.json", "per_instance_stats.json", "stats.json"
ITS_OWN = (SPEC, STATE, STATS)
"""The files that a run needs here, which have names that nobody else gives."""
MAIN_SPLIT = "test"
BOOKKEEPING = re.compile(
    r"(num_.*|finish_reason_.*|inference_.*|training_.*|batch_size|prompt_truncated|logprob|max_prob"
    r"|predicted_index)( \(.*)?"
)
"""What HELM counts beside scores, in its `basic_metrics.py` and `efficiency_metrics.py`."""
NOT_ITS_KIND = frozenset(("name", "robustness", "fairness", "computed_on"))
"""What a perturbation says of itself beside what it does."""

State = Mapping[str, Any]
Trials = Sequence[tuple[int, Mapping[str, float | None]]]
"""The number of each trial, and the means by metric."""


@dataclass(frozen=True, slots=True, order=True)
class HelmKey:
    """Which sample something is of."""

    instance: str
    perturbation: str
    """In words; empty for an instance as it is in the data."""


@dataclass(frozen=True, slots=True)
class HelmRun:
    """A run, of which every part is as it should be."""

    folder: Path
    states: Mapping[HelmKey, Sequence[State]]
    """The requests of each sample, in the order of trials, references and modes."""
    stats: Mapping[HelmKey, Trials]
    """Without bookkeeping."""


def read_spec(folder: Path) -> dict[str, Any]:
    """What a run is. Raises DataError for a folder that does not hold the three files, or another's."""
    for name in ITS_OWN:
        if not (folder / name).is_file():
            raise DataError(
                str(folder / name), 0, "is missing: HELM writes it beside the others when a run ends"
            )
    spec = json_object(folder / SPEC)
    if not isinstance(spec.get("name"), str) or not as_object(spec.get("adapter_spec")).get("model"):
        raise DataError(str(folder / SPEC), 0, "`name` and `adapter_spec.model` were expected")
    return spec


def read_run(folder: Path) -> HelmRun:
    """The requests and statistics of a run.

    Raises DataError for what HELM does not write, and for two results of one key that differ.
    """
    listed = as_objects(as_object(log_value(folder / STATE)).get("request_states"))
    counted = as_objects(log_value(folder / STATS))
    if not listed:
        raise DataError(str(folder / STATE), 0, "`request_states`, a list of objects, was expected")
    if counted is None:
        raise DataError(str(folder / STATS), 0, "a list of objects was expected")
    states = _states(folder / STATE, listed)
    return HelmRun(folder, states, _stats(folder / STATS, counted, states))


def _states(file: Path, listed: Sequence[State]) -> dict[HelmKey, list[State]]:
    found: dict[HelmKey, dict[tuple[Any, ...], State]] = defaultdict(dict)
    for number, state in enumerate(listed, start=1):
        instance, trial = as_object(state.get("instance")), state.get("train_trial_index")
        reference, mode = state.get("reference_index", -1), str(state.get("request_mode", ""))
        if not (
            isinstance(instance.get("id"), str) and isinstance(trial, int) and isinstance(reference, int)
        ):
            raise DataError(str(file), number, "instance.id and train_trial_index were expected")
        if reference >= len(as_objects(instance.get("references")) or ()):
            raise DataError(str(file), number, f"the instance has no reference {reference}")
        seed = str(as_object(state.get("request")).get("random") or "")
        of = found[key_of(instance["id"], instance.get("perturbation"))]
        if of.setdefault((trial, seed, reference, mode), state) != state:
            raise DataError(
                str(file), number, f"asks the instance {instance['id']!r} a second time, with another result"
            )
    return {key: [of[each] for each in sorted(of)] for key, of in found.items()}


def _stats(
    file: Path, counted: Sequence[Mapping[str, Any]], states: Mapping[HelmKey, object]
) -> dict[HelmKey, Trials]:
    found: dict[HelmKey, dict[int, dict[str, float | None]]] = defaultdict(lambda: defaultdict(dict))
    for number, entry in enumerate(counted, start=1):
        key = key_of(str(entry.get("instance_id")), entry.get("perturbation"))
        trial, stats = entry.get("train_trial_index"), as_objects(entry.get("stats"))
        if not isinstance(trial, int) or stats is None:
            raise DataError(str(file), number, "`train_trial_index` and a list of `stats` were expected")
        if key not in states:
            raise DataError(str(file), number, f"is of the instance {key.instance!r}, which {STATE} lacks")
        for stat in stats:
            name, value = metric_of(as_object(stat.get("name"))), mean_of(stat)
            if BOOKKEEPING.fullmatch(name):
                continue
            known = found[key][trial].setdefault(name, value)
            if known != value:
                message = f"has {value} as {name} of the instance {key.instance!r}, which has {known} before"
                raise DataError(str(file), number, message)
    return {key: sorted(by_trial.items()) for key, by_trial in found.items()}


def key_of(instance: str, perturbation: object) -> HelmKey:
    """The sample that an instance is under a perturbation, which may be none."""
    said = as_object(perturbation)
    rest = [f"{key}={said[key]}" for key in sorted(said.keys() - NOT_ITS_KIND)]
    return HelmKey(instance, " ".join([str(said.get("name", "")), *rest]).strip())


def suffix(split: object, perturbation: object) -> str:
    """What stands behind the names of metrics of this split and perturbation; nothing for the usual ones."""
    said = [*([] if split in (MAIN_SPLIT, None) else [str(split)]), key_of("", perturbation).perturbation]
    return f" ({', '.join(filter(None, said))})" if any(said) else ""


def metric_of(name: Mapping[str, Any]) -> str:
    """What a statistic is called here."""
    return f"{name.get('name')}{suffix(name.get('split'), name.get('perturbation'))}"


def mean_of(stat: Mapping[str, Any]) -> float | None:
    """A statistic's mean; None where nothing was counted."""
    return as_number(stat.get("mean")) if stat.get("count") else None
