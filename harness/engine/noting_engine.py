"""An engine that answers nothing, and notes what a suite asks."""

from collections.abc import Iterator, Sequence

from harness.calls import Call, ScoringCall, WritingCall
from harness.protocols import Engine, EngineInfo
from harness.records.answers import LogLikelihood, Message, Prompt, Response, SamplingParameters

NOT_ASKED = Response(text="", stop_reason="failed", reason="not asked: only noted")


class NotingEngine:
    """An engine's identity and turns, and no answers. Matches `harness.protocols.Engine`."""

    can_score = True

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.calls: list[Call] = []
        """In the order in which they came."""

    @property
    def info(self) -> EngineInfo:
        return self._engine.info

    def render(self, messages: Sequence[Message], *, open_turn: bool = True) -> str:
        return self._engine.render(messages, open_turn=open_turn)

    def generate(
        self, prompts: Sequence[Prompt], sampling: SamplingParameters
    ) -> Iterator[tuple[int, Response]]:
        """Every answer has failed, which a suite counts and does not score."""
        self.calls.append(WritingCall(prompts, sampling))
        return ((index, NOT_ASKED) for index in range(len(prompts)))

    def loglikelihood(self, pairs: Sequence[tuple[str, str]]) -> Iterator[tuple[int, LogLikelihood]]:
        """Every continuation is certain."""
        self.calls.append(ScoringCall(pairs))
        certain = LogLikelihood(logprob=0.0, greedy=False, tokens=1)
        return ((index, certain) for index in range(len(pairs)))

    def close(self) -> None:
        """Nothing is held."""
