"""The token tree: every distinct prefix once, visible to just what continues it, in passes cut anywhere."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from harness.engine.local.token_tree import TokenTree, grow


@dataclass(frozen=True)
class Asked:
    """What the model reads, and what is looked for at its last positions."""

    tokens: tuple[int, ...]
    continuation: tuple[int, ...]


@st.composite
def asked(draw: st.DrawFn) -> Asked:
    """Few different tokens, so that much is shared; one beyond 16 bits, since they are compared as bytes."""
    tokens = draw(st.lists(st.sampled_from([0, 1, 256, 70_000]), min_size=1, max_size=7))
    scored = draw(st.integers(1, len(tokens)))
    return Asked(tuple(tokens), tuple(draw(st.integers(0, 9)) for _ in range(scored)))


requests = st.lists(asked(), min_size=1, max_size=12)


def _prefixes(requests: Sequence[Asked]) -> set[tuple[int, ...]]:
    return {request.tokens[:length] for request in requests for length in range(1, len(request.tokens) + 1)}


def _ancestors(tree: TokenTree, node: int) -> list[int]:
    return [before for before in range(node + 1) if node < tree.end[before]]


def _text(tree: TokenTree, node: int) -> tuple[int, ...]:
    return tuple(int(tree.tokens[at]) for at in _ancestors(tree, node))


@given(requests)
def test_every_distinct_prefix_is_one_node(requests: list[Asked]) -> None:
    """The nodes, each read with its ancestors, are the distinct prefixes of all requests, each once."""
    tree = grow(requests)

    texts = [_text(tree, node) for node in range(tree.size)]

    assert sorted(_prefixes(requests)) == sorted(texts)
    assert [len(text) - 1 for text in texts] == tree.depth.tolist()


@given(requests)
def test_every_target_is_looked_for_where_its_request_has_it(requests: list[Asked]) -> None:
    """A request's targets stand at its last positions, and its last node is the request itself."""
    tree = grow(requests)

    assert sorted(tree.order) == list(range(len(requests)))
    for at, place in enumerate(tree.order):
        request, own = requests[place], slice(tree.offsets[at], tree.offsets[at + 1])
        scored = len(request.continuation)
        ends = range(len(request.tokens) - scored + 1, len(request.tokens) + 1)
        assert [request.tokens[:end] for end in ends] == [_text(tree, node) for node in tree.nodes[own]]
        assert list(request.continuation) == tree.targets[own].tolist()
        assert request.tokens == _text(tree, tree.last[at])
    assert tree.last.tolist() == sorted(tree.last)


@given(requests, st.data())
def test_a_walk_cut_anywhere_always_has_what_it_needs(requests: list[Asked], data: st.DataObject) -> None:
    """Passes of any size cover all nodes and targets once, and what is kept between them is the path."""
    tree = grow(requests)
    place, kept, reported = 0, np.empty(0, np.int64), 0
    while place < tree.size:
        assert [node for node in _ancestors(tree, place) if node < place] == kept.tolist()
        tokens, scored = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 5))
        stop = tree.cut(place, tokens, scored)
        assert place < stop <= place + tokens
        assert len(tree.scored_within(place, stop)) <= scored
        assert set(tree.scored_within(place, stop)) == set(tree.nodes[tree.targets_within(place, stop)])
        reported += len(tree.targets_within(place, stop))
        nodes = np.concatenate([kept, np.arange(place, stop)])
        kept, place = nodes[tree.open_at(nodes, stop)], stop
    assert len(tree.targets) == reported
    assert 0 == len(kept)


def test_a_small_tree_by_hand() -> None:
    """Three requests on a common stem, one of them the beginning of another."""
    tree = grow([Asked((5, 6, 8), (1, 2)), Asked((5, 6), (3,)), Asked((5, 7), (4,))])

    assert [5, 6, 8, 7] == tree.tokens.tolist()
    assert [0, 1, 2, 1] == tree.depth.tolist()
    assert [4, 3, 3, 4] == tree.end.tolist()
    assert (1, 0, 2) == tree.order
    assert [1, 2, 3] == tree.scored.tolist()


def test_a_pass_ends_where_it_may_score_no_more() -> None:
    """The limit on scored nodes cuts a pass short, and a pass has at least one token."""
    tree = grow([Asked((1, 2, 3, 4), (9, 9))])

    assert 4 == tree.cut(0, 10, 2)
    assert 3 == tree.cut(0, 10, 1)
    assert 2 == tree.cut(0, 2, 2)
    assert 1 == tree.cut(0, 1, 1)


def test_no_requests_are_an_empty_tree() -> None:
    """Nothing asked, nothing to compute."""
    assert 0 == grow([]).size
