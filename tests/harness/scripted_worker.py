"""A process to be killed: `scripted_worker.py URL LOG` asks slow, scripted questions and keeps everything.

Every prompt that reaches the engine is a line of LOG, written when its answer is ready.
"""

import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from harness.protocols import EngineInfo
from harness.recorded import recorded
from harness.records.answers import (
    LogLikelihood,
    Message,
    Metric,
    Prompt,
    Response,
    Row,
    Run,
    Sample,
    SamplingParameters,
    Score,
)
from harness.records.models import Json
from harness.store import Store

PROMPTS = [Prompt(content=f"question {number}") for number in range(60)]
SAMPLING = SamplingParameters(max_tokens=8)
BATCH, SECONDS_PER_BATCH = 5, 0.03

RUN = Run(
    id="run",
    model="scripted",
    fingerprint="sha256:scripted",
    suite="questions",
    suite_version="1",
    metrics=(Metric(name="length", kind="number"),),
    data_hash="sha256:data",
    settings={},
    seed=0,
    environment={},
    size=len(PROMPTS),
    started="2026-11-22T10:00:00+00:00",
)


@dataclass(kw_only=True)
class Scripted:
    """Answers in batches, last prompt first, and remembers what it was asked."""

    log: int | None = None
    seconds_per_batch: float = 0.0
    asked: list[str] = field(default_factory=list)
    fingerprint: str = "sha256:scripted"
    can_score: bool = True
    chat_template: str | None = None
    description: Mapping[str, Json] = field(default_factory=dict)

    @property
    def info(self) -> EngineInfo:
        """What it was given."""
        return EngineInfo(
            fingerprint=self.fingerprint, chat_template=self.chat_template, description=self.description
        )

    def render(self, messages: Sequence[Message], *, open_turn: bool = True) -> str:
        """The turns' contents, one a line."""
        return "\n".join(message.content for message in messages)

    def generate(
        self, prompts: Sequence[Prompt], sampling: SamplingParameters
    ) -> Iterator[tuple[int, Response]]:
        """Upper case is the answer."""
        for index in reversed(range(len(prompts))):
            text = str(prompts[index].content)
            self._note(text)
            yield index, Response(text=text.upper(), stop_reason="end")

    def loglikelihood(self, pairs: Sequence[tuple[str, str]]) -> Iterator[tuple[int, LogLikelihood]]:
        """A character costs one."""
        for index in reversed(range(len(pairs))):
            self._note("".join(pairs[index]))
            yield index, LogLikelihood(logprob=-float(len(pairs[index][1])), greedy=False, tokens=1)

    def close(self) -> None:
        """Nothing to give back."""

    def _note(self, text: str) -> None:
        if len(self.asked) % BATCH == 0:
            time.sleep(self.seconds_per_batch)
        self.asked.append(text)
        if self.log is not None:
            os.write(self.log, f"{text}\n".encode())


def work(url: str, engine: Scripted) -> None:
    """Ask everything, keep each row as it comes, and finish the run."""
    with Store.open(url) as store:
        store.models.keep("scripted", RUN.fingerprint, {}, engine.info.description, engine.info.chat_template)
        store.runs.begin(RUN)
        for index, answer in recorded(engine, store).generate(PROMPTS, SAMPLING):
            sample = Sample(id=str(index), prompt=str(PROMPTS[index].content))
            score = Score(metric="length", value=len(answer.text))
            store.runs.keep_rows(RUN.id, [(index, Row(sample=sample, responses=(answer,), scores=(score,)))])
        store.runs.finish(RUN.id, "2026-11-22T11:00:00+00:00")


if __name__ == "__main__":
    log = os.open(sys.argv[2], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    work(sys.argv[1], Scripted(log=log, seconds_per_batch=SECONDS_PER_BATCH))
