"""Our engine as a model inside lm-eval, for those who keep lm-eval and want the speed and the memory.

    lm_eval.simple_evaluate(model=EngineLM(engine), tasks=["hellaswag"])

All requests that lm-eval hands over at once reach the engine at once, so that it computes what they share
only once. lm-eval's registry has no entry points for models, so the object itself is given.

An engine scores texts and shows no tokens: a text longer than the model's window has no rolling
log-likelihood here, and lm-eval's distributed runs are not supported.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, cast

from lm_eval.api.instance import Instance
from lm_eval.api.model import LM

from harness.adaptors.engine_requests import Answer, Request, all_answers, renderer
from harness.adaptors.lm_eval.sampling import sampling_of
from harness.errors import EngineError, UsageError
from harness.protocols import Engine
from harness.records.answers import LogLikelihood, Prompt, Response
from harness.records.models import Json

ROLLING = (
    "there is no rolling log-likelihood for a text that does not fit the model's window: lm-eval cuts "
    "such a text between tokens, and an engine is asked in texts; use lm-eval's own model class for this task"
)


class EngineLM(LM):  # type: ignore[misc]  # lm-eval carries no types
    """An engine in lm-eval's terms. `seed` is that of sampled answers; repeats of a request are its draws."""

    def __init__(self, engine: Engine, *, seed: int = 0) -> None:
        super().__init__()
        self._engine = engine
        self._seed = seed
        self._render = renderer(engine)

    def loglikelihood(self, requests: Sequence[Instance]) -> list[tuple[float, bool]]:
        """(log-likelihood, whether greedy decoding gives it) of every (context, continuation).

        Raises EngineError where a service refused one.
        """
        found = self._scored([instance.args for instance in requests])
        return [(log_likelihood.logprob, log_likelihood.greedy) for log_likelihood in found]

    def loglikelihood_rolling(self, requests: Sequence[Instance]) -> list[float]:
        """The log-likelihood of whole texts, after the BOS token (EOS where there is none).

        Raises EngineError for a text longer than the window. Where the tokenizer puts a BOS in front of a
        text, lm-eval's `hf` adds how likely BOS is after BOS; here, as lm-eval documents it, only the text
        counts.
        """
        try:
            found = self._scored([("", instance.args[0]) for instance in requests])
        except EngineError as error:
            raise EngineError(f"{error} ({ROLLING})") from error
        if any(log_likelihood.truncated for log_likelihood in found):
            raise EngineError(ROLLING)
        return [log_likelihood.logprob for log_likelihood in found]

    def generate_until(self, requests: Sequence[Instance]) -> list[str]:
        """A text for every (context, generation settings).

        Raises EngineError where the model refused or failed: lm-eval has no word for an answer that is
        missing, and would score an empty one.
        """
        drawn: Counter[Request] = Counter()
        asked: list[Request] = []
        for instance in requests:
            context, kwargs = instance.args
            sampling = sampling_of(instance.task_name, kwargs, self._seed)
            first = (Prompt(content=context), sampling)
            asked.append((Prompt(content=context, draw=drawn[first]), sampling))
            drawn[first] += 1
        return [cast(Response, answer).text for answer in self._answered(asked)]

    def apply_chat_template(
        self, chat_history: list[dict[str, Any]], add_generation_prompt: bool = True
    ) -> str:
        """Turns as the text the model reads. Raises ModelError where the model has no template."""
        return self._render(chat_history, add_generation_prompt)

    def chat_template(self, chat_template: bool | str = False) -> str | None:
        """The template in effect, for lm-eval's records. Raises UsageError for one of several by name."""
        if isinstance(chat_template, str):
            raise UsageError(
                f"no chat template can be chosen by name ({chat_template!r}): the model answers with its one "
                "template; set `chat_template` where the model is defined"
            )
        return self._engine.info.chat_template if chat_template else None

    @property
    def tokenizer_name(self) -> str:
        """The engine's fingerprint: by it lm-eval's request cache keeps apart the prompts of models."""
        return self._engine.info.fingerprint

    def get_model_info(self) -> Mapping[str, Json]:
        """What lm-eval writes beside the results."""
        return {"fingerprint": self._engine.info.fingerprint, **self._engine.info.description}

    def _scored(self, pairs: Sequence[tuple[str, str]]) -> list[LogLikelihood]:
        return [cast(LogLikelihood, answer) for answer in self._answered(pairs)]

    def _answered(self, requests: Sequence[Request]) -> list[Answer]:
        answers = all_answers(self._engine, requests, "lm-eval")
        return [answers[request] for request in requests]
