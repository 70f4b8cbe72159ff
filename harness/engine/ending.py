"""When an answer is over, and what of it is its text: by lm-eval's rules for the same.

It does not know where tokens come from.
"""

from collections.abc import Sequence

from harness.engine.tokens import Tokens

ANCHOR = "a"
"""Stands before a token whose text is wanted: some tokenizers drop the space of a text's first token."""


class Ending:
    """The ends that one kind of sampling knows, for one model.

    `stated` are the end tokens of the checkpoint's generation_config.json, as transformers gives them.
    """

    def __init__(self, tokens: Tokens, stop: Sequence[str], stated: int | list[int] | None) -> None:
        self._tokens = tokens
        eos = tokens.tokenizer.eos_token_id
        self._end_tokens = {eos, *(stated if isinstance(stated, list) else [stated])} - {None}
        self._stops = [text for text in stop if text]
        eos_text = [] if eos is None else [tokens.decode([eos], special=True)]
        self._cuts = [*self._stops, *eos_text]
        # A stop string can be spelt in more tokens than its usual ones; lm-eval looks back two further.
        self._window = 2 + max((tokens.count(text) for text in self._stops), default=0)
        self._anchor = tokens.encode_bare(ANCHOR) if self._stops else []
        self._completing: dict[int, bool] = {}

    def reached(self, answer: Sequence[int]) -> bool:
        """Whether the last token of an answer ended it."""
        last = answer[-1]
        if last in self._end_tokens:
            return True
        if not self._stops or not self._may_complete(last):
            return False
        tail = self._tokens.decode(answer[-self._window :], special=True)
        return any(stop in tail for stop in self._stops)

    def text(self, answer: Sequence[int]) -> tuple[str, bool]:
        """The answer's text, cut before the first stop string, and whether something ended it."""
        whole = self._tokens.decode(answer[:-1] if answer[-1] in self._end_tokens else answer)
        text = whole
        for cut in self._cuts:
            text = text.split(cut, 1)[0]
        return text, text != whole or self.reached(answer)

    def _may_complete(self, token: int) -> bool:
        """Whether a stop string can end in this token: no other makes decoding the tail worth while."""
        known = self._completing.get(token)
        if known is None:
            known = self._completing[token] = self._found_to_complete(token)
        return known

    def _found_to_complete(self, token: int) -> bool:
        text = self._tokens.decode([*self._anchor, token], special=True)
        if not text.startswith(ANCHOR) or "\N{REPLACEMENT CHARACTER}" in text:  # part of a character
            return True
        return any(stop[-1] in text[len(ANCHOR) :] for stop in self._stops)
