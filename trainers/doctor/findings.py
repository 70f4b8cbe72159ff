"""What the doctor reports: findings, and examinations of stages and models."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "note"]
"""`error`: what is learned or measured would be wrong; `warning`: likely a mistake; `note`: worth knowing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorFinding:
    """A measurement that is not as it should be."""

    check: str
    severity: Severity
    where: str
    """The key in the configuration, or the file."""
    evidence: str
    fix: str
    """The line of configuration that corrects it, or what else to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowPiece:
    """A piece of a training row's text, and whether it is in the loss."""

    text: str
    learned: bool
    part: Literal["prompt", "answer", "chosen", "rejected"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """What was found in one stage or model."""

    name: str
    findings: tuple[DoctorFinding, ...]
    shown: tuple[RowPiece, ...] = ()
    """The first row as the model reads it."""
    measured: Mapping[str, str] | None = None
    """Figures from checks that found nothing."""
    left_out: Sequence[str] = ()
    """What could not be examined yet, and why."""
