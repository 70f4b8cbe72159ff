"""An engine that answers nothing, and notes what a suite asks."""

from collections.abc import Iterator, Sequence

from harness.calls import Call, ScoringCall, WritingCall
from harness.protocols import Engine, EngineInfo
from harness.records.answers import LogLikelihood, Message, Prompt, Response, SamplingParameters


class NotingEngine:
    """An engine's identity and turns, and no answers. Matches `harness.protocols.Engine`.

    The key of what stands for an answer is the place of its request among all: so a row shows what it asks.
    """

    can_score = True

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.calls: list[Call] = []
        """In the order in which they came."""
        self._asked = 0

    @property
    def requests(self) -> list[Prompt | tuple[str, str]]:
        """Prompts and pairs of all calls."""
        return [
            each
            for call in self.calls
            for each in (call.pairs if isinstance(call, ScoringCall) else call.prompts)
        ]

    @property
    def info(self) -> EngineInfo:
        return self._engine.info

    def render(self, messages: Sequence[Message], *, open_turn: bool = True) -> str:
        return self._engine.render(messages, open_turn=open_turn)

    def generate(
        self, prompts: Sequence[Prompt], sampling: SamplingParameters
    ) -> Iterator[tuple[int, Response]]:
        """Every answer has failed, which a suite counts and does not score."""
        begun = self._begin(WritingCall(prompts, sampling))
        for index in range(len(prompts)):
            yield (
                index,
                Response(
                    text="", stop_reason="failed", reason="not asked: only noted", key=str(begun + index)
                ),
            )

    def loglikelihood(self, pairs: Sequence[tuple[str, str]]) -> Iterator[tuple[int, LogLikelihood]]:
        """Every continuation is certain."""
        begun = self._begin(ScoringCall(pairs))
        for index in range(len(pairs)):
            yield index, LogLikelihood(logprob=0.0, greedy=False, tokens=1, key=str(begun + index))

    def _begin(self, call: Call) -> int:
        """Note a call, and return the place of its first request."""
        begun, self._asked = self._asked, self._asked + len(call)
        self.calls.append(call)
        return begun

    def close(self) -> None:
        """Nothing is held."""
