"""The verb that says what judges and humans preferred, from the store or from a file.

It asks nobody and loads no model. It does not know how any of it is shown.
"""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from harness.errors import UnknownName, UsageError
from harness.judgements import judgements
from harness.preferences import Analysis, Judgement, analyse, read_judgements
from harness.store import Store
from harness.verbs.project import Project


def preferences(project: Project, names: Sequence[str] = (), *, baseline: str | None = None) -> Analysis:
    """What judges and unsealed blind tests say about these models (all, where none is named).

    The baseline is the first name unless one is given. Raises UsageError where the store has no judgement
    of their newest runs, and UnknownName for a model that it has no run of.
    """
    settings, compare = project.registry.project, project.registry.compare
    named = list(dict.fromkeys([*([baseline] if baseline else []), *names]))
    found = _kept(project, names and named)
    chosen = baseline or next(iter(names), None) or compare.baseline
    models = {name for each in found for name in (each.left, each.right)}
    return analyse(
        found,
        baseline=chosen if chosen in models else None,
        level=compare.level,
        resamples=compare.resamples,
        seed=settings.seed,
    )


def preferences_from(
    file: Path, names: Sequence[str] = (), *, baseline: str | None = None, level: float = 0.95, seed: int = 0
) -> Analysis:
    """The same of a CSV file, `harness.preferences.files` says in which form; no project is needed.

    Raises DataError for a file that is not in this form, and UnknownName for a model that it does not name.
    """
    found = read_judgements(file)
    models = list(dict.fromkeys(name for each in found for name in (each.left, each.right)))
    named = list(dict.fromkeys([*([baseline] if baseline else []), *names]))
    for name in named:
        if name not in models:
            raise UnknownName(f"model in {file}", name, models)
    kept = [each for each in found if not names or {each.left, each.right} <= set(named)]
    if not kept:
        raise UsageError(f"{file} has no judgement between {' and '.join(named)}")
    return analyse(kept, baseline=next(iter(named), None), level=level, seed=seed)


def _kept(project: Project, names: Sequence[str]) -> list[Judgement]:
    url = project.registry.project.store
    if not Store.exists(url):
        raise UsageError(f"{url}: there is no results store here yet; `harness judge` makes one")
    with closing(project.store()) as store:
        evaluated = dict.fromkeys(run.model for run in store.runs())
        for name in names:
            if name not in evaluated:
                raise UnknownName("model with answers", name, evaluated)
        found = judgements(store, names)
        if not found:
            about = f" about {' and '.join(names)}" if names else ""
            raise UsageError(
                f"{store.name} holds no preference{about} that belongs to the newest answers; "
                "`harness judge` asks a judge, and a blind test counts once it is unsealed"
            )
    return found
