"""Where answers end: the shortcut past decoding never changes it."""

import random

import pytest

from harness.engine.local.stopping import Stopping
from harness.engine.local.tokens import Tokens
from tests.tiny_models import EOS, SENTENCES, tiny_tokenizer

STOPS = [
    (".",),
    ("\n\n",),
    ("é",),
    ("the", " a "),
    ("ping their ar", "0123"),
    ("lazy dog",),
    ("y f", "ons"),
    ("日本", "�"),
    (" ",),
    (":\n", "a"),
]


@pytest.fixture(scope="module")
def tokens() -> Tokens:
    """A byte-level tokenizer, whose tokens can be parts of a character."""
    return Tokens(tiny_tokenizer(), 256)


def _texts(source: random.Random) -> str:
    return "".join(
        source.choice([*SENTENCES, "é", "日本語", "\n\n", " a "])[source.randrange(9) :] for _ in range(6)
    )


def _first(ends: list[bool]) -> int | None:
    return ends.index(True) if True in ends else None


@pytest.mark.parametrize("stop", STOPS, ids=repr)
def test_an_answer_ends_where_decoding_every_tail_would_end_it(tokens: Tokens, stop: tuple[str, ...]) -> None:
    """At the first token after which a stop string stands in the last few tokens' text."""
    window = 2 + max(tokens.count(text) for text in stop)
    source = random.Random(0)
    for _ in range(60):
        written = tokens.encode_bare(_texts(source))
        if source.random() < 0.5:
            written = [source.randrange(5, 390) for _ in range(40)]
        stopping = Stopping(tokens, stop, None)
        tails = [tokens.decode(written[: at + 1][-window:], special=True) for at in range(len(written))]
        expected = [any(text in tail for text in stop) for tail in tails]

        found = [stopping.reached(written[: at + 1]) for at in range(len(written))]

        assert _first(expected) == _first(found)


def test_tails_are_decoded_only_where_a_stop_string_may_end(
    tokens: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looking for a rare stop string costs one decoded token per word of the vocabulary, not one per step."""
    decoded = []
    decode = Tokens.decode
    stopping = Stopping(tokens, ("Q",), None)
    monkeypatch.setattr(
        Tokens, "decode", lambda self, ids, **kind: decoded.append(len(ids)) or decode(self, ids, **kind)
    )
    written = tokens.encode_bare("the dog sleeps on and on. " * 20)

    ends = [stopping.reached(written[: at + 1]) for at in range(len(written))]

    assert not any(ends)
    assert len(set(written)) == len(decoded) < len(written) / 4


def test_text_is_cut_before_the_first_stop_string(tokens: Tokens) -> None:
    """Of several, the earliest counts, and so does the end token's text; none of it is shown."""
    stopping = Stopping(tokens, ("fox", "quick"), None)

    assert ("The ", True) == stopping.text(tokens.encode_bare("The quick brown fox"))
    assert ("The dog", True) == stopping.text([*tokens.encode_bare("The dog"), tokens.tokenizer.eos_token_id])
    assert ("The dog", False) == stopping.text(tokens.encode_bare("The dog"))
    spelt = [token for letter in f"A {EOS} B" for token in tokens.encode_bare(letter)]
    assert ("A ", True) == stopping.text(spelt)


def test_every_stated_end_token_ends(tokens: Tokens) -> None:
    """One, several or none may be stated beside the tokenizer's own."""
    eos = tokens.tokenizer.eos_token_id

    assert [[True, False, False], [True, True, False], [True, True, True]] == [
        [Stopping(tokens, (), stated).reached([7, token]) for token in (eos, 300, 301)]
        for stated in (None, 300, [300, 301])
    ]
