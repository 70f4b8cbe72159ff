"""Reads preferences from the store, with the models' names: those about each model's latest answers.

A model's latest complete run of each set of prompts counts, as in every report. Preferences about a run with
other settings concern other answers, and so do those about a prompt or an answer that has changed since. A
run of more or fewer prompts changes nothing: preferences about the same answers count, once. A blind test
that is still sealed has no preferences in the store.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from harness.pluralize import pluralize
from harness.preferences.named import NamedPreference
from harness.records.answers import Message, Response, Run
from harness.records.preferences import Preference, Rater
from harness.store import Store


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a run adds to a preference about one of its samples."""

    prompt: str | tuple[Message, ...]
    answer: str | None
    """None: there is no text."""
    cluster: str


def named_preferences(
    store: Store,
    names: Sequence[str] = (),
    *,
    fingerprints: Mapping[str, Collection[str]] = MappingProxyType({}),
) -> list[NamedPreference]:
    """Every preference between two of these models (of all, where none is named) about their newest answers.

    `fingerprints` are those of what a model's name stands for now; other runs of it do not count then.
    """
    return named(store, _chosen(store, names, fingerprints)[0])


def named(store: Store, chosen: Sequence[Preference], raters: Iterable[Rater] = ()) -> list[NamedPreference]:
    """These preferences with the models' names, and what the store knows of their runs and raters.

    `raters`: those who are not in the store yet.
    """
    runs = {run.id: run for run in store.runs.find()}
    judged = dict.fromkeys(run for each in chosen for run in (each.left_run, each.right_run))
    asked = {run: _asked(store, run) for run in judged}
    known = {rater.id: rater for rater in (*store.preferences.raters(), *raters)}
    return [_named(each, runs, asked, known[each.rater]) for each in chosen]


def caveats(
    store: Store,
    names: Sequence[str] = (),
    *,
    fingerprints: Mapping[str, Collection[str]] = MappingProxyType({}),
) -> list[str]:
    """What to know before relying on these preferences: what is left out, and which raters not to rely on."""
    chosen, earlier = _chosen(store, names, fingerprints)
    raters = {each.rater for each in chosen}
    notes = []
    if earlier:
        are = "is" if earlier == 1 else "are"
        notes.append(
            f"{pluralize(earlier, 'preference')} {are} about earlier answers of these models, and left out"
        )
    for rater in store.preferences.raters():
        flags = rater.details.get("flags")
        if rater.id in raters and isinstance(flags, Sequence) and flags:
            why = "; ".join(map(str, flags))
            notes.append(f"{rater.id}: the audit advises not to rely on these votes, which count here: {why}")
    return notes


def _chosen(
    store: Store, names: Sequence[str], fingerprints: Mapping[str, Collection[str]]
) -> tuple[list[Preference], int]:
    """What was said about the newest answers, each preference once; and how many are about earlier ones.

    The same pair may be judged in a run of few prompts and in one of many, and with the models named either
    way round: a rater's word on it in one order is one preference, that of the newest runs.
    """
    runs = {run.id: run for run in store.runs.find()}
    said = _between(store, runs, names)
    judged = {(runs[run].model, runs[run].suite) for each in said for run in (each.left_run, each.right_run)}
    whole = [run for run in store.runs.whole() if (run.model, run.suite) in judged]
    ranked = _alike(whole, fingerprints)
    rank = {run.id: place for place, run in enumerate(ranked)}
    known = [each for each in said if each.left_run in rank and each.right_run in rank]
    asked = {run.id: _asked(store, run.id) for run in ranked}
    newest = _newest(ranked, asked)
    found: dict[tuple[object, ...], Preference] = {}
    earlier = len(said) - len(known)
    for each in sorted(known, key=lambda one: (rank[one.left_run], rank[one.right_run])):
        sides = [
            (runs[run].model, runs[run].suite, each.sample, asked[run][each.sample])
            for run in (each.left_run, each.right_run)
        ]
        if all(newest[side[:3]] == (side[3].prompt, side[3].answer) for side in sides):
            first = sides[0 if each.shown_first == "left" else 1][0]
            models = frozenset(side[0] for side in sides)
            found.setdefault((each.rater, sides[0][1:3], models, first), each)
        else:
            earlier += 1
    counted = {id(each) for each in found.values()}
    return [each for each in said if id(each) in counted], earlier


def _between(store: Store, runs: Mapping[str, Run], names: Sequence[str]) -> list[Preference]:
    """What was said between two different of these models."""
    found = []
    for each in store.preferences.find():
        models = {runs[each.left_run].model, runs[each.right_run].model}
        if len(models) == 2 and (not names or models <= set(names)):
            found.append(each)
    return found


def _alike(whole: Sequence[Run], fingerprints: Mapping[str, Collection[str]]) -> list[Run]:
    """The runs that were asked as each model's newest one of the same suite was, newest first."""
    of_now = [run for run in whole if run.fingerprint in fingerprints.get(run.model, (run.fingerprint,))]
    newest = {(run.model, run.suite): run for run in of_now}
    return [run for run in reversed(of_now) if _conditions(run) == _conditions(newest[run.model, run.suite])]


def _conditions(run: Run) -> tuple[object, ...]:
    """What an answer depends on besides its prompt."""
    return run.fingerprint, run.suite_version, run.settings, run.seed


def _newest(
    ranked: Sequence[Run], asked: Mapping[str, Mapping[str, _Asked]]
) -> dict[tuple[str, str, str], tuple[str | tuple[Message, ...], str | None]]:
    """By model, suite and sample: the prompt and the answer of the newest run that holds the sample."""
    found: dict[tuple[str, str, str], tuple[str | tuple[Message, ...], str | None]] = {}
    for run in ranked:
        for sample, each in asked[run.id].items():
            found.setdefault((run.model, run.suite, sample), (each.prompt, each.answer))
    return found


def _asked(store: Store, run: str) -> Mapping[str, _Asked]:
    """What the run adds to preferences, by sample."""
    return {
        row.sample.id: _Asked(
            row.sample.prompt,
            next((answer.text for answer in row.responses if isinstance(answer, Response)), None),
            row.sample.cluster or row.sample.id,
        )
        for row in store.runs.rows(run)
    }


def _named(
    chosen: Preference,
    runs: Mapping[str, Run],
    asked: Mapping[str, Mapping[str, _Asked]],
    rater: Rater,
) -> NamedPreference:
    left, right = runs[chosen.left_run], runs[chosen.right_run]
    answer = asked[left.id][chosen.sample]
    return NamedPreference(
        item=f"{left.suite}/{chosen.sample}",
        left=left.model,
        right=right.model,
        rater=rater.id,
        winner=chosen.winner,
        kind=rater.kind,
        cluster=f"{left.suite}/{answer.cluster}",
        shown_first=chosen.shown_first if rater.sees_an_order else None,
        reason=chosen.reason,
        left_length=_length(answer.answer),
        right_length=_length(asked[right.id][chosen.sample].answer),
        seconds=chosen.seconds,
    )


def _length(text: str | None) -> int | None:
    return None if text is None else len(text)
