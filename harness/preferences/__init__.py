"""Preferences: what judges and humans said about pairs of answers, and what that comes to."""

from harness.preferences.analysis import analyse
from harness.preferences.files import read_preferences
from harness.preferences.named import (
    CUT,
    IDENTICAL,
    NO_ANSWER,
    NO_REASON,
    SHARES,
    THINKING,
    UNREADABLE,
    NamedPreference,
    agreed,
    over_orders,
)
from harness.preferences.results import (
    HUMANS,
    Analysis,
    GroupAgreement,
    RaterAgreement,
    RaterWinRate,
    Ratings,
)

__all__ = [
    "CUT",
    "HUMANS",
    "IDENTICAL",
    "NO_ANSWER",
    "NO_REASON",
    "SHARES",
    "THINKING",
    "UNREADABLE",
    "Analysis",
    "GroupAgreement",
    "NamedPreference",
    "RaterAgreement",
    "RaterWinRate",
    "Ratings",
    "agreed",
    "analyse",
    "over_orders",
    "read_preferences",
]
