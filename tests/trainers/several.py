"""What torchrun runs in tests: several jobs after one another, so that libraries are imported once.

    torchrun --nproc-per-node 2 -m tests.trainers.several FOLDER …

The jobs whose folder says so are trained with FSDP. accelerate has it for GPUs only, and gloo would do: so it
is made to believe that these CPUs are GPUs.
"""

import os
import sys
from dataclasses import replace
from pathlib import Path

import torch
from accelerate import PartialState
from accelerate.utils import DistributedType

from trainers.launcher import read_job
from trainers.stages import run
from trainers.worker import join_group, reporter

FSDP = {
    "ACCELERATE_USE_FSDP": "true",
    "FSDP_VERSION": "2",
    "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP",
    "FSDP_STATE_DICT_TYPE": "FULL_STATE_DICT",
}
"""What `accelerate launch` sets for a configuration that asks for it."""


def pretend_gpus() -> None:
    """Let accelerate spread weights over CPUs."""
    PartialState._prepare_backend = lambda self, *reported: ("gloo", DistributedType.MULTI_GPU)
    PartialState.set_device = lambda self: setattr(self, "device", torch.device("cpu"))
    os.environ.update(FSDP)


if __name__ == "__main__":
    for folder in map(Path, sys.argv[1:]):
        job = read_job(folder)
        is_main = join_group(job).is_main_process
        if "fsdp" in folder.name:
            pretend_gpus()
        run(replace(job, is_main=is_main, on_progress=reporter(folder, is_main)))
