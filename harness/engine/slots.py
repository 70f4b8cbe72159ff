"""A key-value cache whose rows come and go while the others are continued.

The tokens of all rows end at the same column, so that a model sees an ordinary batch that is padded on the
left, and one new token per row is one new column. Storage is taken ahead: a step writes its column instead of
copying everything, as transformers' own caches do. A row that leaves is overwritten by the last one; a row
that comes is copied from the cache in which its prompt was computed, as often as there are samples to draw.

A model whose cache holds more than keys and values (a recurrent state) has its rows in `Batch` instead, which
takes new ones only when all are gone.

It does not know tokens, nor who asked for them.
"""

import copy
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import Cache, DynamicCache, PretrainedConfig
from transformers.cache_utils import CacheLayerMixin, DynamicLayer, DynamicSlidingWindowLayer

SPARE = 128
"""Columns taken ahead: everything is copied once in so many tokens."""


@dataclass(slots=True)
class _Span:
    """Which part of the storage is in use: the first `rows` rows, and columns from `start` before `end`."""

    rows: int = 0
    start: int = 0
    end: int = 0


class _Layer(CacheLayerMixin):
    """One layer's keys and values, rows × heads × columns × width each. `span` is shared by all layers."""

    def __init__(self, span: _Span, source: DynamicLayer) -> None:
        super().__init__()
        self._span = span
        self.is_sliding = isinstance(source, DynamicSlidingWindowLayer)
        self._window = source.sliding_window if isinstance(source, DynamicSlidingWindowLayer) else None
        self._keys = source.keys[:0]
        self._values = source.values[:0]

    def move(self, end: int) -> None:
        """Put what is in use elsewhere in the storage, so that it ends at `end`."""
        for storage in (self._keys, self._values):
            used = self._used(storage).clone()
            storage[: len(used), :, end - used.shape[2] : end] = used

    def grow(self, rows: int, columns: int, end: int) -> None:
        """Put what is in use into new storage of this size, so that it ends at `end`."""
        self._keys = self._grown(self._keys, rows, columns, end)
        self._values = self._grown(self._values, rows, columns, end)

    def adopt(self, source: DynamicLayer, chosen: torch.Tensor, longest: int) -> None:
        """Append rows of another cache; both end with the last token that was read."""
        at, columns = self._span, min(source.keys.shape[-2], longest)
        rows = slice(at.rows, at.rows + len(chosen))
        self._keys[rows, :, at.end - columns : at.end] = source.keys[chosen, :, -columns:]
        self._values[rows, :, at.end - columns : at.end] = source.values[chosen, :, -columns:]

    def replace(self, to: torch.Tensor, source: torch.Tensor) -> None:
        """Overwrite rows with others."""
        used = slice(self._span.start, self._span.end)
        self._keys[to, :, used] = self._keys[source, :, used]
        self._values[to, :, used] = self._values[source, :, used]

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write one new column; all that the new tokens may see, themselves included, comes back."""
        at = self._span
        self._keys[: at.rows, :, at.end : at.end + 1] = key_states
        self._values[: at.rows, :, at.end : at.end + 1] = value_states
        seen = slice(at.end - self._visible(), at.end + 1)
        return self._keys[: at.rows, :, seen], self._values[: at.rows, :, seen]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """How many columns `update` gives back, and the first of them."""
        return self._visible() + query_length, self.get_seq_length() - self._visible()

    def get_seq_length(self) -> int:
        """Columns in use, padding included."""
        return self._span.end - self._span.start

    def get_max_length(self) -> int:
        """No limit."""
        return -1

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Nothing is left to do at the first token."""

    def _visible(self) -> int:
        length = self.get_seq_length()
        return length if self._window is None else min(length, self._window - 1)

    def _used(self, storage: torch.Tensor) -> torch.Tensor:
        return storage[: self._span.rows, :, self._span.start : self._span.end]

    def _grown(self, old: torch.Tensor, rows: int, columns: int, end: int) -> torch.Tensor:
        used = self._used(old)
        new = old.new_zeros(rows, old.shape[1], columns, old.shape[3])  # what is masked must still be a number
        new[: len(used), :, end - used.shape[2] : end] = used
        return new


