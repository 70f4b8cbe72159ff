"""The verb `blind`: make a blind test, open its ballot box, audit, unseal, and export or import ballots."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from harness.errors import DiskFull, UsageError
from harness.named_preferences import named
from harness.records.answers import SamplingParameters
from harness.records.preferences import Study
from harness.store import Store
from harness.verbs.pairs import answer_pairs
from harness.verbs.progress import Progress
from harness.verbs.project import Project
from suites.blind.audit import Audit, audit
from suites.blind.ballots import BallotBox, RaterProgress, find_study
from suites.blind.design import Design, Plan, check_name, check_plan, make_design
from suites.blind.preferences import as_rater, preferences, rater_states
from suites.blind.sealing import open_design, seal
from suites.blind.spreadsheet import ImportedVotes, ballots_as_csv, read_votes

MAKER = "harness blind new A B"
"""The command that makes a store with a blind test in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyProgress:
    """Where a blind test is."""

    study: Study
    raters: Mapping[str, RaterProgress]


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyRequest:
    """What a blind test is to be about, and how it is drawn."""

    plan: Plan
    prompts: str | None
    """What is answered: see `harness.verbs.pairs.answer_pairs`."""
    sampling: SamplingParameters
    name: str | None = None
    """None: `blind-1`, `blind-2`, …"""
    language: str = "en"
    """The language of the rating page: `en` or `pt`."""
    seed: str | None = None
    """Draws order and sides; None: drawn, too."""


def new_study(
    project: Project, names: Sequence[str], request: StudyRequest, *, progress: Progress | None = None
) -> tuple[Study, Design]:
    """Have the models answer what they have not answered yet, and seal a design of who rates what.

    Raises UsageError for a name that is taken, and as `answer_pairs` and `make_design` do.
    """
    check_plan(request.plan)
    if request.name is not None:
        check_name("blind test", request.name)
    with project.store() as store:
        name = _free_name(store, request.name)
        progress = progress or Progress()
        answered = answer_pairs(
            project, names, store, progress, prompts=request.prompts, sampling=request.sampling
        )
        design = make_design(
            answered.pairs,
            request.plan,
            name=name,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            prompts=answered.prompts,
            language=request.language,
            seed=request.seed,
        )
        study = seal(design)
        if not store.studies.keep(study):
            raise UsageError(_taken(name))
    return study, design


@contextmanager
def ballot_box(project: Project, study: str | None) -> Iterator[BallotBox]:
    """The ballot box of a blind test, while it is in use; None: of the only one. Raises as `BallotBox`."""
    with project.existing_store(MAKER) as store:
        yield BallotBox(store, study)


@contextmanager
def open_votes(project: Project, study: str | None) -> Iterator[BallotBox]:
    """The same of a blind test that takes votes. Raises UsageError after unsealing."""
    with ballot_box(project, study) as box:
        if not box.is_sealed:
            raise UsageError(f"the blind test {box.study!r} is unsealed: votes are closed")
        yield box


def list_studies(project: Project) -> list[StudyProgress]:
    """Every blind test, oldest first, and how far its raters are."""
    with project.existing_store(MAKER, reading=True) as store:
        return [_standing(store, study) for study in store.studies.find()]


def audit_study(project: Project, study: str | None, *, commitment: str | None = None) -> Audit:
    """What the votes show of the raters so far, and of the models where it is unsealed.

    `commitment` is the one that was printed when it was made. Raises as `find_study` and `open_design` do.
    """
    with project.existing_store(MAKER, reading=True) as store:
        found = find_study(store, study)
        return _audit(project, store, found, open_design(found, commitment))


def unseal_study(
    project: Project, study: str | None, *, now: bool = False, commitment: str | None = None
) -> Audit:
    """Reveal which side was whose, record when, and keep the choices as preferences.

    The time of the first unsealing stays, and no vote is taken after it. Raises UsageError while ballots are
    open, unless `now`; and as `audit_study` does.
    """
    with project.existing_store(MAKER) as store:
        found = find_study(store, study)
        design = open_design(found, commitment)
        if found.unsealed is None and not now:
            _check_done(_audit(project, store, found, design))
        store.studies.unseal(found.name, datetime.now(UTC).isoformat(timespec="seconds"))
        found = find_study(store, found.name)
        audited = _audit(project, store, found, design)
        state = rater_states(design, store.studies.votes(found.name))
        for each in audited.raters:
            store.preferences.keep_rater(as_rater(found, each.rater, each.flags))
            store.preferences.keep(preferences(design, each.rater, state[each.rater]))
        return audited


def export_ballots(project: Project, study: str | None, file: Path, raters: Sequence[str] = ()) -> int:
    """Write the open ballots of these raters, or of all, as CSV; how many.

    Raises UsageError where there is such a file, which somebody may have filled in, and after unsealing; and
    as `ballots_as_csv` does.
    """
    with open_votes(project, study) as box:
        text, count = ballots_as_csv(box, raters or list(box.links()))
    try:
        with file.open("x", encoding="utf-8-sig", newline="") as new:
            new.write(text)
    except FileExistsError as error:
        raise UsageError(f"{file} is there already, perhaps with votes in it; name another file") from error
    except OSError as error:
        raise DiskFull(f"{file}: the ballots cannot be written ({error.strerror})") from error
    return count


def import_votes(project: Project, study: str | None, file: Path) -> ImportedVotes:
    """Vote as a filled CSV file says. Raises as `read_votes` does."""
    with ballot_box(project, study) as box:
        return read_votes(box, file)


def _free_name(store: Store, name: str | None) -> str:
    taken = {study.name for study in store.studies.find()}
    if name in taken:
        raise UsageError(_taken(name))
    numbered = (f"blind-{number}" for number in range(1, len(taken) + 2))
    return name or next(each for each in numbered if each not in taken)


def _taken(name: str) -> str:
    return f"there is a blind test named {name!r} already, and what is sealed stays; choose another --name"


def _standing(store: Store, study: Study) -> StudyProgress:
    box = BallotBox(store, study.name)
    return StudyProgress(study=study, raters={rater: box.progress(rater) for rater in box.links()})


def _audit(project: Project, store: Store, study: Study, design: Design) -> Audit:
    raters = [as_rater(study, rater, ()) for rater in design.assignments]
    resolve = partial(named, store, raters=raters)
    return audit(study, design, store.studies.votes(study.name), resolve, project.analysis_plan())


def _check_done(audited: Audit) -> None:
    waiting = [
        f"{each.rater} {each.ballots - each.done}" for each in audited.raters if each.done < each.ballots
    ]
    if waiting:
        raise UsageError(
            f"ballots of the blind test {audited.study!r} are still open ({', '.join(waiting)}), and after "
            "unsealing no vote is taken; let them be voted on, or end it here with --now"
        )
