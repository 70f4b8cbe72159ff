"""A suite under a name of its own, `SUITE:LABEL`, so that one project can ask it in several ways.

Its settings are those of the section `[suites."SUITE:LABEL"]`. Runs of the suite and of the labelled one are
runs of two suites, and never compared with each other.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from harness.protocols import Engine, Suite
from harness.records.answers import Metric, Row
from harness.records.models import Json


class SuiteWrapper(ABC):
    """Another suite in everything but the name."""

    @property
    @abstractmethod
    def suite(self) -> Suite:
        """The suite that is asked."""

    @property
    def version(self) -> str:
        return self.suite.version

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return self.suite.metrics

    @property
    def data_hash(self) -> str:
        return self.suite.data_hash

    @property
    def size(self) -> int:
        return self.suite.size

    def settings(self, chat_template: str | None) -> Mapping[str, Json]:
        return self.suite.settings(chat_template)

    def rows(self, engine: Engine) -> Iterator[Row]:
        return self.suite.rows(engine)


@dataclass(frozen=True)
class Labelled(SuiteWrapper):
    """The suite under its label."""

    of: Suite
    name: str

    @property
    def suite(self) -> Suite:
        return self.of
