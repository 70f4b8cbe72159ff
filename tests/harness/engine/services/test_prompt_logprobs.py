"""Log-likelihoods from an echoed prompt: the boundary, and what cannot be scored."""

import math
from typing import Any

import pytest

from harness.engine.services.prompt_logprobs import TRIAL, echoes, log_likelihood
from harness.engine.services.retrying import Retryable
from harness.errors import EngineError

Body = dict[str, Any]


def echoed(
    *tokens: str, prompt: int | None = None, offset: int = 0, greedy: bool = True, usage: bool = True
) -> Body:
    """An answer whose n-th token has the log-probability -n; the first has none."""
    offsets = [offset + sum(map(len, tokens[:place])) for place in range(len(tokens))]
    logprobs: list[float | None] = [None, *(-float(place) for place in range(1, len(tokens)))]
    top = [
        None,
        *({tokens[place]: -place if greedy else -99, "x": -place} for place in range(1, len(tokens))),
    ]
    columns = {
        "tokens": list(tokens),
        "text_offset": offsets,
        "token_logprobs": logprobs,
        "top_logprobs": top,
    }
    body: Body = {"choices": [{"logprobs": columns}]}
    return body | ({"usage": {"prompt_tokens": prompt or len(tokens)}} if usage else {})


def test_the_continuations_tokens_are_added_up() -> None:
    """Those that begin at or after the boundary."""
    found = log_likelihood(echoed("Q", ":", " a", " b"), "Q:", " a b")
    assert (-5.0, 2, True) == (found.logprob, found.tokens, found.greedy)


def test_the_generated_token_does_not_count() -> None:
    """Servers that generate at least one token give it after the prompt's."""
    assert -2.0 == log_likelihood(echoed("Q", ":", " a", " and", prompt=3), "Q:", " a").logprob


def test_the_generated_token_is_found_without_usage() -> None:
    """By its place in the text, where the server does not say how many tokens the prompt has."""
    assert -2.0 == log_likelihood(echoed("Q", ":", " a", " and", usage=False), "Q:", " a").logprob
    assert -2.0 == log_likelihood(echoed("Q", ":", " a", usage=False), "Q:", " a").logprob


def test_a_count_that_leaves_out_the_bos_token() -> None:
    """Some servers do not count it in `usage`: the texts decide."""
    assert -3.0 == log_likelihood(echoed("<s>", "Q", ":", " a", " and", prompt=3), "Q:", " a").logprob


def test_characters_that_are_several_tokens() -> None:
    """Their tokens have no text of their own: the boundary is found from the side that is whole."""
    dirty = [chr(0xFFFD)] * 3
    assert -14.0 == log_likelihood(echoed("Q", ":", *dirty, " b", " and", prompt=6), "Q:", "é b").logprob
    assert -5.0 == log_likelihood(echoed("Q", *dirty, ":", " b", " and", prompt=6), "Qé:", " b").logprob
    assert (
        -18.0 == log_likelihood(echoed("<s>", "Q", ":", *dirty, " b", " and", prompt=7), "Q:", "é b").logprob
    )


def test_words_that_are_spelt_without_their_spaces() -> None:
    """Some tokenizers give each token so; one that is nothing but a space then has no text, and counts."""
    assert -7.0 == log_likelihood(echoed("<s>", "Q", ":", "a", "b", "and"), "Q:", " a b").logprob
    assert -7.0 == log_likelihood(echoed("<s>", "Q", ":", "", "5", "and"), "Q:", " 5").logprob
    assert echoes(echoed("<s>", "one", "two", "three", "four", "five", prompt=5))


def test_line_breaks_are_not_spaces() -> None:
    """A continuation that begins with one has it among its tokens."""
    assert -9.0 == log_likelihood(echoed("Q", ":", chr(10), chr(10), "a", " and"), "Q:", "\n\na").logprob


def test_tokens_that_do_not_add_up() -> None:
    """Where neither texts nor offsets show the boundary, nothing is guessed."""
    dirty = [chr(0xFFFD)] * 3
    with pytest.raises(EngineError, match="do not add up"):
        log_likelihood(echoed("Q", *dirty, ":", *dirty, " and", prompt=8), "Qé:", "é")


