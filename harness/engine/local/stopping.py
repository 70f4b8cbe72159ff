"""When an answer is over, and what its text is, by lm-eval's rules.

What a model thinks before its answer is no part of it: stop strings and the answer's length count from where
the answer begins.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from harness import thoughts
from harness.engine.local.tokens import Tokens
from harness.thoughts import Tags

ANCHOR = "a"
"""Precedes a token to be decoded: some tokenizers drop the space of a text's first token."""


@dataclass(slots=True)
class AnswerProgress:
    """The state of an answer, of a model that may think before it."""

    opened: str = ""
    """The opening of a thought that the prompt ends within (`harness.thoughts.left_open`); empty: none."""
    within: bool = False
    """Whether it was within a thought when last checked."""
    answer: int | None = None
    """Tokens before the answer; None: it has not begun."""


class Stopping:
    """The stop strings of one sampling, and the end tokens of one model.

    `stated` are the end tokens of the checkpoint's generation_config.json, as transformers gives them.
    """

    def __init__(self, tokens: Tokens, stop: Sequence[str], stated: int | list[int] | None) -> None:
        self._tokens = tokens
        eos = tokens.tokenizer.eos_token_id
        self._end_tokens = {eos, *(stated if isinstance(stated, list) else [stated])} - {None}
        self._stops = [text for text in stop if text]
        eos_text = [] if eos is None else [tokens.decode([eos], special=True)]
        self._cuts = [*self._stops, *eos_text]
        # A stop string can be spelt in more tokens than usual; lm-eval looks back two further.
        self._window = 2 + max((tokens.count(text) for text in self._stops), default=0)
        self._anchor = tokens.encode_bare(ANCHOR) if self._stops else []
        self._completing: dict[int, bool] = {}

    def over(self, new: Sequence[int], progress: AnswerProgress) -> bool:
        """Whether the last of the new tokens ended the answer."""
        return self.reached(new)

    def reached(self, answer: Sequence[int]) -> bool:
        """Whether the last token of an answer ended it."""
        last = answer[-1]
        if last in self._end_tokens:
            return True
        if not self._stops or not self._may_complete(last):
            return False
        tail = self._tokens.decode(answer[-self._window :], special=True)
        return any(stop in tail for stop in self._stops)

    def text(self, answer: Sequence[int], progress: AnswerProgress | None = None) -> tuple[str, bool]:
        """The answer's text, cut before the first stop string, and whether something ended it."""
        whole = self._tokens.decode(answer[:-1] if answer[-1] in self._end_tokens else answer)
        text = thoughts.before_stops(whole, self._cuts)
        return text, text != whole or self.reached(answer)

    def _may_complete(self, token: int) -> bool:
        """Whether a stop string can end in this token: the tail is decoded for no other."""
        known = self._completing.get(token)
        if known is None:
            known = self._completing[token] = self._found_to_complete(token)
        return known

    def _found_to_complete(self, token: int) -> bool:
        text = self._tokens.decode([*self._anchor, token], special=True)
        if not text.startswith(ANCHOR) or "\N{REPLACEMENT CHARACTER}" in text:  # part of a character
            return True
        return any(stop[-1] in text[len(ANCHOR) :] for stop in self._stops)


class StoppingAfterThought(Stopping):
    """The same for a model that may think first, whose answer itself may have `limit` tokens.

    Its text includes the thought: where a stop string cuts the answer, `harness.thoughts` decides.
    """

    def __init__(
        self,
        tokens: Tokens,
        stop: Sequence[str],
        stated: int | list[int] | None,
        *,
        tags: Sequence[Tags],
        limit: int,
    ) -> None:
        super().__init__(tokens, stop, stated)
        self._tags, self._limit = tags, limit
        self._cuts = self._cuts[len(self._stops) :]
        self._lasts = {tag.closing[-1] for tag in tags} | {thoughts.MESSAGE[-1], "\N{REPLACEMENT CHARACTER}"}
        self._closing: dict[int, bool] = {}

    def over(self, new: Sequence[int], progress: AnswerProgress) -> bool:
        """Whether the last of the new tokens ended the answer, or is the last one that it may have."""
        if new[-1] in self._end_tokens:
            return True
        if progress.answer is None:
            progress.answer = self._before_answer(new, progress)
        if progress.answer is None:
            return False
        return len(new) - progress.answer >= self._limit or self.reached(new[progress.answer :])

    def text(self, answer: Sequence[int], progress: AnswerProgress | None = None) -> tuple[str, bool]:
        """The whole text, and whether something ended the answer."""
        ended = answer[-1] in self._end_tokens
        whole = self._tokens.decode(answer[:-1] if ended else answer)
        text = thoughts.before_stops(whole, self._cuts)
        if progress is not None and progress.answer is not None:
            ended = ended or self.reached(answer[progress.answer :])
        return text, ended or text != whole

    def _before_answer(self, new: Sequence[int], progress: AnswerProgress) -> int | None:
        """Tokens before the answer; None where it has not begun, or may still turn out to be a thought."""
        if progress.within and not self._may_close(new[-1]):
            return None
        before = len(new)
        while before and self._answers(new[:before], progress):
            before -= 1
        return before if before < len(new) else None

    def _answers(self, new: Sequence[int], progress: AnswerProgress) -> bool:
        text = self._tokens.decode(new)
        parted = thoughts.split_thought(text, opened=progress.opened, tags=self._tags)
        progress.within = not parted.ended
        if not parted.ended or not parted.answer.strip():
            return False
        return parted.answer != text or not thoughts.may_become_thought(text, self._tags)

    def _may_close(self, token: int) -> bool:
        """Whether a thought can end in this token."""
        known = self._closing.get(token)
        if known is None:
            text = self._tokens.decode([token], special=True)
            known = self._closing[token] = any(last in text for last in self._lasts)
        return known
