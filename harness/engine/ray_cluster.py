"""Connects to Ray, which runs processes on one machine or many. The only file that imports it.

To a cluster that is up, or to one of this command's own.
"""

import logging
import os
import signal
import socket
import threading
from importlib.util import find_spec
from multiprocessing import parent_process
from typing import Any

from harness.errors import EngineError, UsageError

LOCAL = "ray"
"""The place that is this machine, or the cluster that RAY_ADDRESS names."""
REACHING = 10.0
"""Seconds within which a cluster's head must accept a connection."""
SHARED_MEMORY = 200_000_000
"""Bytes for what processes of one machine share: requests and answers, which are small."""


def ray_for(on: str, *, gpus: float) -> Any:
    """The module ray, connected. `on`: `ray`, or the address of a cluster's head; `gpus`: those of a replica.

    Raises UsageError where ray is not installed, the head cannot be reached, or no machine has so many GPUs.
    """
    if find_spec("ray") is None:
        raise UsageError(f'{on!r} needs the package "ray", which is missing: pip install "harness[ray]"')
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray as imported  # noqa: PLC0415 - an extra

    ray: Any = imported  # much of it is not annotated

    if not ray.is_initialized():
        logging.getLogger("ray").setLevel(logging.CRITICAL)  # what it says of dead replicas, we say
        before = signal.getsignal(signal.SIGTERM)
        _connect(ray, on)
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)  # Ray's own handler leaves without a word
    most = max((node["Resources"].get("GPU", 0) for node in ray.nodes() if node["Alive"]), default=0)
    if gpus > most:
        raise UsageError(
            f"a replica is to have {gpus:g} GPUs, and no machine of the cluster has more than {most:g}: "
            "lower gpus_per_replica in [run]"
        )
    return ray


def reports() -> Any:
    """A queue that workers put into, and the driver takes from."""
    from ray.util.queue import Queue  # noqa: PLC0415 - an extra

    return Queue(actor_options={"num_cpus": 0})


def _connect(ray: Any, on: str) -> None:
    address = os.environ.get("RAY_ADDRESS") if on == LOCAL else on
    own = {"include_dashboard": False, "object_store_memory": SHARED_MEMORY}
    try:
        if address:
            _reach(address)
        ray.init(
            address=address,
            logging_level=logging.CRITICAL,
            log_to_driver=False,
            **({} if address else own),
        )
    except (OSError, ValueError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        if parent_process() is not None:  # the command had reached it
            raise EngineError(f"Ray at {address} is gone: {reason}; the same command goes on") from error
        raise UsageError(
            f"no Ray can be reached at {address or 'this machine'}: {reason}; "
            "start one with `ray start --head`; set RAY_AUTH_MODE=token if it checks tokens, as `ray start` "
            "says; or leave the address out to use this machine alone"
        ) from error


def _reach(address: str) -> None:
    """Raise OSError where nothing listens: Ray itself would try for minutes."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if port.isdecimal():
        socket.create_connection((host, int(port)), timeout=REACHING).close()
