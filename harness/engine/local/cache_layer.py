"""One layer of a key-value cache in preallocated storage, for rows that join and leave.

A step writes one column, where transformers' own layers copy everything into new memory. What lies before a
row's first token is left over from other rows, and masked: it must be finite, so storage begins as zeros.
Which rows there are, `kv_cache` decides.
"""

from dataclasses import dataclass
from typing import Any

import torch
from transformers.cache_utils import CacheLayerMixin


@dataclass(slots=True)
class Span:
    """The part of the storage that is in use, for all layers: `rows` rows, and columns `start` to `end`."""

    rows: int = 0
    start: int = 0
    end: int = 0

    @property
    def length(self) -> int:
        """Tokens of the longest row."""
        return self.end - self.start


class CacheLayer(CacheLayerMixin):
    """Keys and values, `(rows, heads, columns, width)` each.

    `source` is a layer of the cache that rows are copied from. Where it has a sliding window, what lies
    before the window is kept, but not shown to the model.
    """

    def __init__(self, span: Span, source: Any) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # not annotated there
        self._span = span
        self._window: int | None = getattr(source, "sliding_window", None)
        self.is_sliding = self._window is not None
        self.is_initialized = True
        self._storage: tuple[torch.Tensor, torch.Tensor] = (source.keys[:0], source.values[:0])

    @property
    def device(self) -> torch.device:
        """The storage's device: a model's layers may be on several."""
        return self._storage[0].device

    def move(self, end: int) -> None:
        """Move what is in use within the storage, so that it ends at column `end`."""
        for storage in self._storage:
            used = self._used(storage).clone()
            storage[: len(used), :, end - used.shape[2] : end] = used

    def grow(self, rows: int, columns: int, end: int) -> None:
        """Move what is in use into new storage of this size, so that it ends at column `end`."""
        keys, values = self._storage
        self._storage = (self._grown(keys, rows, columns, end), self._grown(values, rows, columns, end))

    def adopt(self, source: Any, chosen: torch.Tensor, longest: int) -> None:
        """Append rows of another cache's layer: its last `longest` columns, or as many as it has."""
        at, columns = self._span, min(source.keys.shape[-2], longest)
        rows, to = slice(at.rows, at.rows + len(chosen)), slice(at.end - columns, at.end)
        for storage, other in zip(self._storage, (source.keys, source.values), strict=True):
            storage[rows, :, to] = other[chosen, :, -columns:]

    def replace(self, rows: torch.Tensor, others: torch.Tensor) -> None:
        for storage in self._storage:
            used = self._used(storage)
            used[rows] = used[others]

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write one new column, `(rows, heads, 1, width)` each.

        Returns keys and values that the new tokens may see, their own included.
        """
        at, (keys, values) = self._span, self._storage
        keys[: at.rows, :, at.end : at.end + 1] = key_states
        values[: at.rows, :, at.end : at.end + 1] = value_states
        seen = slice(at.end - self._shown(), at.end + 1)
        return keys[: at.rows, :, seen], values[: at.rows, :, seen]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """How many columns `update` returns, and the first of them."""
        return self._shown() + query_length, self._span.length - self._shown()

    def get_seq_length(self) -> int:
        """Columns in use, padding included."""
        return self._span.length

    def get_max_length(self) -> int:
        """No limit."""
        return -1

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Nothing: the storage is there from the start."""

    def _shown(self) -> int:
        return self._span.length if self._window is None else min(self._span.length, self._window - 1)

    def _used(self, storage: torch.Tensor) -> torch.Tensor:
        return storage[: self._span.rows, :, self._span.start : self._span.end]

    def _grown(self, old: torch.Tensor, rows: int, columns: int, end: int) -> torch.Tensor:
        used = self._used(old)
        new = old.new_zeros(rows, old.shape[1], columns, old.shape[3])
        new[: len(used), :, end - used.shape[2] : end] = used
        return new
