"""Reads files of preferences from elsewhere, whichever of the known formats each of them has."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.errors import DataError
from harness.imported.alpaca_eval_annotations import AlpacaEvalAnnotations
from harness.imported.arena_hard_judgments import ArenaHardJudgments
from harness.imported.mt_bench_judgments import MtBenchJudgments
from harness.imported.pandalm_annotations import PandaLmAnnotations, PandaLmResults
from harness.imported.preference_format import PreferenceFormat
from harness.pluralize import pluralize
from harness.preferences.files import CollectedPreferences, rows_of
from harness.preferences.named import Kind, NamedPreference
from harness.preferences.rows import Row, name_of

NAMED = 3
"""The most raters that are named; more are counted."""
KNOWN = (
    "AlpacaEval's annotations (output_1, output_2, preference), Arena-Hard's judgments (games), MT-Bench's "
    "pairwise judgments (g1_winner, g2_winner), PandaLM's annotations (cmp_key, annotator1), or rows of "
    "item, rater, left, right and winner (also: question_id, judge, model_a, model_b)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignPreferences:
    """What some files say."""

    files: tuple[Path, ...]
    preferences: tuple[NamedPreference, ...]
    read: tuple[str, ...]
    """Of each file, in a sentence, what it is and whose preferences it holds."""
    notes: tuple[str, ...]
    """What was assumed, and what is counted otherwise than where the files come from."""
    baselines: tuple[str, ...]
    """Models that the files mean as baselines; others are not."""


class PreferenceRows(PreferenceFormat):
    """Rows of ours, and those that differ from them in names only."""

    name = "rows of preferences"

    def has(self, row: Row) -> bool:
        """Somebody prefers something in it."""
        return name_of("winner", row) is not None or name_of("share", row) is not None

    def preferences(self, row: Row, file: Path) -> Iterator[Row]:
        """The row itself."""
        yield row


def read_preference_files(files: Sequence[Path], *, baseline: str | None = None) -> ForeignPreferences:
    """The preferences in these files, of which each has one format.

    `baseline` names the model that Arena-Hard's files of v0.1 do not name, unless it is another of theirs.

    Raises DataError, with the file and the row, for a file that cannot be read, is of no known format or of
    two, or holds no preference, and for a row that cannot be read.
    """
    annotations, arena_hard = PandaLmAnnotations(), ArenaHardJudgments()
    formats = [
        AlpacaEvalAnnotations(),
        arena_hard,
        MtBenchJudgments(),
        annotations,
        PandaLmResults(annotations),
        PreferenceRows(),
    ]
    collected = CollectedPreferences()
    baselines: list[str] = []
    read: dict[Path, str] = {}
    of = {file: _format_of(file, formats) for file in files}
    for file in sorted(of, key=lambda each: of[each].needs_others):
        rows, found = _read(file, of[file], formats, collected)
        baselines += (meant := of[file].baselines(found))
        named = [each for each in meant if each not in arena_hard.assumed]
        read[file] = _sentence(file, of[file], rows, found, named)
    preferences = collected.preferences
    models = {model for each in preferences for model in (each.left, each.right)}
    names: dict[str, str] = {}
    if baseline is not None and baseline not in models and len(arena_hard.assumed) == 1:
        names = dict.fromkeys(arena_hard.assumed, baseline)
        preferences = [_renamed(each, names) for each in preferences]
    return ForeignPreferences(
        files=tuple(of),
        preferences=tuple(preferences),
        read=tuple(read[file] for file in of),
        notes=(
            *(_assumed(each, names) for each in arena_hard.assumed),
            *(note for each in formats for note in each.notes()),
            *_counted(collected),
        ),
        baselines=tuple(dict.fromkeys(names.get(each, each) for each in baselines)),
    )


def _format_of(file: Path, formats: Sequence[PreferenceFormat]) -> PreferenceFormat:
    """The format of the file's first row. Raises DataError."""
    number, row = next(rows_of(file), (0, {}))
    if number == 0:
        raise DataError(str(file), 0, "holds no preferences")
    found = next((each for each in formats if each.has(row)), None)
    if found is None:
        raise DataError(str(file), number, _of_no_format(row))
    return found


def _of_no_format(row: Row) -> str:
    if {"question_id", "model", "judge", "score"} <= row.keys():
        return (
            "grades one answer alone (MT-Bench's `single` mode): preferences are in the file of a pairwise "
            "mode, JUDGE_pair.jsonl"
        )
    if {"output", "choices", "messages", "response"} & row.keys():
        return 'holds answers, and no preferences; answers are a model: [models.NAME] answers = "FILE"'
    return f"is no preference of a known format: {KNOWN}; found: {', '.join(row)}"


def _read(
    file: Path,
    of: PreferenceFormat,
    formats: Sequence[PreferenceFormat],
    collected: CollectedPreferences,
) -> tuple[int, list[NamedPreference]]:
    """How many rows the file has, and what they say. Raises DataError."""
    rows, found = 0, []
    for number, row in rows_of(file):
        other = next((each for each in formats if each.has(row)), of)
        if other is not of:
            raise DataError(
                str(file),
                number,
                f"is of {other.name}, and the first row of {of.name}: one file holds one kind",
            )
        rows += 1
        try:
            found += [collected.add(file, number, each, of.called) for each in of.preferences(row, file)]
        except ValueError as error:
            raise DataError(str(file), number, str(error)) from error
    return rows, found


def _sentence(
    file: Path, of: PreferenceFormat, rows: int, found: Sequence[NamedPreference], baselines: Sequence[str]
) -> str:
    """What was read, by whom, and against whom."""
    who = " and ".join(filter(None, (_raters(found, "judge"), _raters(found, "human"))))
    against = f"; {'baseline' if len(baselines) == 1 else 'baselines'}: {', '.join(baselines)}"
    against = against if baselines else ""
    return f"{file}: {of.name}, {pluralize(rows, 'row')} by {who}{against}"


def _raters(found: Sequence[NamedPreference], kind: Kind) -> str:
    """The judges or the people, by name where they are few."""
    names = list(dict.fromkeys(each.rater for each in found if each.kind == kind))
    if not names:
        return ""
    noun, plural = ("judge", "judges") if kind == "judge" else ("person", "people")
    counted = pluralize(len(names), noun, plural=plural)
    return f"{counted} ({', '.join(names)})" if len(names) <= NAMED else counted


def _renamed(preference: NamedPreference, names: Mapping[str, str]) -> NamedPreference:
    left, right = (names.get(each, each) for each in (preference.left, preference.right))
    return replace(preference, left=left, right=right)


def _assumed(baseline: str, names: Mapping[str, str]) -> str:
    said = f"{names[baseline]}, as you say" if names else f"{baseline}; --baseline gives it another name"
    return f"Arena-Hard's file does not name the baseline, which is taken to be {said}"


def _counted(collected: CollectedPreferences) -> Iterator[str]:
    """What of the rows does not stand in the numbers as it was said."""
    if collected.repeats:
        yield (
            f"{pluralize(collected.repeats, 'preference')} given again by the same rater, on the same item, "
            "pair and order: the latest counts"
        )
    itself = Counter(each.left for each in collected.preferences if each.left == each.right)
    for model, times in itself.items():
        yield (
            f"{pluralize(times, 'preference')} between {model} and itself: one half by definition, whatever "
            "they say"
        )
