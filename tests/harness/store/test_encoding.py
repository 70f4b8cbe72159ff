"""Answers keep their keys; long texts of a request are kept apart from it and found again."""

from hypothesis import given, settings
from hypothesis import strategies as st

from harness.records.answers import LogLikelihood, Response
from harness.records.models import Json
from harness.store.encoding import (
    SHARED_FROM,
    answer_as_json,
    answer_from_json,
    digest,
    packed,
    references_in,
    unpacked,
)

TEXTS = st.text(max_size=5) | st.text(min_size=1, max_size=5).map(lambda text: text * SHARED_FROM)
REQUESTS = st.dictionaries(
    st.sampled_from(["context", "prompt", "draw"]),
    st.recursive(TEXTS | st.integers(), lambda inner: st.lists(inner, max_size=3)),
)


@settings(deadline=None)  # a busy machine is no failure
@given(REQUESTS)
def test_packed_and_unpacked(request: dict[str, Json]) -> None:
    """What was taken apart is put together again, and the hashes are those of the texts."""
    texts: dict[str, str] = {}
    content = packed(request, texts)

    assert request == unpacked(content, {key: text for text, key in texts.items()})
    assert set(texts.values()) == set(references_in(content))
    assert all(digest(text) == key for text, key in texts.items())


def test_only_long_texts_are_taken_out() -> None:
    """A reference would be longer than a short text."""
    texts: dict[str, str] = {}
    long = "x" * SHARED_FROM

    assert {"context": {"text": digest(long)}, "continuation": "x"} == packed(
        {"context": long, "continuation": "x"}, texts
    )
    assert {long: digest(long)} == texts


def test_the_keys_of_an_answer_stay() -> None:
    """What was kept under them is found by them, whatever the fields are called."""
    answer = Response(
        text="a", stop_reason="length", prompt_tokens=1, completion_tokens=2, seconds=0.5, truncated=3,
        reason="why", thought="because",
    )  # fmt: skip
    kept = {
        "text",
        "stopped",
        "prompt_tokens",
        "completion_tokens",
        "seconds",
        "truncated",
        "reason",
        "thought",
    }

    assert kept == answer_as_json(answer).keys()
    assert "length" == answer_as_json(answer)["stopped"]
    assert answer == answer_from_json(answer_as_json(answer))


def test_what_goes_without_saying_is_not_kept() -> None:
    """Most answers are short, and most of their fields are what they always are."""
    answer, likelihood = (
        Response(text="", stop_reason="end"),
        LogLikelihood(logprob=0.0, greedy=False, tokens=0),
    )

    assert {"text": "", "stopped": "end"} == answer_as_json(answer)
    assert {"logprob": 0.0, "greedy": False, "tokens": 0} == answer_as_json(likelihood)
    assert [answer, likelihood] == [answer_from_json(answer_as_json(each)) for each in (answer, likelihood)]


def test_an_earlier_answer_has_all_fields_and_its_kind() -> None:
    """As it was kept before, it is the same answer."""
    before = {"kind": "likelihood", "logprob": -1.5, "greedy": True, "tokens": 2, "truncated": 0}
    assert LogLikelihood(logprob=-1.5, greedy=True, tokens=2) == answer_from_json(before)
    before = {"kind": "response", "text": "a", "stopped": "end", "reason": None, "seconds": 0.5}
    assert Response(text="a", stop_reason="end", seconds=0.5) == answer_from_json(before)
