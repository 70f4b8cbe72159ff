"""Which data set on the hub a suite's samples are of, for results that are published beside it."""

from collections.abc import Mapping

from harness.errors import UsageError
from suites import ifeval, realtoxicityprompts, truthfulqa
from suites.official import OfficialDataset
from suites.truthfulqa_categories import GENERATION

ORIGINS: Mapping[str, OfficialDataset] = {
    "truthfulqa": truthfulqa.ORIGIN,
    "truthfulqa-lettered": truthfulqa.ORIGIN,
    "truthfulqa-gen": GENERATION,
    "ifeval": ifeval.ORIGIN,
    "realtoxicityprompts": realtoxicityprompts.RANDOM,
}
LM_EVAL = "lm_eval:"


def hub_dataset(suite: str) -> tuple[str, str | None] | None:
    """The repository and the configuration; None where none is known.

    Of lm-eval's tasks the installed definition says it; finding it takes a second.
    """
    if suite in ORIGINS:
        return ORIGINS[suite].hub, ORIGINS[suite].config
    if not suite.startswith(LM_EVAL):
        return None
    from harness.adaptors.lm_eval.definitions import task_dataset  # noqa: PLC0415 - lm-eval takes seconds to import

    try:
        return task_dataset(suite.removeprefix(LM_EVAL))
    except UsageError:  # a task of another version of lm-eval
        return None
