"""Trains where Ray finds room for it: on a machine that sees the same files as this one.

There the stages are trained as they are here, by the launcher that the command names.
"""

import os
import platform
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from harness.engine.ray_cluster import ray_for, reports
from harness.errors import HarnessError, UsageError, WorkFailed
from harness.verbs.placement import Allotment
from harness.verbs.progress import Progress
from harness.verbs.relayed_progress import RelayedProgress

LOOKING = 0.5
"""Seconds between two looks at how far it is."""
TRIES = 2
"""Machines that may be lost under a training, after the first: it goes on from its last checkpoint."""

Train = Callable[[Progress], Path]


def train_on_ray(train: Train, name: str, *, on: str, allotment: Allotment, progress: Progress) -> Path:
    """Call `train`, which can be sent to a worker, where there is room, and return what it returns.

    Raises what training raises; UsageError for a machine without this folder; WorkFailed where more machines
    are lost than TRIES.
    """
    ray = ray_for(on, gpus=allotment.gpus)
    queue = reports()
    remote = ray.remote(_train).options(num_cpus=allotment.cpus, num_gpus=allotment.gpus, max_retries=TRIES)
    task = remote.remote(train, name, str(Path.cwd()), queue)
    try:
        while not _is_over(ray, task, queue, progress):
            pass
        found = ray.get(task)
    except ray.exceptions.RayTaskError:  # a defect
        raise
    except ray.exceptions.RayError as error:
        raise WorkFailed(f"{name}: {str(error).strip().splitlines()[0]}; the same command goes on") from error
    finally:
        ray.cancel(task, force=True)
        queue.shutdown(force=True)
    if isinstance(found, HarnessError):
        raise found
    return Path(found)


def _is_over(ray: Any, task: Any, queue: Any, progress: Progress) -> bool:
    done, _ = ray.wait([task], timeout=LOOKING)
    for method, arguments in queue.get_nowait_batch(queue.qsize()):
        getattr(progress, method)(*arguments)
    return bool(done)


def _train(train: Train, name: str, folder: str, queue: Any) -> Path | HarnessError:
    """Called in a worker of Ray's."""
    try:
        os.chdir(folder)
    except OSError:
        return UsageError(
            f"{name}: {platform.node()} has no folder {folder}, in which it is to be trained; make the same "
            "folders visible on every machine"
        )
    try:
        return train(RelayedProgress(partial(_report, queue)))
    except HarnessError as error:
        return error


def _report(queue: Any, method: str, arguments: tuple[Any, ...]) -> None:
    queue.put_nowait((method, arguments))
