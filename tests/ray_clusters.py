"""A Ray of this machine's own, for tests."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

ray = pytest.importorskip("ray", reason="the extra `dev` brings Ray")


@contextmanager
def local_ray(cpus: int) -> Iterator[None]:
    """One with so many CPUs, whatever the machine has, which ends with this."""
    os.environ.setdefault("RAY_raylet_start_wait_time_s", "120")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray.init(
        address="local", num_cpus=cpus, include_dashboard=False, log_to_driver=False, logging_level="ERROR"
    )
    try:
        yield
    finally:
        ray.shutdown()
