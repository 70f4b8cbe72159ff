"""REINFORCE leave-one-out: an answer's baseline is the mean reward of the other answers to its prompt.

With TRL's RLOOTrainer (Ahmadian et al. 2024, "Back to Basics").
"""

from collections.abc import Mapping

from trl.trainer.rloo_config import RLOOConfig
from trl.trainer.rloo_trainer import RLOOTrainer

from harness.records.models import Json
from trainers.job import Job
from trainers.online import run_online


def run(job: Job) -> Mapping[str, Json]:
    """Train, write the candidate, return the metrics. Raises DataError, ModelError, TrainingError."""
    return run_online(job, RLOOTrainer, RLOOConfig)
