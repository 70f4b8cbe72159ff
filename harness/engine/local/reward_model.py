"""The engine that rates answers: a reward model, which is a sequence classifier with one label.

A prompt is a conversation that ends with an answer (or a text that does, where there is no chat template),
and the response is the answer's score, as a decimal number. A conversation is rendered whole, and tokenised
without further special tokens, as TRL passes it to a reward model in training (GRPO, 1.16); the score is the
model's own number, on no particular scale.

A conversation that does not fit into the model's window is refused, since a part of it would be another one.
"""

import math
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from transformers import (
    AutoModelForSequenceClassification,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from harness.engine.identity import LocalIdentity, identify
from harness.engine.local.chat import ChatRenderer
from harness.engine.local.devices import give_back, name_of, place_of
from harness.engine.local.loading import check_complete, load_errors, load_tokenizer, move
from harness.engine.local.network import is_out_of_memory, window_of
from harness.errors import EngineError, ModelError, UsageError
from harness.protocols import EngineInfo
from harness.records.answers import LogLikelihood, Message, Prompt, Response, SamplingParameters
from harness.records.models import Json, Local, Model

CPU_POSITIONS, GPU_POSITIONS = 2_048, 32_768
"""The most positions in one batch: rows times the length of the longest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Conversation:
    """A request as tokens."""

    index: int
    tokens: list[int]


class RewardEngine:
    """A local reward model that rates. Matches `harness.protocols.Engine`."""

    can_score = False
    """It has no language model's head."""

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        identity: LocalIdentity,
        *,
        name: str,
        device: torch.device,
    ) -> None:
        self.name = name
        self._model: PreTrainedModel | None = model
        self._tokenizer = tokenizer
        self._identity = identity
        self._chat = ChatRenderer(tokenizer, identity.chat_template, name)
        self._device = device
        self._window = window_of(model.config, tokenizer)
        self._pads = model.config.get_text_config().pad_token_id is not None
        self._positions = CPU_POSITIONS if device.type == "cpu" else GPU_POSITIONS
        self._description: dict[str, Json] = {
            "engine": "reward model",
            "device": name_of(device),
            "dtype": identity.dtype,
            "architecture": str((model.config.architectures or ["unknown"])[0]),
            "parameters": sum(parameter.numel() for parameter in model.parameters()),
            "max_length": self._window,
            **identity.described,
        }

    @property
    def info(self) -> EngineInfo:
        return self._identity.info(self._description)

    def render(self, messages: Sequence[Message], *, open_turn: bool = True) -> str:
        """Turns as the model reads them, the last one closed. Raises ModelError for an open turn."""
        if open_turn:
            raise ModelError(f"{self.name}: a reward model rates answers, and answers nothing itself")
        return self._chat.closed(messages)

    def generate(
        self, prompts: Sequence[Prompt], sampling: SamplingParameters
    ) -> Iterator[tuple[int, Response]]:
        """The score of every conversation, as a number, longest first. `sampling` changes nothing.

        Raises EngineError for a score that is no finite number.
        """
        texts = [
            prompt.content
            if isinstance(prompt.content, str)
            else self.render(prompt.content, open_turn=False)
            for prompt in prompts
        ]
        fitting = []
        for index, text in enumerate(texts):
            tokens = cast(list[int], self._tokenizer(text, add_special_tokens=False)["input_ids"])
            if 0 < len(tokens) <= self._window:
                fitting.append(_Conversation(index=index, tokens=tokens))
            else:
                yield index, self._unfitting(tokens)
        yield from self._scored(deque(sorted(fitting, key=lambda each: -len(each.tokens))))

    def loglikelihood(self, pairs: Sequence[tuple[str, str]]) -> Iterator[tuple[int, LogLikelihood]]:
        raise ModelError(f"{self.name}: a reward model rates answers, and has no log-likelihoods")

    def close(self) -> None:
        self._model = None
        give_back(self._device)

    def _unfitting(self, tokens: Sequence[int]) -> Response:
        reason = f"{len(tokens)} tokens, where the reward model's window holds 1 to {self._window}"
        return Response(text="", stop_reason="refused", reason=reason, prompt_tokens=len(tokens))

    def _scored(self, waiting: deque[_Conversation]) -> Iterator[tuple[int, Response]]:
        """Scores, batch by batch; out of memory makes batches smaller, and the work continues."""
        while waiting:
            rows = max(1, self._positions // len(waiting[0].tokens)) if self._pads else 1
            batch = [waiting.popleft() for _ in range(min(rows, len(waiting)))]
            started = time.perf_counter()
            scores = self._attempt(batch)
            if scores is None:
                self._positions = len(batch) * len(batch[0].tokens) // 2
                waiting.extendleft(reversed(batch))
                continue
            seconds = (time.perf_counter() - started) / len(batch)
            for conversation, score in zip(batch, scores, strict=True):
                yield conversation.index, _response(conversation, score, seconds)

    def _attempt(self, batch: Sequence[_Conversation]) -> list[float] | None:
        """The batch's scores; None where there is no memory for several rows."""
        try:
            scores = self._forward(batch)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            if len(batch) == 1:
                raise EngineError(
                    f"{self.name}: out of memory on {self._device} with a single conversation; use a smaller "
                    "number format or a bigger machine"
                ) from error
            return None
        if not all(map(math.isfinite, scores)):
            raise EngineError(
                f"{self.name}: the reward model gave a score that is no finite number in "
                f'{self._identity.dtype}; set dtype = "float32", or check its training losses'
            )
        return scores

    @torch.inference_mode()
    def _forward(self, batch: Sequence[_Conversation]) -> list[float]:
        """The scores of one pass, from logits `(rows, 1)`."""
        if self._model is None:
            raise EngineError(f"{self.name}: the engine is closed")
        longest = len(batch[0].tokens)
        # masked, and never a row's last token
        filler = self._model.config.get_text_config().pad_token_id or 0
        tokens = [each.tokens + [filler] * (longest - len(each.tokens)) for each in batch]
        mask = [[1] * len(each.tokens) + [0] * (longest - len(each.tokens)) for each in batch]
        output = self._model(
            input_ids=torch.tensor(tokens, device=self._device),
            attention_mask=torch.tensor(mask, device=self._device),
        )
        return [float(score) for score in output.logits[:, 0].float().tolist()]


def _response(conversation: _Conversation, score: float, seconds: float) -> Response:
    tokens = len(conversation.tokens)
    return Response(text=repr(score), stop_reason="end", prompt_tokens=tokens, seconds=seconds)


def load_reward_model(model: Model, source: Local, *, device: str | None) -> RewardEngine:
    """Load a reward model. Raises ModelError where transformers cannot, or weights are missing.

    Raises UsageError for an adapter.
    """
    if source.adapter is not None:
        raise UsageError(
            f"model {model.name!r}: a reward model with an `adapter` cannot be loaded; merge the adapter "
            "into its base (peft's `merge_and_unload`) and name the merged folder"
        )
    identity = identify(model)
    place = place_of(device)
    tokenizer = load_tokenizer(source, identity, name=model.name)
    with load_errors("model", model.name, identity):
        loaded, report = AutoModelForSequenceClassification.from_pretrained(
            identity.path,
            dtype=getattr(torch, identity.dtype),
            trust_remote_code=source.trust_remote_code,
            output_loading_info=True,
        )
    check_complete(identity, report)
    move(loaded, place, model.name)
    return RewardEngine(loaded, tokenizer, identity, name=model.name, device=place)
