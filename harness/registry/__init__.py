"""Reads harness.toml: what the names of a project's models, pipelines and suites stand for.

The file is data and is validated whole: every mistake is reported at once, each with its file, its key, and
the nearest right name. The settings of stages and suites are passed in as pydantic models, because this
package imports neither trainers nor suites.
"""

from harness.registry.loading import load
from harness.registry.mixes import MIX
from harness.registry.pipelines import Renamed
from harness.registry.records import (
    AgreementRule,
    Compare,
    Gate,
    LossRule,
    MetricRule,
    Placement,
    Prices,
    ProjectSettings,
    Registry,
    TokenPrice,
)
from harness.registry.suites import JUDGES, labelled

__all__ = [
    "JUDGES",
    "MIX",
    "AgreementRule",
    "Compare",
    "Gate",
    "LossRule",
    "MetricRule",
    "Placement",
    "Prices",
    "ProjectSettings",
    "Registry",
    "Renamed",
    "TokenPrice",
    "labelled",
    "load",
]
