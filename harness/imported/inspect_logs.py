"""Reads what `inspect_ai` logs: `.eval` archives sample by sample, and `.json` logs whole.

Read against 0.3.285 (`inspect_ai/log/_recorders`). A sample is paired by its id and by what it asks (see
`pairing`), and its epochs are draws of it. A log that ended early lacks samples: the size is that of the
whole dataset, and what lacks is in no pair. Of several logs of one task and model, the latest that ended well
is taken.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from harness.engine.given_answers import GivenAnswer
from harness.errors import DataError
from harness.files import MOST_NESTED, TOO_DEEP, logged_object, nested_deeper
from harness.imported.fields import beginning, digest_of_all, last_part
from harness.imported.inspect_conditions import asked_otherwise, conditions, described, tool
from harness.imported.inspect_reading import InspectReading, notes_of
from harness.imported.inspect_records import VERSION, InspectHeader, InspectSample, read_record
from harness.imported.inspect_rows import instructed, instructions_of, response_of, scores_of, shown
from harness.imported.score_tally import metrics_of
from harness.imported.tasks import ImportedTask
from harness.imported.zip_members import open_members
from harness.pluralize import pluralize
from harness.records.answers import Metric, Row

LOG = re.compile(r'\s*\{\s*"version":\s*\d+,\s*"status":\s*"[a-z]+",\s*"eval":')
"""How a `.json` log begins."""
HEADERS = ("header.json", "_journal/start.json")
"""Where an archive says what was run; of a run that was killed there is the second only."""
SAMPLE = re.compile(r"samples/.+_epoch_\d+\.json", re.DOTALL)
CHUNKED = re.compile(r"samples/.+_epoch_\d+/sample\.json", re.DOTALL)
IFEVAL = "ifeval"

Samples = Generator[tuple[str, InspectSample], None, None]
"""Samples, each with where in the file it is."""


def is_inspect(file: Path) -> bool:
    """Whether a file is named as inspect's archives are, or begins as its `.json` logs do."""
    return file.suffix == ".eval" or (file.suffix == ".json" and LOG.match(beginning(file)) is not None)


def read_inspect(files: Sequence[Path], wanted: Callable[[str], bool]) -> Iterator[ImportedTask]:
    """The logs that are wanted by the names of their tasks; of each model's the latest that ended well.

    Raises DataError for a log that is damaged or written in another version.
    """
    found: dict[tuple[str, str], list[_Log]] = defaultdict(list)
    for file in files:
        log = _Log.open(file)
        task = log.header.eval.task
        if wanted(task) or wanted(last_part(task)):
            found[log.header.eval.model, task].append(log)
    for logs in found.values():
        *others, latest = sorted(logs, key=lambda each: each.rank)
        names = ", ".join(each.file.name for each in others)
        yield latest.task([f"{names} left out: of the same task and model"] if others else [])


