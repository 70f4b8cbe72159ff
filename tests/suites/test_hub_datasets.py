"""Which data set on the hub a suite's samples are of: nothing is guessed."""

import pytest

from suites.catalogue import SUITES
from suites.hub_datasets import ORIGINS, hub_dataset


@pytest.mark.parametrize(
    ("suite", "dataset"),
    [
        ("ifeval", ("google/IFEval", None)),
        ("truthfulqa", ("truthfulqa/truthful_qa", "multiple_choice")),
        ("truthfulqa-gen", ("truthfulqa/truthful_qa", "generation")),
        ("realtoxicityprompts", ("allenai/real-toxicity-prompts", None)),
        ("lm_eval:gsm8k", ("openai/gsm8k", "main")),
        ("lm_eval:arc_easy", ("allenai/ai2_arc", "ARC-Easy")),
        ("lm_eval:squadv2", None),  # defined by a program
        ("lm_eval:nobody_knows_it", None),
        ("toy-ifeval", None),
        ("capitals", None),
    ],
)
def test_data_sets(suite: str, dataset: tuple[str, str | None] | None) -> None:
    """Official suites and lm-eval's tasks as their definitions have it; None for all else."""
    assert dataset == hub_dataset(suite)


def test_every_entry_is_a_suite() -> None:
    """No name in the table is of a suite that is gone."""
    assert set(ORIGINS) <= set(SUITES)
