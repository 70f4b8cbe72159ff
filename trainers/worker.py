"""One of several processes that train a stage: what torchrun or accelerate starts.

    torchrun --nproc-per-node 2 -m trainers.worker FOLDER CONTACT

`trainers.launcher` says what the two hold. Before the stage's module runs, the only check is that as many
processes run as requested: a launcher that is asked for what it cannot do may silently start just one.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path
from threading import Thread
from time import sleep
from traceback import format_exc

import torch
from accelerate import PartialState

from harness.errors import HarnessError, UsageError
from trainers.disk import raising_disk_full
from trainers.job import Job, OnProgress
from trainers.launcher import OUTCOME, POLL_SECONDS, PROGRESS, end_with, read_job, write_error
from trainers.stages import run


def main(folder: Path, contact: Path) -> None:
    """Train, and write the metrics, or the reason why there are none."""
    Thread(target=end_with, args=(contact,), daemon=True).start()
    job = read_job(folder)
    restore_on_cpu()
    try:
        with raising_disk_full(job.folder):
            state = join_group(job)
            metrics = run(
                replace(
                    job, is_main=state.is_main_process, on_progress=reporter(folder, state.is_main_process)
                )
            )
            if state.is_main_process:
                (folder / OUTCOME).write_text(json.dumps(metrics), encoding="utf-8")
            while not (folder / OUTCOME).exists():  # the main process may still measure checkpoints
                sleep(POLL_SECONDS)
    except HarnessError as error:
        write_error(contact, error, format_exc())
        sys.exit(error.exit_code)
    except BaseException:  # an interrupt too: the launcher must learn why its worker ended
        write_error(contact, None, format_exc())
        raise
    state.destroy_process_group()


def join_group(job: Job) -> PartialState:
    """Join the group of processes. Raises UsageError where there are not as many as requested."""
    state = PartialState(cpu=not torch.cuda.is_available())
    if state.num_processes != job.processes:
        raise UsageError(
            f"{job.processes} processes were asked for, and {state.num_processes} started. accelerate starts "
            "one, silently, where its file says `distributed_type: NO` or `MULTI_CPU`; write MULTI_GPU, FSDP "
            "or DEEPSPEED (on a CPU, too), or use `--launch torchrun`"
        )
    return state


def restore_on_cpu() -> None:
    """Let `torch.load` read `cpu:0`, accelerate's name, as the CPU; else an optimiser could not resume."""
    torch.serialization.register_package(
        0,
        tagger=lambda storage: None,
        deserializer=lambda storage, place: storage if place.startswith("cpu:") else None,
    )


def reporter(folder: Path, is_main: bool) -> OnProgress:
    """Let the main process write every step to a file, for the process that monitors."""

    def report(
        step: int, total: int, loss: float | None, tokens: int | None = None, without_signal: int = 0
    ) -> None:
        if is_main:
            with (folder / PROGRESS).open("a", encoding="utf-8") as file:
                file.write(json.dumps([step, total, loss, tokens, without_signal]) + "\n")

    return report


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
