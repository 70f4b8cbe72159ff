"""The key-value cache of rows that are continued together, some of which leave while others join.

The tokens of all rows end at the same column, so that a model sees an ordinary batch padded on the left, and
one new token per row is one new column. A row that leaves is overwritten by the last one. A row that joins is
copied from the cache in which its prompt was computed, once for each of its samples.

A model whose cache holds more than keys and values (a recurrent state) has its rows in a `StaticBatch`, which
takes new ones only when all are gone.
"""

import copy
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from transformers import Cache, DynamicCache, PretrainedConfig
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from harness.engine.local.cache_layer import CacheLayer, Span

SPARE = 128
"""Columns that are allocated ahead: all is copied once in about so many tokens."""


class Batch(ABC):
    """Rows that are continued together: each has its tokens in the columns from its first one on."""

    joins: bool
    """Whether rows may join while others are here."""

    def __init__(self, device: torch.device) -> None:
        self.cache: Any = None
        """The cache as a model takes it; None before the first rows join."""
        self._span = Span()
        self._firsts = torch.empty(0, dtype=torch.long, device=device)

    def takes(self, rows: int) -> int:
        """How many rows may join, where there may be `rows` in all."""
        return max(0, rows - self._span.rows) if self.joins or not self._span.rows else 0

    @abstractmethod
    def join(self, source: DynamicCache, chosen: Sequence[int], lengths: Sequence[int], rows: int) -> None:
        """Copy the `chosen` rows of another cache, of `lengths` tokens each. There may be `rows` in all."""

    @abstractmethod
    def leave(self, order: list[int]) -> None:
        """Keep these rows: each in its own place, or in the place of one that leaves."""

    def open(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Open a column for the next tokens; returns mask `(rows, columns)` and positions `(rows, 1)`."""
        at, firsts = self._span, self._firsts[:, None]
        columns = torch.arange(at.start, at.end + 1, device=firsts.device)
        return (columns >= firsts).long(), at.end - firsts

    def close(self) -> None:
        """Count the column as written."""
        self._span.end += 1

    def _indices(self, rows: Sequence[int]) -> torch.Tensor:
        return torch.tensor(rows, dtype=torch.long, device=self._firsts.device)


class ContinuousBatch(Batch):
    """Rows in a cache of keys and values: any may leave, and others join, at any time."""

    joins = True

    def __init__(self, device: torch.device) -> None:
        super().__init__(device)
        self._size = (0, 0)

    def join(self, source: DynamicCache, chosen: Sequence[int], lengths: Sequence[int], rows: int) -> None:
        at, longest = self._span, max(lengths)
        if self.cache is None:
            self.cache = Cache(layers=[CacheLayer(at, layer) for layer in source.layers])
        self._reserve(rows, max(longest, at.length))
        picked = self._indices(chosen)
        for layer, other in zip(self.cache.layers, source.layers, strict=True):
            layer.adopt(other, picked.to(layer.device), longest)
        self._firsts = torch.cat([self._firsts, at.end - self._indices(lengths)])
        at.rows = len(self._firsts)
        at.start = min(at.start, at.end - longest)

    def leave(self, order: list[int]) -> None:
        moves = [(to, row) for to, row in enumerate(order) if to != row]
        if moves:
            rows, others = self._indices([to for to, _ in moves]), self._indices([row for _, row in moves])
            for layer in self.cache.layers:
                layer.replace(rows.to(layer.device), others.to(layer.device))
        self._firsts = self._firsts[self._indices(order)]
        self._span.rows = len(order)
        self._span.start = int(self._firsts.min()) if order else self._span.end

    def open(self) -> tuple[torch.Tensor, torch.Tensor]:
        self._reserve(self._size[0], self._span.length)
        return super().open()

    def _reserve(self, rows: int, length: int) -> None:
        """Ensure storage for `rows` rows of up to `length` tokens and one more."""
        at, (rows_now, columns_now) = self._span, self._size
        if rows <= rows_now and length <= at.end < columns_now:
            return
        if rows <= rows_now and length + SPARE // 4 <= columns_now:
            for layer in self.cache.layers:
                layer.move(length)
        else:
            self._size = (max(rows, rows_now), length + SPARE)
            for layer in self.cache.layers:
                layer.grow(*self._size, length)
        self._firsts += length - at.end
        at.start, at.end = length - at.length, length


class StaticBatch(Batch):
    """Rows in a cache of transformers' own: they begin together, and then only leave."""

    joins = False

    def join(self, source: DynamicCache, chosen: Sequence[int], lengths: Sequence[int], rows: int) -> None:
        self.cache = copy.deepcopy(source)
        self.cache.reorder_cache(self._indices(chosen))
        self._span = Span(rows=len(chosen), end=source.get_seq_length())
        self._firsts = self._span.end - self._indices(lengths)

    def leave(self, order: list[int]) -> None:
        self.cache.reorder_cache(self._indices(order))
        self._firsts = self._firsts[self._indices(order)]
        self._span.rows = len(order)


def batch_for(config: PretrainedConfig, device: torch.device) -> Batch:
    """A continuous batch where every layer of the model keeps keys and values only, else a static one."""
    kinds = {type(layer) for layer in DynamicCache(config=config).layers}
    return (
        ContinuousBatch(device) if kinds <= {DynamicLayer, DynamicSlidingWindowLayer} else StaticBatch(device)
    )


def closed_up(rows: int, gone: Sequence[int]) -> list[int]:
    """The rows that stay, in their own places, with the last ones moved into the gaps."""
    left, leaving = rows - len(gone), set(gone)
    movers = iter([row for row in range(left, rows) if row not in leaving])
    return [next(movers) if row in leaving else row for row in range(left)]
