"""The verb `preferences`: what judges and humans preferred, from the store or from a file.

No model is loaded or asked.
"""

from collections.abc import Sequence
from pathlib import Path

from harness.errors import UnknownName, UsageError
from harness.imported.preference_files import ForeignPreferences, read_preference_files
from harness.named_preferences import caveats, named_preferences
from harness.preferences.analysis import analyse
from harness.preferences.named import NamedPreference
from harness.preferences.results import Analysis
from harness.verbs.project import Project


def analyse_preferences(
    project: Project, names: Sequence[str] = (), *, baseline: str | None = None
) -> Analysis:
    """What judges and unsealed blind tests say about these models (all, where none is named).

    The baseline is the first name unless one is given. Raises UsageError where the store has no preference
    of their newest answers, and UnknownName for a model that it has no answers of.
    """
    named = _named(names, baseline)
    found = _kept(project, named if names else [])
    models = {name for each in found for name in (each.left, each.right)}
    wanted = next(iter(named), project.registry.compare.baseline)
    if baseline is not None and baseline not in models:
        raise UnknownName("judged model", baseline, models)
    return analyse(found, project.analysis_plan(), baseline=wanted if wanted in models else None)


def notes(project: Project, names: Sequence[str] = (), *, baseline: str | None = None) -> list[str]:
    """What to know of what `analyse_preferences` says: what is left out, and whom not to rely on."""
    with project.store() as store:
        return caveats(store, _named(names, baseline) if names else [])


def analyse_preferences_file(
    file: Path | Sequence[Path], names: Sequence[str] = (), *, baseline: str | None = None
) -> Analysis:
    """The same of files, of ours or of AlpacaEval, Arena-Hard, MT-Bench or PandaLM; no project is needed.

    Raises DataError for a file of no known form, and UnknownName for a model that it does not name.
    """
    files = [file] if isinstance(file, Path) else file
    return analyse_foreign(read_preferences_of(files, names, baseline=baseline), names, baseline=baseline)


def read_preferences_of(
    files: Sequence[Path], names: Sequence[str] = (), *, baseline: str | None = None
) -> ForeignPreferences:
    """What these files say, with what to know of it. Raises DataError."""
    return read_preference_files(files, baseline=next(iter(_named(names, baseline)), None))


def analyse_foreign(
    found: ForeignPreferences, names: Sequence[str] = (), *, baseline: str | None = None
) -> Analysis:
    """What preferences from files come to. Raises UnknownName for a model that they are not about."""
    models = list(dict.fromkeys(name for each in found.preferences for name in (each.left, each.right)))
    named = _named(names, baseline)
    where = str(found.files[0]) if len(found.files) == 1 else "these files"
    for name in named:
        if name not in models:
            raise UnknownName(f"model in {where}", name, models)
    kept = [each for each in found.preferences if not names or {each.left, each.right} <= set(named)]
    if not kept:
        hold = "holds" if len(found.files) == 1 else "hold"
        raise UsageError(f"{where} {hold} no preference between {' and '.join(named)}")
    baselines = [each for each in found.baselines if not names or each in named]
    return analyse(kept, baseline=next(iter([*named, *baselines]), None), baselines=baselines)


def _named(names: Sequence[str], baseline: str | None) -> list[str]:
    """The baseline first. Raises UsageError for a single name: a preference is between two."""
    named = list(dict.fromkeys([*([baseline] if baseline else []), *names]))
    if names and len(named) < 2:
        raise UsageError(
            f"a preference is between two models, and {named[0]!r} is one: name two models, or none"
        )
    return named


def _kept(project: Project, names: Sequence[str]) -> list[NamedPreference]:
    with project.existing_store("harness judge", reading=True) as store:
        answered = dict.fromkeys(run.model for run in store.runs.find())
        for name in names:
            if name not in answered:
                raise UnknownName("model with answers", name, answered)
        found = named_preferences(store, names)
        if not found:
            about = f" about {' and '.join(names)}" if names else ""
            raise UsageError(
                f"{store.name} holds no preference{about} that belongs to the newest answers; "
                "`harness judge` asks a judge, and a blind test counts once it is unsealed"
            )
    return found
