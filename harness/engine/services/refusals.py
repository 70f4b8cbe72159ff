"""Requests that a service refuses (400, 413, 422): one that cannot be answered, or all of them.

A prompt that is too long, or that a policy forbids, is refused for its content: its answer is `refused`,
which is data, and the work goes on. A wrong model name or a parameter that the service does not know is
refused with the same statuses, and then no request will ever be answered. So refusals are held back until an
answer shows that such requests are accepted. Where none comes, the same request is sent with a short text: if
that is refused too, the configuration must be corrected, and nothing is kept. One such result holds for all
further requests that are asked in the same way.
"""

from collections.abc import Callable, Generator, Hashable
from contextlib import closing
from dataclasses import replace

from harness.errors import EngineError, ModelError
from harness.records.answers import Response

STATUSES = (400, 413, 422)
"""HTTP statuses of a request that a service will not answer as it is."""
HELD = 8
"""Number of refusals without any answer, after which the short text is tried."""
SHORT_TEXT = "Say yes."


class RequestRefused(Exception):
    """A request was refused. It never leaves the engines.

    `reason` is the service's, `error` what to raise where requests with a short text are refused too.
    """

    def __init__(self, reason: str, error: ModelError) -> None:
        self.reason, self.error = reason, error
        super().__init__(reason)

    @property
    def answer(self) -> Response:
        """The request's answer, where others are answered."""
        return Response(text="", stop_reason="refused", reason=self.reason)


class Refusals:
    """Which kinds of requests one service is known to accept."""

    def __init__(self, unanswered: Callable[[str | None], EngineError]) -> None:
        """`unanswered` makes the error for a short text that got no answer, from the reason."""
        self._unanswered = unanswered
        self._taken: set[Hashable] = set()

    def resolved(
        self,
        answers: Generator[tuple[int, Response | RequestRefused]],
        with_short_text: Callable[[int], Response | RequestRefused],
        way: Hashable,
    ) -> Generator[tuple[int, Response]]:
        """The answers, refused ones among them, as soon as it is clear that not everything is refused.

        `with_short_text` asks the request of an index anew; where that is refused as well, its error is
        raised. The tokens that this takes are counted to the first refused answer. `way` is what all these
        requests have in common but their texts.
        """
        held: list[tuple[int, Response]] = []
        with closing(answers):
            for index, answer in answers:
                if isinstance(answer, RequestRefused):
                    held.append((index, answer.answer))
                else:
                    yield index, answer
                    if answer.stop_reason != "failed":
                        self._taken.add(way)
                if len(held) == HELD and way not in self._taken:
                    held[0] = self._tried(held[0], with_short_text)
                    self._taken.add(way)
                if way in self._taken:
                    yield from held
                    held.clear()
        if held:
            held[0] = self._tried(held[0], with_short_text)
            self._taken.add(way)
            yield from held

    def _tried(
        self, refused: tuple[int, Response], with_short_text: Callable[[int], Response | RequestRefused]
    ) -> tuple[int, Response]:
        index, answer = refused
        trial = with_short_text(index)
        if isinstance(trial, RequestRefused):
            raise trial.error
        if trial.stop_reason == "failed":
            raise self._unanswered(trial.reason)
        return index, replace(
            answer, prompt_tokens=trial.prompt_tokens, completion_tokens=trial.completion_tokens
        )
