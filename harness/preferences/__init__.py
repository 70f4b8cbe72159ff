"""Preferences: what judges and humans said about pairs of answers, and what that comes to."""

from harness.preferences.analysis import analyse
from harness.preferences.files import read_judgements, write_judgements
from harness.preferences.findings import HUMANS, Analysis, Finding, GroupAgreement, RaterAgreement, Ratings
from harness.preferences.judgement import (
    CUT,
    IDENTICAL,
    NO_ANSWER,
    THINKING,
    UNREADABLE,
    Choice,
    Judgement,
    Winner,
    choices,
)

__all__ = [
    "CUT",
    "HUMANS",
    "IDENTICAL",
    "NO_ANSWER",
    "THINKING",
    "UNREADABLE",
    "Analysis",
    "Choice",
    "Finding",
    "GroupAgreement",
    "Judgement",
    "RaterAgreement",
    "Ratings",
    "Winner",
    "analyse",
    "choices",
    "read_judgements",
    "write_judgements",
]
