"""A local model that is interrupted: whatever it had finished is in the store, its batch or not."""

import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.engine.local import decoding, padded_scoring, tree_scoring
from harness.engine.local.decoding import TokenChooser
from harness.engine.local.kv_cache import StaticBatch
from harness.engine.local.network import Network
from harness.engine.local.tokens import ScoringRequest
from harness.engine.opening import open_engine
from harness.engine.steps import watching_steps
from harness.protocols import Engine
from harness.recorded import recorded
from harness.records.answers import Prompt, SamplingParameters
from harness.records.models import Local, Model
from harness.store import Store
from tests.tiny_models import SENTENCES, tiny_llama

PROMPTS = [Prompt(content=text) for text in (*SENTENCES, "No", "a b c", "dog " * 12, "A hammer drives")]
PAIRS = [(text, end) for text in SENTENCES for end in (" yes it is", " no", " a saw", " Paris.")]
SAMPLING = SamplingParameters(max_tokens=40, stop=("e",))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model."""
    return tiny_llama(tmp_path_factory.mktemp("models") / "llama")


@pytest.fixture
def engine(folder: Path) -> Iterator[Engine]:
    """The model, open."""
    with closing(open_engine(Model(name="tiny", source=Local(path=str(folder))), device="cpu")) as opened:
        yield opened


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty store."""
    with Store.open(f"sqlite:///{tmp_path}/store.db") as opened:
        yield opened


def interrupting(function: Callable[..., Any], after: int) -> Callable[..., Any]:
    """The function, which the user interrupts when it was called so often."""
    calls = iter(range(sys.maxsize))

    def called(*arguments: Any, **named: Any) -> Any:
        if next(calls) == after:
            raise KeyboardInterrupt
        return function(*arguments, **named)

    return called


def ask_until_interrupted(ask: Callable[[], Iterator[Any]]) -> None:
    """Take answers as a suite does, until Ctrl-C."""
    with pytest.raises(KeyboardInterrupt):
        for _ in ask():
            pass


def one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows come and go in a cache of keys and values."""


def in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are begun together, and leave one by one, as where a cache holds a state."""
    monkeypatch.setattr(decoding, "batch_for", lambda config, device: StaticBatch(device))


def without_a_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every row is read again for every token."""
    monkeypatch.setattr(Network, "takes_cache", False)


@pytest.mark.parametrize("way", [one_by_one, in_batches, without_a_cache])
def test_finished_answers_do_not_wait_for_their_batch(
    way: Callable[[pytest.MonkeyPatch], None], engine: Engine, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted after some tokens, every answer that ended with fewer is in the store, and no other."""
    way(monkeypatch)
    lengths = sorted(answer.completion_tokens for _, answer in engine.generate(PROMPTS, SAMPLING))
    steps = lengths[len(lengths) // 2]
    finished = sum(length <= steps for length in lengths)
    assert 0 < finished < len(PROMPTS)
    monkeypatch.setattr(TokenChooser, "_choose", interrupting(TokenChooser._choose, steps))

    ask_until_interrupted(lambda: recorded(engine, store).generate(PROMPTS, SAMPLING))

    assert finished == store.integrity.counts()["answers"]


def test_scored_choices_do_not_wait_for_the_others(
    engine: Engine, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of log-likelihoods, every one whose last token was passed is in the store."""
    list(engine.loglikelihood(PAIRS))  # by which it is known to take trees
    found = []
    log_likelihood = ScoringRequest.log_likelihood
    monkeypatch.setattr(
        ScoringRequest, "log_likelihood", lambda *given: found.append(1) or log_likelihood(*given)
    )
    monkeypatch.setattr(tree_scoring._Walk, "step", interrupting(small(tree_scoring._Walk.step), 6))

    ask_until_interrupted(lambda: recorded(engine, store).loglikelihood(PAIRS))

    assert 0 < len(found) < len(PAIRS)
    assert len(found) == store.integrity.counts()["answers"]


def small(step: Callable[..., Any]) -> Callable[..., Any]:
    """The step of a walk, of a few tokens only."""

    def taken(walk: Any, budget: tree_scoring.PassBudget) -> Any:
        return step(walk, tree_scoring.PassBudget(tokens=16, scored=16))

    return taken


def test_scored_batches_do_not_wait_for_the_others(
    engine: Engine, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same for a model that is scored by padded batches."""
    monkeypatch.setattr(Network, "takes_cache", False)
    monkeypatch.setattr(
        padded_scoring.PaddedBudget, "take", lambda self, waiting, _: [waiting.popleft() for _ in range(4)]
    )
    monkeypatch.setattr(padded_scoring, "_score", interrupting(padded_scoring._score, 3))

    ask_until_interrupted(lambda: recorded(engine, store).loglikelihood(PAIRS))

    assert 3 * 4 == store.integrity.counts()["answers"]


@pytest.mark.parametrize("way", [one_by_one, in_batches, without_a_cache])
def test_tokens_are_counted_between_answers(
    way: Callable[[pytest.MonkeyPatch], None], engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A watcher learns after every token of the rows how many were written, and at most remain."""
    way(monkeypatch)
    seen: list[tuple[int, int]] = []
    with watching_steps(lambda written, left: seen.append((written, left))):
        answers = [answer for _, answer in engine.generate(PROMPTS, SAMPLING)]

    assert (sum(answer.completion_tokens for answer in answers), 0) == seen[-1]
    assert (len(PROMPTS), len(PROMPTS) * 39) == seen[0]
    assert len(seen) == max(answer.completion_tokens for answer in answers)
    assert torch.is_grad_enabled()
