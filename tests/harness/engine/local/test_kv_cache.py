"""The cache whose rows come and go: every row sees its own tokens and no others, whatever came before."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import DynamicCache, LlamaConfig, MistralConfig, Qwen3NextConfig

from harness.engine.local import kv_cache
from harness.engine.local.kv_cache import Batch, ContinuousBatch, StaticBatch, batch_for, closed_up

CPU = torch.device("cpu")
WINDOW = 5


@dataclass
class _Under:
    """A row as it should be."""

    tokens: list[float]
    """What it has read."""


def _source(rows: Sequence[Sequence[float]], window: int | None) -> DynamicCache:
    """A cache that has read these rows, padded on the left with rubbish."""
    longest = max(len(row) for row in rows)
    padded = torch.tensor([[-9.0] * (longest - len(row)) + list(row) for row in rows])
    config = LlamaConfig(num_hidden_layers=2) if window is None else MistralConfig(
        num_hidden_layers=2, sliding_window=window
    )  # fmt: skip
    cache = DynamicCache(config=config)
    for layer in range(2):
        cache.update(_states(padded, layer), -_states(padded, layer), layer)
    return cache


def _states(tokens: torch.Tensor, layer: int) -> torch.Tensor:
    """Batch × heads (3) × length × width (2): a token's key tells the token, the layer and the head."""
    heads = torch.arange(3)[None, :, None, None] * 1_000 + layer * 10_000
    return (tokens[:, None, :, None] + heads).expand(-1, -1, -1, 2).clone()


def _step(rows: Batch, under: list[_Under], source: random.Random) -> None:
    """Write one token per row, and compare what comes back with all that the row has read."""
    new = [float(source.randrange(900)) for _ in under]
    mask, positions = rows.open()
    for layer in range(2):
        states = _states(torch.tensor(new)[:, None], layer)
        length, first = rows.cache.get_mask_sizes(1, layer)
        keys, values = rows.cache.update(states, -states, layer)
        assert keys.shape[2] == length
        shown = mask[:, first:].bool()
        for at, row in enumerate(under):
            seen = torch.tensor([*row.tokens, new[at]])[-int(shown[at].sum()) :]
            assert torch.equal(_states(seen[None], layer)[0], keys[at][:, shown[at]])
            assert torch.equal(-_states(seen[None], layer)[0], values[at][:, shown[at]])
    rows.close()
    assert [len(row.tokens) for row in under] == positions[:, 0].tolist()
    for row, token in zip(under, new, strict=True):
        row.tokens.append(token)


@pytest.mark.parametrize("window", [None, WINDOW])
@settings(max_examples=60)
@given(seed=st.integers(0, 2**32 - 1), spare=st.sampled_from([4, 9, 128]))
def test_rows_see_their_own_tokens(window: int | None, seed: int, spare: int) -> None:
    """Joining, leaving, growing and moving in any order leave every row's keys, values and mask its own."""
    source = random.Random(seed)
    rows, under = ContinuousBatch(CPU), list[_Under]()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(kv_cache, "SPARE", spare)
        for _ in range(12):
            room = rows.takes(6)
            assert max(0, 6 - len(under)) == room
            if room and (not under or source.random() < 0.6):
                prompts = [
                    [float(source.randrange(900)) for _ in range(source.randrange(1, 12))] for _ in range(3)
                ]
                chosen = [source.randrange(3) for _ in range(source.randrange(1, room + 1))]
                rows.join(_source(prompts, window), chosen, [len(prompts[row]) for row in chosen], 6)
                under += [_Under(list(prompts[row])) for row in chosen]
            for _ in range(source.randrange(4)):
                _step(rows, under, source)
            gone = sorted(source.sample(range(len(under)), source.randrange(len(under) + 1)))
            order = closed_up(len(under), gone)
            rows.leave(order)
            under = [under[row] for row in order]


def test_storage_is_bounded_by_what_is_in_use() -> None:
    """However long rows keep coming, the cache has room for the longest of them and a little more."""
    rows, source, under = ContinuousBatch(CPU), random.Random(0), list[_Under]()
    for turn in range(30):
        rows.join(_source([[1.0] * 10], None), [0], [10], 4)
        under.append(_Under([1.0] * 10))
        for _ in range(20):
            _step(rows, under, source)
        if turn >= 3:
            order = closed_up(4, [0])
            rows.leave(order)
            under = [under[row] for row in order]

    columns = rows.cache.layers[0]._storage[0].shape[2]

    assert columns <= max(len(row.tokens) for row in under) + 20 + kv_cache.SPARE + 60


@given(st.integers(1, 30).flatmap(lambda rows: st.tuples(st.just(rows), st.sets(st.integers(0, rows - 1)))))
def test_gaps_are_closed_with_few_moves(case: tuple[int, set[int]]) -> None:
    """All that stay are there once, in the first places, and nobody moves without need."""
    rows, gone = case

    order = closed_up(rows, sorted(gone))

    assert sorted(set(range(rows)) - gone) == sorted(order)
    assert all(row == to or (to in gone and row >= len(order)) for to, row in enumerate(order))


def test_a_cache_that_holds_more_than_keys_and_values_is_not_taken_apart() -> None:
    """Recurrent layers' rows begin together, and then only leave."""
    mixed = Qwen3NextConfig(
        num_hidden_layers=2, layer_types=["linear_attention", "full_attention"]
    )  # fmt: skip

    assert ContinuousBatch is type(batch_for(LlamaConfig(), CPU))
    assert ContinuousBatch is type(batch_for(MistralConfig(sliding_window=8), CPU))
    assert StaticBatch is type(batch_for(mixed, CPU))


def test_a_batch_takes_rows_only_when_it_is_empty() -> None:
    """And copies what it takes, so that others can be taken from the same source later."""
    rows, under, source = (
        StaticBatch(CPU),
        [_Under([1.0, 2.0, 3.0]), _Under([4.0]), _Under([4.0])],
        random.Random(0),
    )
    prompts = _source([[1.0, 2.0, 3.0], [4.0]], None)

    assert 8 == rows.takes(8)
    rows.join(prompts, [0, 1, 1], [3, 1, 1], 8)
    assert 0 == rows.takes(8)
    _step(rows, under, source)
    rows.leave(closed_up(3, [0]))
    _step(rows, [under[2], under[1]], source)
    rows.leave([])
    assert 8 == rows.takes(8)
    assert 3 == prompts.get_seq_length()
    rows.join(prompts, [1], [1], 8)
    _step(rows, [_Under([4.0])], source)
