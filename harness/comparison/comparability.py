"""Whether two runs were made under the same conditions, and what a reader must know where they were not."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from harness.environment import packages_behind
from harness.records.answers import Run
from harness.records.models import Json

MANNER_IN_WORDS: Mapping[str, tuple[str, str]] = {
    "thinking": ("thinking", "left to the model"),
    "system": ("system prompt", "none"),
    "template_arguments": ("arguments of the chat template", "none"),
    "thinking_tokens": ("tokens for thoughts beside the answer's", "none"),
    "thinking_tags": ("tags of thoughts", "the usual"),
    "template_thought": ("a thought in the chat template", "none"),
    "sampling": ("sampling", "not recorded"),
    "prompts": ("prompts, as they were sent", "not recorded"),
}
"""What a run records of how its model is asked: in words, and what it means where nothing is recorded.

`sampling` is the model's own, as other tools have it, and `prompts` a hash of all of them.
"""

UNLESS_RECORDED: Mapping[str, Json] = {
    "engine.chat_template_date": "none",
    "engine.gguf": "none",
    "engine.other_conditions": "none",
    "engine.tokenizer": "the model's",
}
"""What holds where a run's environment says nothing of it."""

_HASH = re.compile(r"[0-9a-f]{40,}")


@dataclass(frozen=True, slots=True)
class Difference:
    """What is not the same for two runs."""

    what: str
    baseline: str
    candidate: str

    def between(self, baseline: str, candidate: str) -> str:
        """The difference in words, with the names of the two models."""
        return f"{self.what}: {self.baseline} for {baseline} but {self.candidate} for {candidate}"


def comparability(baseline: Run, candidate: Run) -> tuple[list[str], list[str]]:
    """What forbids comparing two runs, and what a reader must know though it does not forbid it.

    Suite, version, data, number of samples and every setting must agree. Whether a chat template is applied
    belongs to the candidate, as its weights do: there a difference is only noted, as are other seeds,
    package versions and devices, and a run that is not finished.
    """
    names = baseline.model, candidate.model
    noted = [each.between(*names) for each in _noted(baseline, candidate)]
    unfinished = [run.model for run in (baseline, candidate) if run.finished is None]
    return (
        [each.between(*names) for each in incomparable(baseline, candidate)],
        [
            *noted,
            *filter(None, map(unused_system, (baseline, candidate))),
            *filter(None, map(from_files, (baseline, candidate))),
            *(f"the run of {model} is not finished" for model in unfinished),
        ],
    )


def incomparable(baseline: Run, candidate: Run) -> list[Difference]:
    """What forbids comparing two runs."""
    mine, theirs = _settings(baseline), _settings(candidate)
    return [
        *_differing("suite", baseline.suite, candidate.suite),
        *_differing("suite version", baseline.suite_version, candidate.suite_version),
        *_differing("data", baseline.data_hash, candidate.data_hash),
        *_differing("number of samples", baseline.size, candidate.size),
        *_differing_keys("setting ", mine, theirs),
        *_other_directions(baseline, candidate),
    ]


def _other_directions(baseline: Run, candidate: Run) -> Iterator[Difference]:
    """Metrics of which more is better in one run and less in the other."""
    mine = {metric.name: metric.higher_is_better for metric in baseline.metrics}
    for metric in candidate.metrics:
        better = mine.get(metric.name, metric.higher_is_better), metric.higher_is_better
        yield from _differing(
            f"better values of {metric.name}", *("higher" if each else "lower" for each in better)
        )


def _noted(baseline: Run, candidate: Run) -> list[Difference]:
    templates = (run.settings.get("chat_template") for run in (baseline, candidate))
    return [
        *_differing("chat template applied", *templates),
        *_differing("seed", baseline.seed, candidate.seed),
        *_asked_differently(baseline, candidate),
        *_differing_keys("", *_conditions_of_both(baseline, candidate)),
    ]


def _conditions_of_both(baseline: Run, candidate: Run) -> tuple[dict[str, Json], dict[str, Json]]:
    """The conditions of each; where answers are from files, only those of scoring: no others are known."""
    mine, theirs = _conditions(baseline), _conditions(candidate)
    if from_files(baseline) is None and from_files(candidate) is None:
        return mine, theirs
    known = {key for key in mine.keys() & theirs.keys() if key.startswith("packages.")}
    return {key: mine[key] for key in known}, {key: theirs[key] for key in known}


def _settings(run: Run) -> dict[str, Json]:
    """All but whether a chat template is applied."""
    return {key: value for key, value in _flat(run.settings).items() if key != "chat_template"}


def unused_system(run: Run) -> str | None:
    """What to know of a run whose model has a system prompt, and was asked in bare texts; None for others."""
    if run.settings.get("chat_template") is not False or "system" not in _engine(run):
        return None
    return (
        f"the system prompt of {run.model} stands before no prompt of {run.suite}, which asks in bare texts, "
        "without a chat template"
    )


def from_files(run: Run) -> str | None:
    """What to know of a run whose answers are from files; None for others."""
    engine = _engine(run)
    if "files" not in engine:
        return None
    matched = engine.get("matched", "how its prompts were found is not recorded")
    if "tool" in engine:
        return f"{run.model} was asked {run.suite} by {engine['tool']}; {matched}"
    files = engine.get("files")
    names = ", ".join(map(str, files)) if isinstance(files, Sequence) else str(files)
    return (
        f"the answers of {run.model} to {run.suite} are from a file ({names}), as they stand, so that how "
        f"they were asked and sampled is not known; {matched}"
    )


def _asked_differently(baseline: Run, candidate: Run) -> Iterator[Difference]:
    """How the models' sections say that they are asked, where they differ."""
    for key, (what, unset) in MANNER_IN_WORDS.items():
        mine, theirs = (_in_plain(_engine(run).get(key, unset)) for run in (baseline, candidate))
        yield from _differing(what, mine, theirs)


def _in_plain(value: Json) -> Json:
    return ("on" if value else "off") if isinstance(value, bool) else value


def _engine(run: Run) -> Mapping[str, Json]:
    recorded = run.environment.get("engine")
    return recorded if isinstance(recorded, Mapping) else {}


def _conditions(run: Run) -> dict[str, Json]:
    """What of the environment can move a number: the packages behind it and what the engine computes with."""
    packages = packages_behind(run.suite, _engine(run))
    recorded = {**UNLESS_RECORDED, **_flat(run.environment)}
    telling = {
        "engine.device",
        "engine.dtype",
        "engine.scoring",
        "processor",
        *UNLESS_RECORDED,
        *(f"packages.{name}" for name in packages),
    }
    return {key: value for key, value in recorded.items() if key in telling}


def _flat(tree: Mapping[str, Json], prefix: str = "") -> dict[str, Json]:
    """Nested mappings as one, with dotted keys."""
    flat: dict[str, Json] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def _differing_keys(prefix: str, left: Mapping[str, Json], right: Mapping[str, Json]) -> Iterator[Difference]:
    for key in sorted(left.keys() | right.keys()):
        yield from _differing(prefix + key, left.get(key), right.get(key))


def _differing(what: str, left: Json, right: Json) -> Iterator[Difference]:
    if _canonical(left) != _canonical(right):
        yield Difference(what, _short(_canonical(left)), _short(_canonical(right)))


def _short(value: str) -> str:
    """A hash needs no more digits in a sentence than distinguish two; the conditions have all of them."""
    return _HASH.sub(lambda found: found[0][:12], value)


def _canonical(value: Json) -> str:
    """A value as JSON: what a store gives back equals what was put in, lists for tuples included."""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)
