"""The toy world: a small invented world to train and test in, with nothing to download.

`training_set` and `evaluation_set` give its rows by name; `settings_file` is the `harness.toml` that commands
use where a project has none of its own. Everything is generated, seeded and deterministic, and no evaluation
item, nor a rewording of one, is in any training set (see `splits`).
"""

import sys
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path

from harness.errors import UnknownName
from harness.toyworld import corpus, demonstrations, evaluation, preferences, toxicity

Row = dict[str, object]


TRAINING_SETS: Mapping[str, Callable[[int], list[Row]]] = {
    "corpus": lambda seed: [{"text": document} for document in corpus.documents(seed)],
    "sft": demonstrations.demonstrations,
    "reward": preferences.comparisons,
    "grpo": preferences.prompts,
    "tulu": preferences.general_pairs,
    "mix": preferences.own_pairs,
    "toxicity": toxicity.labelled,
}
"""By the names that a configuration writes `toy:NAME`."""

EVALUATION_SETS: Mapping[str, Callable[[], list[Row]]] = {
    "toy-truthfulqa": evaluation.questions,
    "toy-ifeval": evaluation.instructions,
    "toy-toxicity": evaluation.quarrels,
}
"""By the toy suites' names."""


def training_set(name: str, seed: int = 0) -> list[Row]:
    """The rows of a training set, as JSON values. Raises UnknownName."""
    if name not in TRAINING_SETS:
        raise UnknownName("toy training set", name, TRAINING_SETS)
    return TRAINING_SETS[name](seed)


def evaluation_set(name: str) -> list[Row]:
    """The held-out rows of a toy suite, as JSON values. Raises UnknownName."""
    if name not in EVALUATION_SETS:
        raise UnknownName("toy evaluation set", name, EVALUATION_SETS)
    return EVALUATION_SETS[name]()


def generator_hash() -> str:
    """A hash of the code that all rows come from: while it stays, so do they."""
    digest = sha256(repr(sys.version_info[:2]).encode())  # `random` may draw otherwise in another Python
    for file in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def settings_file() -> Path:
    """The embedded `harness.toml`."""
    return Path(__file__).with_name("harness.toml")
