"""Judgements out of the store: what raters said about the newest runs of some models.

A model's newest whole run of each set of prompts counts, as in every report: what was said about an earlier
one is about other answers. A blind test that is still sealed has no preferences in the store.

It does not know what judgements mean.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from harness.preferences import Judgement
from harness.records import Preference, Rater, Response, Run
from harness.store import Store


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a run adds to a judgement about one of its samples."""

    length: int | None
    cluster: str


def judgements(
    store: Store,
    names: Sequence[str] = (),
    *,
    fingerprints: Mapping[str, Collection[str]] = MappingProxyType({}),
) -> list[Judgement]:
    """Every judgement between two of these models (of all, where none is named) about their newest answers.

    `fingerprints` are those of what a model's name stands for now; other runs of it do not count then.
    """
    runs = {run.id: run for run in store.runs()}
    newest = set(_newest(runs.values(), fingerprints))
    chosen = [each for each in _between(store, runs, names) if {each.left_run, each.right_run} <= newest]
    return told(store, chosen)


def told(store: Store, chosen: Sequence[Preference]) -> list[Judgement]:
    """These preferences as judgements, with what the store knows of their runs and raters."""
    runs = {run.id: run for run in store.runs()}
    judged = dict.fromkeys(run for each in chosen for run in (each.left_run, each.right_run))
    asked = {run: _asked(store, run) for run in judged}
    raters = {rater.id: rater for rater in store.raters()}
    return [_judgement(each, runs, asked, raters[each.rater]) for each in chosen]


def outdated(
    store: Store,
    names: Sequence[str] = (),
    *,
    fingerprints: Mapping[str, Collection[str]] = MappingProxyType({}),
) -> int:
    """How many judgements between these models are about earlier answers, and so not among `judgements`."""
    runs = {run.id: run for run in store.runs()}
    newest = set(_newest(runs.values(), fingerprints))
    return sum(not {each.left_run, each.right_run} <= newest for each in _between(store, runs, names))


def _between(store: Store, runs: Mapping[str, Run], names: Sequence[str]) -> list[Preference]:
    """What was said between two different of these models."""
    found = []
    for each in store.preferences():
        models = {runs[each.left_run].model, runs[each.right_run].model}
        if len(models) == 2 and (not names or models <= set(names)):
            found.append(each)
    return found


def _newest(runs: Iterable[Run], fingerprints: Mapping[str, Collection[str]]) -> Iterator[str]:
    """The ids of each model's newest whole run of each suite."""
    by_what: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        if run.finished is not None and run.fingerprint in fingerprints.get(run.model, (run.fingerprint,)):
            by_what.setdefault((run.model, run.suite), []).append(run)
    for same in by_what.values():
        yield max(same, key=lambda run: (run.finished or "", run.started)).id


def _asked(store: Store, run: str) -> Mapping[str, _Asked]:
    """By sample."""
    return {
        row.sample.id: _Asked(
            next((len(answer.text) for answer in row.responses if isinstance(answer, Response)), None),
            row.sample.cluster or row.sample.id,
        )
        for row in store.rows(run)
    }


def _judgement(
    chosen: Preference,
    runs: Mapping[str, Run],
    asked: Mapping[str, Mapping[str, _Asked]],
    rater: Rater,
) -> Judgement:
    left, right = runs[chosen.left_run], runs[chosen.right_run]
    answer = asked[left.id][chosen.sample]
    return Judgement(
        item=f"{left.suite}/{chosen.sample}",
        left=left.model,
        right=right.model,
        rater=rater.id,
        winner=chosen.winner,
        kind=rater.kind,
        cluster=f"{left.suite}/{answer.cluster}",
        shown_first=chosen.shown_first if rater.sees_an_order else None,
        reason=chosen.reason,
        left_length=answer.length,
        right_length=asked[right.id][chosen.sample].length,
        seconds=chosen.seconds,
    )