@dataclass
class _Log:
    """A log, whose samples are read as they are asked for."""

    file: Path
    header: InspectHeader
    reading: InspectReading = field(default_factory=InspectReading)

    @classmethod
    def open(cls, file: Path) -> "_Log":
        """A log's header. Raises DataError."""
        source, given = _header(file)
        version = given.get("version")
        if version != VERSION:
            raise DataError(
                source, 0, f"is of version {version!r} of inspect_ai's logs, and {VERSION} is read"
            )
        if nested_deeper(given, MOST_NESTED):
            raise DataError(source, 0, TOO_DEEP)
        return cls(file, read_record(InspectHeader, source, given))

    @property
    def rank(self) -> tuple[bool, str, str]:
        """What makes it the one that is taken of several."""
        return self.header.status == "success", self.header.eval.created, self.file.name

    @cached_property
    def drawn(self) -> int:
        """The last epoch that any sample has; known after the first reading."""
        return max((epoch for epochs in self.reading.places.values() for epoch in epochs), default=1)

    @property
    def epochs(self) -> int:
        """How many there should be of each sample."""
        said = self.header.eval.config.get("epochs")
        return max(said if isinstance(said, int) else 1, self.drawn)

    @cached_property
    def order(self) -> list[str]:
        """The ids of all samples, of those too that the log lacks: as they were asked, then by name.

        Known after the first reading.
        """
        listed = [str(each) for each in self.header.eval.dataset.sample_ids or ()]
        others = sorted(self.reading.places.keys() - set(listed), key=lambda each: (each.zfill(20), each))
        return [*dict.fromkeys(listed), *others]

    @property
    def size(self) -> int:
        """How many samples there should be."""
        dataset = self.header.eval.dataset
        said = len(dataset.sample_ids or ()) or dataset.samples or 0
        return max(said, len(self.order))

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Those that are taken; known after the first reading."""
        return metrics_of(self.reading.kept(self.header.eval.headline_metric))

    def task(self, notes: Sequence[str]) -> ImportedTask:
        """What the log says, after a first reading. Raises DataError."""
        for place, sample in self.samples():
            self.reading.add(place, sample)
        header, spec = self.header, self.header.eval
        expected = self.size * self.epochs
        whole = self.reading.answers == expected
        is_ifeval = self.reading.answers > 0 and self.reading.instructions
        notes = [*notes, *notes_of(header, self.reading, expected=expected, epochs=self.epochs)]
        if not self.reading.places:
            notes = [f"{self.file.name} holds no samples: its status is {header.status}"]
        elif is_ifeval and not (whole and self.epochs == 1):
            why = "it lacks some" if not whole else f"it has {pluralize(self.epochs, 'epoch')} of each"
            notes.append(
                f"{spec.task}: not scored by {IFEVAL}, which takes one answer to every prompt: {why}"
            )
        return ImportedTask(
            tool=tool(header),
            scored_by="inspect_ai",
            family="inspect",
            path=spec.model,
            model=last_part(spec.model),
            task=spec.task,
            definition=IFEVAL if is_ifeval and whole and self.epochs == 1 else None,
            version=str(spec.task_version),
            files=(self.file,),
            data_hash=digest_of_all(self.order),
            size=self.size,
            metrics=self.metrics,
            settings=conditions(header, self.epochs),
            asked_otherwise=asked_otherwise(header),
            seed=0,
            described=described(header),
            chat_template="the model's own, as inspect_ai's provider applies it",
            notes=tuple(notes),
            rows=self.rows,
            documents=self.documents,
            answers=self.answers,
        )

    def samples(self, places: Sequence[str] | None = None) -> Samples:
        """The samples at these places, or all."""
        yield from (_in_archive if self.file.suffix == ".eval" else _in_json)(self.file, places)

    def by_sample(self) -> Iterator[tuple[int, Mapping[int, InspectSample]]]:
        """Each sample's place in the order, and its epochs."""
        places = self.reading.places
        reading = self.samples([place for name in self.order for place in places.get(name, {}).values()])
        with closing(reading):
            for position, name in enumerate(self.order):
                if name in places:
                    yield position, {epoch: next(reading)[1] for epoch in places[name]}

    def rows(self) -> Iterator[Row]:
        """Every sample that is there, with the scores that inspect gave."""
        metrics = [each.name for each in self.metrics]
        for position, drawn in self.by_sample():
            epochs = [drawn.get(epoch) for epoch in range(1, self.drawn + 1)]
            yield Row(
                sample=shown(next(iter(drawn.values()))),
                responses=tuple(map(response_of, epochs)),
                scores=tuple(score for metric in metrics for score in scores_of(metric, epochs)),
                position=position,
            )

    def documents(self) -> list[Mapping[str, Any]]:
        """The samples as IFEval's own data have them."""
        return [instructions_of(self.file.name, sample) for sample in self._of_one_epoch()]

    def answers(self) -> list[GivenAnswer]:
        """What was answered to each."""
        return [
            GivenAnswer(
                where=f"{self.file.name}, sample {sample.id}",
                id=str(sample.id),
                prompt=instructed(sample),
                responses={0: response_of(sample)},
            )
            for sample in self._of_one_epoch()
        ]

    def _of_one_epoch(self) -> Iterator[InspectSample]:
        return (next(iter(drawn.values())) for _, drawn in self.by_sample())


def _header(file: Path) -> tuple[str, Mapping[str, Any]]:
    """What errors call a log's header, and the header."""
    if file.suffix != ".eval":
        given = _whole(file)
        return str(file), {key: value for key, value in given.items() if key != "samples"}
    with open_members(file) as members:
        name = next((name for name in HEADERS if name in members.names), None)
        if name is None:
            raise DataError(str(file), 0, f"lacks {' and '.join(HEADERS)}: it is not inspect_ai's")
        if any(map(CHUNKED.fullmatch, members.names)):
            raise DataError(
                str(file), 0, "holds its samples in chunks, which are not read: import the log it was made of"
            )
        return members.called(name), logged_object(members.called(name), members.read(name))


def _in_archive(file: Path, places: Sequence[str] | None) -> Samples:
    with open_members(file) as members:
        for name in filter(SAMPLE.fullmatch, members.names) if places is None else places:
            source = members.called(name)
            given = logged_object(source, members.read(name))
            yield name, read_record(InspectSample, source, given)


def _in_json(file: Path, places: Sequence[str] | None) -> Samples:
    listed = _whole(file).get("samples") or []
    if not isinstance(listed, list):
        raise DataError(str(file), 0, "samples: a list was expected")
    for place in range(len(listed)) if places is None else map(int, places):
        source = f"{file}, sample {place + 1}"
        yield str(place), read_record(InspectSample, source, listed[place])


def _whole(file: Path) -> dict[str, Any]:
    try:
        return logged_object(str(file), file.read_bytes())
    except OSError as error:
        raise DataError(str(file), 0, f"cannot be read: {error.strerror}") from error