def test_offsets_of_the_text_itself() -> None:
    """Servers that spell such tokens in another way give offsets that count the text's characters."""
    body = echoed("Q", "bytes:x", ":", "bytes:y", " b", " and", prompt=5)
    body["choices"][0]["logprobs"]["text_offset"] = [0, 1, 2, 3, 4, 6]
    assert -7.0 == log_likelihood(body, "Qé:", "é b").logprob


def test_a_bos_token_shifts_nothing() -> None:
    """Its text stands before the prompt, and offsets count it."""
    assert -3.0 == log_likelihood(echoed("<s>", "Q", ":", " a", " and", prompt=4), "Q:", " a").logprob


def test_offsets_may_start_anywhere() -> None:
    """Only differences count."""
    assert -2.0 == log_likelihood(echoed("Q", ":", " a", offset=100), "Q:", " a").logprob


def test_spaces_at_the_contexts_end_belong_to_the_continuation() -> None:
    """As in lm-eval: the context "Q: " with "a" is scored as "Q:" with " a"."""
    assert -2.0 == log_likelihood(echoed("Q", ":", " a"), "Q: ", "a").logprob


def test_a_token_that_straddles_the_boundary_is_the_contexts() -> None:
    """It begins before the boundary."""
    assert -2.0 == log_likelihood(echoed("Q", ": a", " b"), "Q:", " a b").logprob


def test_not_greedy() -> None:
    """A token that another one beats is not what greedy decoding gives."""
    body = echoed("Q", ":", " a", " b")
    body["choices"][0]["logprobs"]["top_logprobs"][3] = {" c": -0.5, " b": -3.0}
    assert not log_likelihood(body, "Q:", " a b").greedy
    assert log_likelihood(body, "Q: a", " b").greedy is False
    assert log_likelihood(echoed("Q", ":", " a"), "Q:", " a").greedy


@pytest.mark.parametrize(
    ("tokens", "context", "continuation", "message"),
    [
        (("Q", ": a"), "Q:", " a", "it is the end of a token that begins in its context"),
        (("a", " b"), "", "a b", "its context is empty"),
    ],
)
def test_what_cannot_be_scored(
    tokens: tuple[str, ...], context: str, continuation: str, message: str
) -> None:
    """Is said, and never scored by half."""
    with pytest.raises(EngineError, match=message):
        log_likelihood(echoed(*tokens), context, continuation)


def test_an_empty_context_after_a_bos_token() -> None:
    """Is scored whole."""
    assert -3.0 == log_likelihood(echoed("<s>", "a", " b"), "", "a b").logprob


BROKEN: list[Body] = [
    {},
    {"choices": []},
    {"choices": [{"text": "x", "logprobs": None}]},
    {"choices": [{"logprobs": {"tokens": [], "text_offset": [], "token_logprobs": [], "top_logprobs": []}}]},
    {"choices": [{"logprobs": {"tokens": ["a"], "text_offset": [0], "token_logprobs": [None, 1]}}]},
    {
        "choices": [
            {"logprobs": {"tokens": ["a"], "text_offset": [0], "token_logprobs": [], "top_logprobs": [None]}}
        ]
    },
    echoed("c", usage=False),
]


@pytest.mark.parametrize("body", BROKEN)
def test_an_answer_that_is_not_whole_may_pass(body: Body) -> None:
    """It is asked for again."""
    with pytest.raises(Retryable):
        log_likelihood(body, "a", "b")


def test_which_servers_echo() -> None:
    """Those that give every token of the trial its log-probability and the likeliest one's."""
    assert echoes(echoed("one", " two", " three", " four", " five", prompt=4))
    assert not echoes(echoed("five", prompt=1))
    assert not echoes({"choices": [{"text": "five", "logprobs": None}]})
    without_top = echoed("one", " two", " three", " four")
    without_top["choices"][0]["logprobs"]["top_logprobs"] = [None] * 4
    assert not echoes(without_top)
    assert "one two three four" == TRIAL
    assert math.isfinite(log_likelihood(echoed("one", " two"), "one", " two").logprob)
