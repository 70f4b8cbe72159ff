"""Texts to tokens and back, by the rules of lm-eval's `hf` backend (0.4.13), so that numbers agree with it.

One rule is ours alone: what a tokenizer appends to every text (EOS, with `add_eos_token`) is left off, since
a text to be continued has not ended. lm-eval leaves it on: it asks models to go on after their end, and
scores continuations without their first token and with the end.

The rules: a text that already begins with the BOS token's text gets no second one. Spaces at a context's end
belong to the continuation, and the boundary between the two is where the tokens of the context alone end.
An empty context is the BOS token (EOS where there is none). What does not fit is cut from the left.
"""

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from harness.engine.rules import spaces_moved
from harness.errors import EngineError
from harness.records.answers import LogLikelihood

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SOME_TEXT = "a"
"""Any text would do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoringRequest:
    """A (context, continuation) pair as tokens."""

    index: int
    tokens: list[int]
    """What the model reads: context and continuation without its last token, cut to the window."""
    continuation: list[int]
    """What is scored: predicted at the last `len(continuation)` positions of `tokens`."""
    truncated: int

    @property
    def cost(self) -> int:
        """The positions it takes in a batch."""
        return len(self.tokens)

    def log_likelihood(self, logprobs: Sequence[float], hits: Sequence[bool]) -> LogLikelihood:
        """A log-likelihood from its tokens' natural log-probabilities, and whether each is the likeliest."""
        return LogLikelihood(
            logprob=math.fsum(logprobs), greedy=all(hits), tokens=len(logprobs), truncated=self.truncated
        )


def appended(tokenizer: "PreTrainedTokenizerBase") -> list[int]:
    """What a tokenizer appends to every text, found by encoding one with and without special tokens."""
    bare = cast(list[int], tokenizer(SOME_TEXT, add_special_tokens=False)["input_ids"])
    whole = cast(list[int], tokenizer(SOME_TEXT)["input_ids"])
    for start in range(len(whole) - len(bare), -1, -1):
        if whole[start : start + len(bare)] == bare:
            return whole[start + len(bare) :]
    return []


class Tokens:
    """A tokenizer with the rules above, for a model whose window is `max_length` tokens.

    `visible` are special tokens that decoded texts include all the same, such as a thought's tags.
    """

    def __init__(
        self, tokenizer: "PreTrainedTokenizerBase", max_length: int, *, visible: Collection[str] = ()
    ) -> None:
        self.tokenizer = tokenizer
        self.max_length = max_length
        self._unseen = _unseen(tokenizer, visible)
        self._appended = appended(tokenizer)
        bos, eos = tokenizer.bos_token_id, tokenizer.eos_token_id
        self._prefix: int | None = bos if bos is not None else eos
        self._bos_text = None if self._prefix is None else self.decode([self._prefix], special=True)

    def decode(self, tokens: Sequence[int], *, special: bool = False) -> str:
        """Tokens as text; of special ones only those that are visible, unless `special` asks for all."""
        if self._unseen is not None and not special:
            tokens, special = [token for token in tokens if token not in self._unseen], True
        return cast(str, self.tokenizer.decode(list(tokens), skip_special_tokens=not special))

    def count(self, text: str) -> int:
        """How many tokens a text takes, without special ones."""
        return len(self.encode_bare(text))

    def encode_bare(self, text: str) -> list[int]:
        """A text as tokens, without special ones."""
        return self._encode_bare([text])[text]

    def scoring_requests(self, pairs: Sequence[tuple[str, str]]) -> list[ScoringRequest]:
        """Pairs of texts as tokens. Raises EngineError for an empty or too long continuation."""
        moved = [spaces_moved(context, continuation) for context, continuation in pairs]
        following = [pair for pair in moved if pair[0]]
        encoded = self._encode(
            (text for pair in following for text in (pair[0], "".join(pair))), self._bos_text
        )
        bare = self._encode_bare(continuation for context, continuation in moved if not context)
        requests = []
        for index, (context, continuation) in enumerate(moved):
            if context:
                before = encoded[context]
                after = encoded[context + continuation][len(before) :]
            else:
                before, after = self._after_prefix(bare[continuation])
            requests.append(self._request(index, before, after))
        return requests

    def answer_limit(self, max_tokens: int) -> int:
        """The most tokens of an answer: `max_tokens`, or half the window where that is not smaller."""
        return max_tokens if max_tokens < self.max_length else self.max_length // 2

    def prompts(self, texts: Sequence[str], room: int) -> list[tuple[list[int], int]]:
        """Texts to be continued, as `(tokens, number of tokens cut)`, at most `room` tokens each."""
        encoded = self._encode(texts, self.tokenizer.bos_token)
        whole = [encoded[text] or self._empty_prompt() for text in texts]
        return [(tokens[-room:], max(0, len(tokens) - room)) for tokens in whole]

    def _encode(self, texts: Iterable[str], marker: str | None) -> dict[str, list[int]]:
        """Each distinct text, with special tokens around it unless it begins with `marker` already."""
        distinct = list(dict.fromkeys(texts))
        marked = [text for text in distinct if marker is not None and text.startswith(marker)]
        plain = [text for text in distinct if marker is None or not text.startswith(marker)]
        return self._ids(plain, add_special_tokens=True) | self._encode_bare(marked)

    def _encode_bare(self, texts: Iterable[str]) -> dict[str, list[int]]:
        return self._ids(list(dict.fromkeys(texts)), add_special_tokens=False)

    def _ids(self, texts: list[str], *, add_special_tokens: bool) -> dict[str, list[int]]:
        if not texts:
            return {}
        ids = cast(
            list[list[int]],
            self.tokenizer(texts, add_special_tokens=add_special_tokens, verbose=False)["input_ids"],
        )
        if add_special_tokens and self._appended:
            ids = [each[: -len(self._appended)] for each in ids]
        return dict(zip(texts, ids, strict=True))

    def _after_prefix(self, continuation: list[int]) -> tuple[list[int], list[int]]:
        prefix = self._empty_prompt()
        return (continuation[:1], continuation[1:]) if continuation[:1] == prefix else (prefix, continuation)

    def _empty_prompt(self) -> list[int]:
        if self._prefix is None:
            raise EngineError("an empty context needs a BOS or EOS token, and the tokenizer has neither")
        return [self._prefix]

    def _request(self, index: int, context: list[int], continuation: list[int]) -> ScoringRequest:
        if not 0 < len(continuation) <= self.max_length:
            raise EngineError(
                f"pair {index} cannot be scored: its continuation adds {len(continuation)} tokens to its "
                f"context, and 1 to {self.max_length} (the model's window) are possible"
            )
        tokens = context + continuation
        return ScoringRequest(
            index=index,
            tokens=tokens[-(self.max_length + 1) :][:-1],
            continuation=continuation,
            truncated=max(0, len(tokens) - (self.max_length + 1)),
        )


def _unseen(tokenizer: "PreTrainedTokenizerBase", visible: Collection[str]) -> frozenset[int] | None:
    """The special tokens to leave out of decoded texts; None where `visible` names none."""
    added = tokenizer.added_tokens_decoder
    special = {token for token, each in added.items() if each.special} | set(tokenizer.all_special_ids)
    shown = {token for token in special if token in added and added[token].content in visible}
    return frozenset(special - shown) if shown else None
