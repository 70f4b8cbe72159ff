"""Opens an engine at its first request, so that a judge with nothing new to judge is never loaded.

Until then only its identity is known. Wrapped by `harness.recorded`, it is opened only for requests whose
answers are not in the store.
"""

from collections.abc import Callable, Iterator, Sequence

from harness.engine.identity import Identity
from harness.protocols import Engine, EngineInfo
from harness.records.answers import LogLikelihood, Message, Prompt, Response, SamplingParameters


class LazyEngine:
    """The engine that `open` returns, once it is needed. Matches `harness.protocols.Engine`."""

    def __init__(self, identity: Identity, open: Callable[[], Engine]) -> None:
        self._identity = identity
        self._open = open
        self._opened: Engine | None = None

    @property
    def info(self) -> EngineInfo:
        """The identity; described only once the engine is open."""
        return self._identity.info({} if self._opened is None else self._opened.info.description)

    @property
    def can_score(self) -> bool:
        return self._engine.can_score

    def render(self, messages: Sequence[Message], *, open_turn: bool = True) -> str:
        return self._engine.render(messages, open_turn=open_turn)

    def generate(
        self, prompts: Sequence[Prompt], sampling: SamplingParameters
    ) -> Iterator[tuple[int, Response]]:
        if prompts:
            yield from self._engine.generate(prompts, sampling)

    def loglikelihood(
        self, pairs: Sequence[tuple[str, str]]
    ) -> Iterator[tuple[int, LogLikelihood | Response]]:
        if pairs:
            yield from self._engine.loglikelihood(pairs)

    def close(self) -> None:
        """Close what was opened. It is opened again when it is asked again."""
        opened, self._opened = self._opened, None
        if opened is not None:
            opened.close()

    @property
    def _engine(self) -> Engine:
        if self._opened is None:
            self._opened = self._open()
        return self._opened
