"""The toy world: a small invented world to train and test in, with nothing to download.

`training_set` and `evaluation_set` give its rows by name; `settings_file` is the `harness.toml` that commands
use where a project has none of its own. Everything is generated, seeded and deterministic, and no evaluation
item, nor a rewording of one, is in any training set (see `splits`).

It does not know any model library, nor how anything is trained or scored.
"""

import sys
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path

from harness.errors import UnknownName
from harness.toyworld import corpus, demonstrations, evaluation, preferences, toxicity

Row = dict[str, object]


def _corpus(seed: int) -> list[Row]:
    return [{"text": document} for document in corpus.documents(seed)]


_TRAINING: Mapping[str, Callable[[int], list[Row]]] = {
    "corpus": _corpus,
    "sft": demonstrations.demonstrations,
    "reward": preferences.comparisons,
    "grpo": preferences.prompts,
    "tulu": preferences.general_pairs,
    "mix": preferences.own_pairs,
    "toxicity": toxicity.labelled,
}

_EVALUATION: Mapping[str, Callable[[], list[Row]]] = {
    "toy-truthfulqa": evaluation.questions,
    "toy-ifeval": evaluation.instructions,
    "toy-toxicity": evaluation.quarrels,
}


def training_sets() -> tuple[str, ...]:
    """The names `training_set` knows; a configuration writes them `toy:NAME`."""
    return tuple(_TRAINING)


def training_set(name: str, seed: int = 0) -> list[Row]:
    """The rows of a training set, as JSON values. Raises UnknownName."""
    if name not in _TRAINING:
        raise UnknownName("toy training set", name, _TRAINING)
    return _TRAINING[name](seed)


def evaluation_sets() -> tuple[str, ...]:
    """The names `evaluation_set` knows: the toy suites'."""
    return tuple(_EVALUATION)


def evaluation_set(name: str) -> list[Row]:
    """The held-out rows of a toy suite, as JSON values. Raises UnknownName."""
    if name not in _EVALUATION:
        raise UnknownName("toy evaluation set", name, _EVALUATION)
    return _EVALUATION[name]()


def generator_hash() -> str:
    """A hash of the code that all rows come from: while it stays, so do they."""
    digest = sha256(repr(sys.version_info[:2]).encode())  # `random` may draw otherwise in another Python
    for file in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def settings_file() -> Path:
    """The embedded `harness.toml`."""
    return Path(__file__).with_name("harness.toml")
