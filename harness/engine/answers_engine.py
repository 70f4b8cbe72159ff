"""An engine that gives answers which are in files already, and asks nobody.

A prompt's answer is the file's row with exactly this prompt: what is asked, or the sample before examples and
template are put around it. Else it is the row with the sample's id, and else the one whose prompt differs by
the blanks around it only. What has none is absent: unscored, and no failure that asking again could mend.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from hashlib import sha256
from pathlib import Path
from typing import cast

from harness.engine.given_answers import Asked, GivenAnswer, GivenAnswers, answer_files, prompt_key
from harness.engine.hashing import file_hash
from harness.engine.identity import Identity, as_asked
from harness.engine.noting_engine import NotingEngine
from harness.errors import DataError, ModelError
from harness.pluralize import pluralize
from harness.protocols import SERVED_TEMPLATE, EngineInfo, Suite
from harness.records.answers import (
    LogLikelihood,
    Message,
    Prompt,
    Response,
    Sample,
    SamplingParameters,
)
from harness.records.models import AnswerFiles, Json, Model
from harness.thoughts import separate_thought, tags_of
from harness.turns import as_text

ANSWERS_VERSION = 1
"""Changes whenever the same files would give other answers."""
FROM_FILES = "answers from a file"
"""What such an engine is called where it is described."""
MISSING = "without an answer"
MATCHED = "matched"
"""The key of a description that says how a suite's prompts were found in the files."""

Request = str | tuple[str, str]
"""A prompt's key, or a pair of context and continuation."""


def identify_answers(model: Model, source: AnswerFiles) -> Identity:
    """The files' content. Raises ModelError where they are not there."""
    try:
        hashes = sorted(file_hash(file) for file in answer_files(source.files))
    except DataError as error:
        raise ModelError(f"model {model.name!r}: {error}") from error
    parts: list[Json] = [ANSWERS_VERSION, list(hashes), source.generator]
    return Identity(
        fingerprint="sha256:" + sha256(json.dumps(parts).encode()).hexdigest(), chat_template=SERVED_TEMPLATE
    )


def read_answers(model: Model, source: AnswerFiles) -> GivenAnswers:
    """The answers. Raises ModelError, with the file and the row, for what cannot be read."""
    try:
        return GivenAnswers(answer_files(source.files), source.generator)
    except DataError as error:
        raise ModelError(f"model {model.name!r}: {error}") from error


def open_answers(model: Model, source: AnswerFiles) -> "AnswersEngine":
    """The engine of a model whose answers are in files. Raises ModelError."""
    described: dict[str, Json] = {"files": [Path(file).name for file in source.files]}
    if source.generator is not None:
        described["generator"] = source.generator
    identity = as_asked(identify_answers(model, source), model)
    return AnswersEngine(model, identity, read_answers(model, source), described)


