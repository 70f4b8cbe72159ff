"""What the doctor says: the nouns. It does not know how anything is found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "note"]
"""`error`: what is learned or measured would be false; `warning`: likely a mistake; `note`: to be known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorFinding:
    """Something that was measured and should not be so."""

    check: str
    severity: Severity
    where: str
    """The key in the configuration, or the file."""
    evidence: str
    """What was measured."""
    mend: str
    """The line of configuration that mends it, or what else to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowPiece:
    """A stretch of a training row's text, and whether it is in the loss."""

    text: str
    learned: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """What was found in one stage, or in one model."""

    name: str
    findings: tuple[DoctorFinding, ...]
    shown: tuple[RowPiece, ...] = ()
    """The first row as the model reads it."""
    measured: Mapping[str, str] | None = None
    """Figures behind checks that found nothing."""
    left_out: Sequence[str] = ()
    """What could not be examined yet, and why."""
