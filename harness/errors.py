"""Every error this project raises on purpose, as one tree.

    HarnessError
    ├── UsageError              wrong use: exit code 2
    │   ├── ConfigError         a mistake in harness.toml: names the file and the key
    │   ├── UnknownName         a name nothing defines: proposes the nearest right one
    │   ├── DataError           a data file that cannot be read: names the file and the row
    │   ├── ModelError          a folder, hub id or server that is not a usable model
    │   │   └── SchemaRefused   a service that will not hold its answers to a JSON schema
    │   ├── DownloadNeeded      something must come from a hub and no network or cache gives it
    │   ├── AnswersMissing      answers that were to come from the store, and are not all there
    │   └── StoreError          a results store that cannot be opened
    └── WorkFailed              work stopped part-way and can be resumed: exit code 3
        ├── EngineError         a model gave something that is no answer (NaN logits), or none at all
        │   └── UnreadableReply a judge's reply from which no judgement can be read
        ├── AnswersFailed       everything was asked, and some answers failed
        ├── BudgetReached       what may be spent does not suffice for the next request
        ├── HoursReached        the time is over that a command may take
        ├── JudgeUnreadable     a judge is asked no further, since its replies cannot be read
        ├── TrainingError       a stage could not be finished
        ├── DiskFull            the store or a candidate could not be written
        └── StoreLost           the server of the results store went away

A message says what is wrong, where, and what to do. The command line prints it without a traceback;
everything else that escapes is a defect: exit code 70, and its traceback is kept in a file.
"""

from collections.abc import Callable, Iterable
from difflib import get_close_matches

AT_MOST_LISTED = 50
"""Names that a message may list. lm-eval knows thousands."""


class HarnessError(Exception):
    """The root of the tree. `exit_code` is what the command line returns."""

    exit_code = 2

    def __reduce__(self) -> tuple[Callable[..., "HarnessError"], tuple[object, ...]]:
        """Processes send it to each other, though every kind is made from arguments of its own."""
        return _restored, (type(self), self.args, self.__dict__)


def _restored(
    kind: type[HarnessError], arguments: tuple[object, ...], state: dict[str, object]
) -> HarnessError:
    error = kind.__new__(kind, *arguments)
    error.__dict__.update(state)
    return error


class UsageError(HarnessError):
    """The user asked for something that cannot be done as asked."""


class ConfigError(UsageError):
    """A mistake in a configuration file.

    `file` is the path, `key` the dotted key (`pipelines.grpo.stages[1].epochs`) or a line number.
    """

    def __init__(self, file: str, key: str, message: str) -> None:
        self.file, self.key = file, key
        super().__init__(f"{file}: {key}: {message}" if key else f"{file}: {message}")


class UnknownName(UsageError):
    """Nothing is defined under this name. The nearest defined name is proposed."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        self.kind, self.name, self.known = kind, name, sorted(known)
        super().__init__(f"there is no {kind} named {name!r}{nearest(name, self.known)}")


class DataError(UsageError):
    """A data file that cannot be used. `row` counts from 1, as an editor does; 0 is the whole file."""

    def __init__(self, file: str, row: int, message: str) -> None:
        self.file, self.row, self.message = file, row, message
        super().__init__(f"{file}, row {row}: {message}" if row else f"{file}: {message}")


class ModelError(UsageError):
    """A folder, hub id or server that is not a usable model."""


class SchemaRefused(ModelError):
    """A service that was asked for answers by a JSON schema, and does not take the request so."""


class DownloadNeeded(UsageError):
    """Something must be downloaded, and neither a network nor a cache gives it."""


class AnswersMissing(UsageError):
    """The store was to give all `asked` answers, and `missing` of them are not there."""

    def __init__(self, missing: int, asked: int) -> None:
        self.missing, self.asked = missing, asked
        super().__init__(f"{missing} of {asked} answers are not in the store")


class StoreError(UsageError):
    """The results store cannot be opened or used as it is."""


class WorkFailed(HarnessError):
    """Work stopped part-way. What was done is kept, and the same command resumes it."""

    exit_code = 3


class EngineError(WorkFailed):
    """A model gave something that is no answer, or none at all."""


class AnswersFailed(WorkFailed):
    """Everything was asked, and some answers failed. The same command asks just those again."""


class BudgetReached(WorkFailed):
    """Another request might cost more than what is left. With a larger budget the same command goes on."""


class HoursReached(WorkFailed):
    """The time is over that a command may take. The same command goes on."""


class JudgeUnreadable(WorkFailed):
    """A judge's replies cannot be read in any form, so that it is not paid for the rest."""


class UnreadableReply(EngineError):
    """A judge's reply from which no judgement can be read: the item stays unscored, work can go on."""


class TrainingError(WorkFailed):
    """A training stage could not be finished."""


class DiskFull(WorkFailed):
    """Something could not be written. What was written before is intact."""


class StoreLost(WorkFailed):
    """The server of the results store ended the connection, or went away. What was committed is intact."""


def nearest(name: str, known: Iterable[str]) -> str:
    """The tail of a message about an unknown name: the nearest known one, or all where they are few."""
    known = sorted(known)
    close = get_close_matches(name, known, n=1)
    if close:
        return f"; did you mean {close[0]!r}?"
    if len(known) > AT_MOST_LISTED:
        return f"; none of the {len(known)} known ones is near it"
    return f"; known: {', '.join(known)}" if known else "; none is defined"
