"""The results store: answers, runs, scores, preferences and what was trained, in one database."""

from harness.store.answers import KeptAnswer, answer_key, is_refused, key_of
from harness.store.encoding import Answer, canonical, digest
from harness.store.models import KeptModel
from harness.store.removal import Removal
from harness.store.runs import CutAnswers, Failures
from harness.store.stages import KeptStage
from harness.store.store import Store

__all__ = [
    "Answer",
    "CutAnswers",
    "Failures",
    "KeptAnswer",
    "KeptModel",
    "KeptStage",
    "Removal",
    "Store",
    "answer_key",
    "canonical",
    "digest",
    "is_refused",
    "key_of",
]
