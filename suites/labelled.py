"""A suite under a name of its own, `SUITE:LABEL`, so that one project can ask it in several ways.

Its settings are those of the section `[suites."SUITE:LABEL"]`. Runs of the suite and of the labelled one are
runs of two suites, and never compared with each other.

It does not know what the settings are.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from harness.protocols import Engine, Suite
from harness.records import Json, Metric, Row


@dataclass(frozen=True)
class Labelled:
    """The suite as it is, but for its name."""

    suite: Suite
    name: str

    @property
    def version(self) -> str:
        """The suite's."""
        return self.suite.version

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The suite's."""
        return self.suite.metrics

    @property
    def data_hash(self) -> str:
        """The suite's."""
        return self.suite.data_hash

    @property
    def size(self) -> int:
        """The suite's."""
        return self.suite.size

    def settings(self, chat_template: str | None) -> Mapping[str, Json]:
        """The suite's."""
        return self.suite.settings(chat_template)

    def rows(self, engine: Engine) -> Iterator[Row]:
        """The suite's."""
        return self.suite.rows(engine)
