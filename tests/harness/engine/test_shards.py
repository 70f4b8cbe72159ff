"""Shards: every request once, little of what they share done twice, small ones last."""

from itertools import pairwise
from os.path import commonprefix

from hypothesis import given
from hypothesis import strategies as st

from harness.engine.shards import HANDED_OUT, WRITTEN_TOGETHER, SizedRequest, shards

EXAMPLES = "Q: What is asked?\nA: What is answered.\n\n" * 20


def questions(number: int, choices: int = 8) -> list[SizedRequest]:
    """Choices of questions, behind examples that all of them share."""
    return [
        SizedRequest(
            f"{EXAMPLES}Q: Question {question} of many, as long as they are?\nA: choice {choice} of it"
        )
        for question in range(number)
        for choice in range(choices)
    ]


def computed(works: list[SizedRequest]) -> int:
    """Characters that one engine reads, what is shared once."""
    texts = sorted(work.text for work in works)
    shared = sum(len(commonprefix(both)) for both in pairwise(texts))  # noqa: RUF071 - of texts, not of paths
    return sum(map(len, texts)) - shared


works = st.builds(SizedRequest, st.text("ab", max_size=12), st.integers(0, 50))


@given(st.lists(works, max_size=60), st.integers(1, 9))
def test_every_request_is_in_one_shard(asked: list[SizedRequest], replicas: int) -> None:
    """None is lost, none is asked twice, and no shard is empty."""
    found = shards(asked, replicas)
    assert list(range(len(asked))) == sorted(index for shard in found for index in shard)
    assert all(found)


def test_little_is_done_twice() -> None:
    """Every shard reads the examples again, so there are no more of them than the whole can bear."""
    for replicas in (1, 2, 8):
        asked = questions(817)
        parts = shards(asked, replicas)
        again = sum(computed([asked[index] for index in part]) for part in parts) / computed(asked)
        assert 1 <= again < 1.1
        assert len(parts) >= replicas


def test_a_question_stays_whole() -> None:
    """Cuts lie where least is shared: between questions, not between their choices."""
    asked = questions(100)
    for part in shards(asked, 2):
        kept = [sum(index // 8 == question for index in part) for question in {index // 8 for index in part}]
        assert {8} == set(kept)


def test_draws_of_a_long_prompt_stay_together() -> None:
    """Reading it again costs more than a replica that is late."""
    asked = [
        SizedRequest(f"{number} prompt{' that goes on' * 80}", written=2)
        for number in range(40)
        for _ in range(25)
    ]
    parts = shards(asked, 3)
    assert sum(computed([asked[index] for index in part]) for part in parts) < 1.4 * computed(asked)
    assert len(parts) >= 3


def test_shards_get_smaller() -> None:
    """So that a replica that is late holds up the others by little."""
    sizes = [len(part) for part in shards(questions(2000), 4)]
    assert abs(sizes[0] - HANDED_OUT * 16_000 / 4) < 100
    assert sizes[-1] <= sizes[0] / 8
    assert sizes[:4] == sorted(sizes[:4], reverse=True)


def test_what_is_written_stays_together() -> None:
    """The last answers of every shard are written by few rows at a time, so there are few shards."""

    def asked(number: int) -> list[SizedRequest]:
        return [SizedRequest(f"{place:05d} a prompt of its own", written=100) for place in range(number)]

    assert [271, 270] == sorted(map(len, shards(asked(541), 2)), reverse=True)
    assert 8 == len(shards(asked(541), 8))
    sizes = [len(part) for part in shards(asked(10_000), 4)]
    assert WRITTEN_TOGETHER <= min(sizes[:-1]) < sizes[0]


def test_fewer_requests_than_replicas() -> None:
    """Each is a shard."""
    assert [[0], [1]] == sorted(shards([SizedRequest("a", 9), SizedRequest("b", 9)], 8))
    assert [] == shards([], 8)
