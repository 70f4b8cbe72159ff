"""The results store's one door: open it by URL, keep what happened, ask what is known.

Every `keep_…` is one transaction: when it returns, what it was given survives the death of the process.
Several processes may use one store at once.

It does not know how answers come about, nor what they mean.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Self

from harness.records.answers import Asked, Metric, Observation, Row, Run
from harness.records.models import Json
from harness.records.preferences import Preference, Rater, Study, Vote
from harness.store import answers, models, preferences, removal, runs, stages, studies, verify
from harness.store.answers import KeptAnswer
from harness.store.database import Database, exists
from harness.store.encoding import Answer
from harness.store.migrations import bring_forward
from harness.store.models import KeptModel
from harness.store.removal import Removal
from harness.store.runs import CutAnswers, Failures
from harness.store.stages import KeptStage

if TYPE_CHECKING:
    import pandas as pd

ROWS_AT_ONCE = 200
"""Rows read per query by `Store.rows`, so that a run of any size takes little memory."""


class Store:
    """An open results store. Methods raise StoreError where it cannot be used, DiskFull on a full disk."""

    def __init__(self, database: Database) -> None:
        """Use `Store.open`."""
        self._database = database

    @classmethod
    def open(cls, url: str) -> Self:
        """Open a store by its SQLAlchemy URL, making it or bringing it forward as needed.

        Raises StoreError for a file that is not a database or belongs to something else, for a read-only
        or newer store, and for one that stays locked; DiskFull for a full disk.
        """
        database = Database(url)
        try:
            with database.writing() as connection:
                bring_forward(connection, database.name)
        except BaseException:  # an interrupt too: no connection is left behind
            database.close()
            raise
        return cls(database)

    @property
    def name(self) -> str:
        """What messages call it: the file, or the URL without its password."""
        return self._database.name

    @staticmethod
    def exists(url: str) -> bool:
        """Whether there is a store to look into, so that looking need not make an empty one.

        Of a store on a server that shows only when it is opened. Raises StoreError for a URL of another kind.
        """
        return exists(url)

    def close(self) -> None:
        """Close every connection."""
        self._database.close()

    def __enter__(self) -> Self:
        """The store itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    # ------------------------------------------------------------ answers

    def known_answers(self, keys: Sequence[str]) -> dict[str, Answer]:
        """The answers kept under these keys, each with its key, in the order of the keys."""
        with self._database.reading() as connection:
            return answers.known_answers(connection, keys)

    def keep_answers(self, kept: Sequence[KeptAnswer]) -> dict[str, Answer]:
        """Keep answers, and return what is now kept under their keys: the first one kept stays."""
        with self._database.writing() as connection:
            return answers.keep_answers(connection, kept)

    def begin_keeping(
        self, take: Callable[[], Sequence[KeptAnswer]], *, when: Callable[[], object]
    ) -> Future[dict[str, Answer]]:
        """`keep_answers` of what `take` gives once `when` returns, while the caller goes on.

        Both are called in the store's thread. Of a database in memory it is done at once, on return.
        """
        return self._database.beside(lambda: self.keep_answers(take()), when=when)

    # ------------------------------------------------------------ models and runs

    def keep_model(
        self,
        name: str,
        fingerprint: str,
        source: Mapping[str, Json],
        description: Mapping[str, Json],
        chat_template: str | None,
    ) -> None:
        """Keep what a model's name stands for. Comes before `begin_run`."""
        with self._database.writing() as connection:
            models.keep_model(connection, name, fingerprint, source, description, chat_template)

    def model(self, name: str, fingerprint: str) -> KeptModel | None:
        """The model a run names; None where it was never kept."""
        with self._database.reading() as connection:
            return models.find_model(connection, name, fingerprint)

    def begin_run(self, run: Run) -> None:
        """Keep a run, unless it is there: a killed run continues under its id."""
        with self._database.writing() as connection:
            runs.begin_run(connection, run)

    def keep_rows(self, run_id: str, rows: Sequence[tuple[int, Row]]) -> None:
        """Keep (position, row) pairs of a run, after their answers; a row that is there is replaced."""
        with self._database.writing() as connection:
            runs.keep_rows(connection, run_id, rows)

    def finish_run(
        self, run_id: str, finished: str, engine: Mapping[str, Json] = MappingProxyType({})
    ) -> None:
        """Say when a run became whole (ISO 8601, UTC), and what its engine says of itself only now.

        The first time stays.
        """
        with self._database.writing() as connection:
            runs.finish_run(connection, run_id, finished, engine)

    def keep_asked(self, run_id: str, asked: Asked, metrics: Sequence[Metric]) -> None:
        """Keep as what a run was asked for now, so that a report finds the one that is meant.

        `metrics` are the run's as the suite has them now: what is no part of a run may have changed.
        """
        with self._database.writing() as connection:
            runs.keep_asked(connection, run_id, asked, metrics)

    def run(self, run_id: str) -> Run | None:
        """The run of this id."""
        with self._database.reading() as connection:
            return next(iter(runs.find_runs(connection, run_id=run_id)), None)

    def runs(self, *, model: str | None = None, suite: str | None = None) -> list[Run]:
        """Runs of this model and suite, finished or not, oldest first; None is any."""
        with self._database.reading() as connection:
            return runs.find_runs(connection, model=model, suite=suite)

    def latest_run(self, model: str, suite: str) -> Run | None:
        """The run of this model's name and suite that finished last; None where none has."""
        with self._database.reading() as connection:
            return runs.latest_run(connection, model, suite)

    def plan_removal(self, run_id: str) -> Removal:
        """What would go with a run that is here: see `harness.store.removal`."""
        with self._database.reading() as connection:
            return removal.plan_removal(connection, run_id)

    def remove_run(self, run_id: str) -> None:
        """Take a run out, with what nothing else holds. Its model must not be asked for it meanwhile."""
        with self._database.writing() as connection:
            removal.remove_run(connection, run_id)

    def rows_of(self, run_id: str) -> int:
        """How many rows of a run are here."""
        with self._database.reading() as connection:
            return runs.count_rows(connection, run_id)

    def observations(self, run_id: str) -> dict[str, list[Observation]]:
        """Every score of a run by metric, unscored ones too, in the order of rows and parts."""
        with self._database.reading() as connection:
            return runs.observations(connection, run_id)

    def tags(self, run_id: str) -> dict[str, Mapping[str, Json]]:
        """The tags of a run's samples, by the sample's id."""
        with self._database.reading() as connection:
            return runs.tags(connection, run_id)

    def unscored(self, run_id: str) -> dict[str, dict[str, int]]:
        """How many scores have no value: metric, then reason, then count."""
        with self._database.reading() as connection:
            return runs.unscored(connection, run_id)

    def failures(self, run_id: str) -> Failures | None:
        """How many answers of a run failed, and why; None where none did."""
        with self._database.reading() as connection:
            return runs.failures(connection, run_id)

    def cut_answers(self, run_id: str) -> CutAnswers | None:
        """How many of a run's generated answers ended because their tokens ran out; None where none did."""
        with self._database.reading() as connection:
            return runs.cut_answers(connection, run_id)

    def rows(self, run_id: str) -> Iterator[Row]:
        """A run's rows by position, answers and scores included, read as they are asked for."""
        position = -1
        while page := self._page(run_id, position):
            yield from page
            position = page[-1].position

    def frame(self, run_ids: Sequence[str]) -> "pd.DataFrame":
        """One line per score of these runs: see `harness.store.frames`."""
        from harness.store.frames import frame  # noqa: PLC0415 - pandas is slow to load; notebooks need it

        with self._database.reading() as connection:
            return frame(connection, run_ids)

    def _page(self, run_id: str, position: int) -> list[Row]:
        with self._database.reading() as connection:
            return runs.rows_after(connection, run_id, position, ROWS_AT_ONCE)

    # ------------------------------------------------------------ training and raters

    def keep_stage(self, stage: KeptStage) -> None:
        """Keep what a pipeline trained."""
        with self._database.writing() as connection:
            stages.keep_stage(connection, stage)

    def stages(self, pipeline: str | None = None) -> list[KeptStage]:
        """What one pipeline trained, or all did: by pipeline, position and time."""
        with self._database.reading() as connection:
            return stages.find_stages(connection, pipeline)

    def keep_rater(self, rater: Rater) -> None:
        """Keep who a rater is. Comes before the preferences that name it."""
        with self._database.writing() as connection:
            preferences.keep_rater(connection, rater)

    def raters(self) -> list[Rater]:
        """Everybody whose preferences may be kept, by id."""
        with self._database.reading() as connection:
            return preferences.find_raters(connection)

    def keep_preferences(self, chosen: Sequence[Preference]) -> None:
        """Keep raters' choices about samples that both runs have rows of."""
        with self._database.writing() as connection:
            preferences.keep_preferences(connection, chosen)

    def forget_preferences(self, rater: str, left_run: str, right_run: str) -> None:
        """Take a rater's choices between two runs back; the replies that they were read from stay."""
        with self._database.writing() as connection:
            preferences.forget_preferences(connection, rater, left_run, right_run)

    def preferences(
        self, *, left_run: str | None = None, right_run: str | None = None, rater: str | None = None
    ) -> list[Preference]:
        """Raters' choices between these runs; None is any."""
        with self._database.reading() as connection:
            return preferences.find_preferences(connection, left_run, right_run, rater)

    # ------------------------------------------------------------ blind tests

    def keep_study(self, study: Study) -> bool:
        """Keep a new blind test; False where one of this name is there, which stays as it is."""
        with self._database.writing() as connection:
            return studies.keep_study(connection, study)

    def study(self, name: str) -> Study | None:
        """The blind test of this name."""
        with self._database.reading() as connection:
            return next(iter(studies.find_studies(connection, name)), None)

    def studies(self) -> list[Study]:
        """Every blind test, oldest first."""
        with self._database.reading() as connection:
            return studies.find_studies(connection, None)

    def unseal_study(self, name: str, unsealed: str) -> None:
        """Record when a blind test was unsealed (ISO 8601, UTC). The first time stays."""
        with self._database.writing() as connection:
            studies.unseal_study(connection, name, unsealed)

    def unsealed(self, name: str) -> str | None:
        """When a blind test was unsealed; None: it is sealed. The design is not read."""
        with self._database.reading() as connection:
            return studies.when_unsealed(connection, name)

    def keep_votes(self, votes: Sequence[Vote]) -> int:
        """Add votes after those that are there, and say how many were new: a token counts once per rater."""
        with self._database.writing() as connection:
            return studies.keep_votes(connection, votes)

    def votes(self, study: str, *, rater: str | None = None) -> list[Vote]:
        """The votes of a blind test in the order they came, undone ones too; None is every rater's."""
        with self._database.reading() as connection:
            return studies.find_votes(connection, study, rater)

    # ------------------------------------------------------------ trust

    def verify(self) -> list[str]:
        """One line per request, sample, key or row that is not as its hash says; empty where all is well."""
        with self._database.reading() as connection:
            return list(verify.complaints(connection))

    def counts(self) -> dict[str, int]:
        """How many of everything that `verify` looks at is here, by table."""
        with self._database.reading() as connection:
            return verify.counts(connection)

    def unused_bytes(self) -> int:
        """What of the file holds nothing, and is filled before it grows again; 0 on a server."""
        return self._database.unused_bytes()

    def compact(self) -> None:
        """Give the file's unused space back. Raises DiskFull: until it is done, the file is there twice."""
        self._database.compact()
