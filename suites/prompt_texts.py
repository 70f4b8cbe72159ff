"""Reads the texts of a suite's prompts without a model, so that they can be kept out of training data.

A suite that knows its samples beforehand is read directly. Any other, such as a framework's task or a
package's suite, is run on a null engine, which may take seconds.
"""

from collections.abc import Iterable, Iterator

from harness.engine.null_engine import NullEngine
from harness.protocols import Suite
from harness.records.answers import Sample
from suites.labelled import Labelled
from suites.row_suite import SampleSuite


def is_quick(suite: Suite) -> bool:
    """Whether its prompts can be read at once."""
    return isinstance(_itself(suite), SampleSuite)


def prompt_texts(suite: Suite) -> list[str]:
    """Every text that the suite asks with, each once; of turns, each turn's. Raises UsageError."""
    return list(dict.fromkeys(text for sample in _samples(suite) for text in _texts(sample)))


def _samples(suite: Suite) -> Iterable[Sample]:
    own = _itself(suite)
    if isinstance(own, SampleSuite):
        return own.known_samples
    return (row.sample for row in suite.rows(NullEngine()))


def _itself(suite: Suite) -> Suite:
    return suite.suite if isinstance(suite, Labelled) else suite


def _texts(sample: Sample) -> Iterator[str]:
    if isinstance(sample.prompt, str):
        yield sample.prompt
    else:
        yield from (turn.content for turn in sample.prompt)
