"""Group relative policy optimisation: of the answers to one prompt, those of higher reward become likelier.

With TRL's GRPOTrainer (Shao et al. 2024, "DeepSeekMath").
"""

from collections.abc import Mapping

from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.grpo_trainer import GRPOTrainer

from harness.records.models import Json
from trainers.job import Job
from trainers.online import run_online


def run(job: Job) -> Mapping[str, Json]:
    """Train, write the candidate, return the metrics. Raises DataError, ModelError, TrainingError."""
    return run_online(job, GRPOTrainer, GRPOConfig)
