"""Which tokens requests share, and in what order to compute each of them once. Pure planning, without torch.

Requests that begin alike are paths in one tree of tokens: a node is a distinct prefix, so the number of nodes
is the least number of tokens that any exact scoring must compute. The tree is laid out in preorder: every
token stands after its ancestors, and a subtree is one stretch `[i, end[i])`. From that follows all there is:

- token `j` is visible to token `i` just where `j <= i < end[j]`;
- the walk can be cut into passes anywhere. What a pass needs from before it is the path to its first token,
  and all of that path was computed by the pass before or was already kept by it.

So passes are full for any shape of tree, memory holds one path and one pass, and nothing is computed
twice. Sorting the requests by their tokens gives the preorder at once: neighbours share what they share.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]


class Scorable(Protocol):
    """A request: what the model reads, and which tokens are looked for at its last positions."""

    @property
    def tokens(self) -> Sequence[int]: ...

    @property
    def continuation(self) -> Sequence[int]: ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TokenTree:
    """Requests as one tree of tokens in preorder. Arrays over nodes have one entry per distinct prefix."""

    tokens: Integers
    depth: Integers
    """The token's position in every request that holds it, from 0."""
    end: Integers
    """Where the node's subtree ends: the first node after it that is no descendant."""
    order: tuple[int, ...]
    """The requests' places as given, in the order in which their last nodes stand."""
    offsets: Integers
    """Request `order[k]` looks for targets `offsets[k]` to `offsets[k + 1]`."""
    nodes: Integers
    """By target: the node at which it is predicted."""
    targets: Integers
    """By target: the token looked for there."""
    last: Integers
    """By request, in `order`: its last node. Never falls."""
    scored: Integers
    """The distinct nodes at which anything is predicted, ascending."""
    by_node: Integers
    """Targets in the order of their nodes."""

    @property
    def size(self) -> int:
        """Distinct prefixes: the tokens to compute."""
        return len(self.tokens)

    def cut(self, start: int, tokens: int, scored: int) -> int:
        """Where a pass from node `start` ends: after this many tokens or scored nodes, at least one."""
        stop = min(start + tokens, self.size)
        beyond = int(np.searchsorted(self.scored, start)) + scored
        if beyond < len(self.scored):
            stop = min(stop, int(self.scored[beyond]))
        return max(stop, start + 1)

    def open_at(self, nodes: Integers, place: int) -> Integers:
        """Which of `nodes`, all before `place`, are its ancestors, as places in `nodes`."""
        return np.flatnonzero(self.end[nodes] > place)

    def scored_within(self, start: int, stop: int) -> Integers:
        first, after = np.searchsorted(self.scored, [start, stop])
        return self.scored[first:after]

    def targets_within(self, start: int, stop: int) -> Integers:
        """The targets predicted within a pass, in the order of their nodes."""
        first, after = np.searchsorted(self.nodes, [start, stop], sorter=self.by_node)
        return self.by_node[first:after]


def grow(requests: Sequence[Scorable]) -> TokenTree:
    """The tree of these requests; each has at least one token, and no more targets than tokens."""
    keys = [np.asarray(request.tokens, dtype=">u4") for request in requests]
    packed = [key.tobytes() for key in keys]  # big-endian: bytes sort as their tokens do
    order = sorted(range(len(requests)), key=packed.__getitem__)
    growing = _Growing(sum(map(len, keys)), max(map(len, keys), default=0))
    nodes = [growing.add(keys[place], len(requests[place].continuation)) for place in order]
    tokens, depth, end = growing.finished()
    at = np.concatenate([*nodes, np.empty(0, np.int64)])
    return TokenTree(
        tokens=tokens,
        depth=depth,
        end=end,
        order=tuple(order),
        offsets=np.cumsum([0, *map(len, nodes)], dtype=np.int64),
        nodes=at,
        targets=np.array([token for k in order for token in requests[k].continuation], dtype=np.int64),
        last=np.array([path[-1] for path in nodes], dtype=np.int64),
        scored=np.unique(at),
        by_node=np.argsort(at, kind="stable"),
    )


class _Growing:
    """A tree to which requests are added in the order of their tokens."""

    def __init__(self, most: int, deepest: int) -> None:
        self._tokens, self._depth, self._end = (np.empty(most, np.int64) for _ in range(3))
        self._size = 0
        self._path = np.empty(deepest, np.int64)
        self._before = np.empty(0, dtype=">u4")

    def add(self, key: NDArray[np.uint32], scored: int) -> Integers:
        """Add a request's tokens, and return the nodes of its last `scored` ones."""
        shared = _shared(self._before, key)
        new = slice(self._size, self._size + len(key) - shared)
        self._end[self._path[shared : len(self._before)]] = self._size
        self._path[shared : len(key)] = np.arange(new.start, new.stop)
        self._tokens[new] = key[shared:]
        self._depth[new] = np.arange(shared, len(key))
        self._size, self._before = new.stop, key
        return self._path[len(key) - scored : len(key)].copy()

    def finished(self) -> tuple[Integers, Integers, Integers]:
        """Tokens, depths and ends of all nodes."""
        self._end[self._path[: len(self._before)]] = self._size
        return self._tokens[: self._size], self._depth[: self._size], self._end[: self._size]


def _shared(left: NDArray[np.uint32], right: NDArray[np.uint32]) -> int:
    """How many tokens two sequences have in common from their beginning."""
    length = min(len(left), len(right))
    differs = left[:length] != right[:length]
    return int(differs.argmax()) if differs.any() else length