class Rows(ABC):
    """Rows under way in a cache: each has its tokens in the columns from its first one on."""

    def __init__(self, device: torch.device) -> None:
        self.cache: Any = None
        self._span = _Span()
        self._firsts = torch.empty(0, dtype=torch.long, device=device)

    @abstractmethod
    def takes(self, rows: int) -> int:
        """How many more may come, where there may be `rows` in all."""

    @abstractmethod
    def join(self, cache: DynamicCache, chosen: Sequence[int], lengths: Sequence[int], rows: int) -> None:
        """Take copies of another cache's rows `chosen`, of so many tokens each; there may be `rows` in all."""

    @abstractmethod
    def leave(self, order: list[int]) -> None:
        """Go on with these rows: each in its own place, or in the place of one that goes."""

    def open(self) -> tuple[torch.Tensor, torch.Tensor]:
        """A column for the next token of every row: the mask (rows × columns) and positions (rows × 1)."""
        at, firsts = self._span, self._firsts[:, None]
        columns = torch.arange(at.start, at.end + 1, device=firsts.device)
        return (columns >= firsts).long(), at.end - firsts

    def close(self) -> None:
        """The column has been written."""
        self._span.end += 1

    def _left(self, order: torch.Tensor) -> None:
        self._firsts = self._firsts[order]
        self._span.rows = len(order)


class Slots(Rows):
    """Rows in a cache of keys and values: any may leave, and others come, at any time."""

    def __init__(self, device: torch.device) -> None:
        super().__init__(device)
        self._storage = (0, 0)

    def takes(self, rows: int) -> int:
        return max(0, rows - self._span.rows)

    def join(self, cache: DynamicCache, chosen: Sequence[int], lengths: Sequence[int], rows: int) -> None:
        at, longest = self._span, max(lengths)
        if self.cache is None:
            self.cache = Cache(layers=[_Layer(at, layer) for layer in cache.layers])
        self._reserve(rows, max(longest, at.end - at.start))
        picked = torch.tensor(chosen, device=self._firsts.device)
        for layer, source in zip(self.cache.layers, cache.layers, strict=True):
            layer.adopt(source, picked, longest)
        self._firsts = torch.cat([self._firsts, at.end - self._firsts.new_tensor(lengths)])
        at.rows = len(self._firsts)
        at.start = min(at.start, at.end - longest)

    def leave(self, order: list[int]) -> None:
        moves = [(to, source) for to, source in enumerate(order) if to != source]
        if moves:
            to, source = torch.tensor(moves, device=self._firsts.device).unbind(1)
            for layer in self.cache.layers:
                layer.replace(to, source)
        self._left(torch.tensor(order, dtype=torch.long, device=self._firsts.device))
        self._span.start = int(self._firsts.min()) if order else self._span.end

    def open(self) -> tuple[torch.Tensor, torch.Tensor]:
        if self._span.end == self._storage[1]:
            self._reserve(self._storage[0], self._span.end - self._span.start)
        return super().open()

    def _reserve(self, rows: int, length: int) -> None:
        """Have storage for `rows` rows, of which the longest has `length` tokens and gets one more."""
        at, (rows_now, columns_now) = self._span, self._storage
        if rows <= rows_now and length <= at.end < columns_now:
            return
        if rows <= rows_now and length + SPARE // 4 <= columns_now:
            for layer in self.cache.layers:
                layer.move(length)
        else:
            self._storage = (max(rows, rows_now), length + SPARE)
            for layer in self.cache.layers:
                layer.grow(*self._storage, length)
        shift = length - at.end
        at.start, at.end = at.start + shift, at.end + shift
        self._firsts += shift


class Batch(Rows):
    """Rows in a cache of transformers' own: they are begun together, and then only leave."""

    def takes(self, rows: int) -> int:
        return 0 if self._span.rows else rows

    def join(self, cache: DynamicCache, chosen: Sequence[int], lengths: Sequence[int], rows: int) -> None:
        self.cache = copy.deepcopy(cache)
        picked = torch.tensor(chosen, device=self._firsts.device)
        self.cache.reorder_cache(picked)
        self._span = _Span(rows=len(chosen), end=cache.get_seq_length())
        self._firsts = self._span.end - torch.tensor(lengths, device=self._firsts.device)

    def leave(self, order: list[int]) -> None:
        picked = torch.tensor(order, dtype=torch.long, device=self._firsts.device)
        self.cache.reorder_cache(picked)
        self._left(picked)


def rows_for(network_config: PretrainedConfig, device: torch.device) -> Rows:
    """Slots where every layer keeps keys and values only, else a batch."""
    kinds = {type(layer) for layer in DynamicCache(config=network_config).layers}
    return Slots(device) if kinds <= {DynamicLayer, DynamicSlidingWindowLayer} else Batch(device)


def closed_up(rows: int, gone: Sequence[int]) -> list[int]:
    """The rows that stay, in their own places where those are left, the last ones in the places of the gone."""
    left, leaving = rows - len(gone), set(gone)
    movers = iter([row for row in range(left, rows) if row not in leaving])
    return [next(movers) if row in leaving else row for row in range(left)]