class AnswersEngine:
    """Answers from files. Matches `harness.protocols.Engine`."""

    def __init__(
        self, model: Model, identity: Identity, given: GivenAnswers, described: Mapping[str, Json]
    ) -> None:
        """`described` is what a run records of where answers are from: `files`, and what else is known."""
        self._model, self._identity = model, identity
        self._given, self._described = given, described
        self._samples: dict[Request, dict[str, Sample]] = {}
        """The samples that each request is of, by their ids."""
        self._found: dict[Request, str] = {}
        """How the answer to each request was found."""
        self._used: set[int] = set()

    @property
    def info(self) -> EngineInfo:
        """The files' identity, described by what of the present suite was found in them."""
        return self._identity.info(
            {
                "engine": FROM_FILES,
                **self._described,
                **({MATCHED: self._matched} if self._found else {}),
                **self._model.chat_settings,
            }
        )

    @cached_property
    def can_score(self) -> bool:
        """Whether there are log-likelihoods."""
        return any(row.likelihoods for row in self._given.rows)

    def begin(self, suite: Suite) -> None:
        """Know which sample of this suite each prompt is of, and count anew how they are found."""
        noting = NotingEngine(self)
        rows = list(suite.rows(noting))
        requests = list(map(_request, noting.requests))
        self._samples = {}
        for row in rows:
            for answer in row.responses:
                if answer.key:
                    self._samples.setdefault(requests[int(answer.key)], {})[row.sample.id] = row.sample
        self._found = {}
        for asked in noting.requests:  # all of them: the store may have the answers, and then nobody asks
            self._look_up(asked)

    @property
    def unused(self) -> int:
        """How many of the answers nobody has asked for."""
        return len(self._given.rows) - len(self._used)

    def render(self, messages: Sequence[Message], *, open_turn: bool = True) -> str:
        """What is asked, as one text: nobody reads it."""
        return as_text(tuple(messages))

    def generate(
        self, prompts: Sequence[Prompt], sampling: SamplingParameters
    ) -> Iterator[tuple[int, Response]]:
        """Each prompt's answer as the file has it, before the first stop string, its thought beside it."""
        for index, prompt in enumerate(prompts):
            yield index, self._answer(prompt, sampling)

    def loglikelihood(
        self, pairs: Sequence[tuple[str, str]]
    ) -> Iterator[tuple[int, LogLikelihood | Response]]:
        """Each choice's log-likelihood; a choice is the same without the blanks around it."""
        for index, (context, continuation) in enumerate(pairs):
            row, choice = self._look_up((context, continuation)), continuation.strip()
            yield index, self._absent("no log-likelihood of it") if row is None else row.likelihoods[choice]

    def close(self) -> None:
        """Nothing is held."""

    def _answer(self, prompt: Prompt, sampling: SamplingParameters) -> Response:
        draw = prompt.draw if sampling.temperature > 0 else 0
        row = self._look_up(prompt)
        if row is None:
            clear = not self._given.is_ambiguous(prompt.content)
            return self._absent("no answer to it" if clear else "several answers to it, under different ids")
        answer = row.responses.get(draw)
        if answer is None:
            self._found[prompt_key(prompt.content)] = MISSING
            answers = [each for each in row.responses.values() if each is not None]
            had = pluralize(len(answers), "answer")
            return self._absent(f"{had} to it, and not one more" if answers else "no answer to it")
        return separate_thought(answer, tags=tags_of(self._model), stop=sampling.stop)

    def _absent(self, what: str) -> Response:
        files = cast("Sequence[str]", self._described["files"])
        return Response(text="", stop_reason="absent", reason=f"{', '.join(files)} has {what}")

    def _look_up(self, asked: Prompt | tuple[str, str]) -> GivenAnswer | None:
        """The row that answers a prompt, or scores a pair."""
        if isinstance(asked, Prompt):
            return self._row(_request(asked), asked.content, lambda row: bool(row.responses))
        context, continuation = asked
        return self._row(asked, context, partial(_scores, continuation.strip()))

    def _row(self, request: Request, asked: Asked, has: Callable[[GivenAnswer], bool]) -> GivenAnswer | None:
        """The row that answers a request, of those that have such an answer."""
        samples = self._samples.get(request, {}).values()
        given = self._given
        ways: Mapping[str, Iterable[GivenAnswer | None]] = {
            "by prompt": map(given.by_prompt, [asked, *(each.prompt for each in samples)]),
            "by id": [_only(row for each in samples if (row := self._of_id(each)) is not None and has(row))],
            "after trimming white space": map(
                given.by_trimmed_prompt, [asked, *(each.prompt for each in samples)]
            ),
        }
        for way, rows in ways.items():
            row = next((row for row in rows if row is not None and has(row)), None)
            if row is not None:
                self._found[request] = way
                self._used.add(id(row))
                return row
        self._found[request] = MISSING
        return None

    def _of_id(self, sample: Sample) -> GivenAnswer | None:
        """The row with a sample's id, unless its own prompt is another one."""
        row = self._given.by_id(sample.id)
        if row is None or row.prompt is None:
            return row
        mine, theirs = as_text(sample.prompt).strip(), as_text(row.prompt).strip()
        return row if mine in theirs or theirs in mine else None

    @property
    def _matched(self) -> str:
        counted = Counter(self._found.values())
        total = sum(counted.values())
        ways = ", ".join(f"{number:,} {way}" for way, number in counted.most_common())
        unused = f"; {pluralize(self.unused, 'answer')} to prompts that nobody asked" if self.unused else ""
        return f"{pluralize(total, 'request')}: {ways}{unused}"


def _only(rows: Iterable[GivenAnswer]) -> GivenAnswer | None:
    """What all of these say; None where they differ, as one request has one answer."""
    found = list(rows)
    return found[0] if found and all(each.says == found[0].says for each in found) else None


def _scores(choice: str, row: GivenAnswer) -> bool:
    return choice in row.likelihoods


def _request(asked: Prompt | tuple[str, str]) -> Request:
    return prompt_key(asked.content) if isinstance(asked, Prompt) else asked
