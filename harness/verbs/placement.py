"""How much of a cluster each model is asked with, and each pipeline trained with.

Ray decides where: what is decided here is how much each asks for. A slot is the room of one replica: its
GPUs, or a CPU where it has none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from harness.engine.ray_cluster import ray_for
from harness.registry import Placement


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """The room there is in all, when the work begins."""

    address: str
    """Where other processes of this command find it."""
    slots: int
    gpus_per_slot: float
    """0: a slot is a CPU."""
    largest: int
    """The slots of its largest machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Allotment:
    """What one model is asked with, or one pipeline trained with."""

    replicas: int
    cpus: int
    """Of each replica."""
    gpus: float
    """Of each replica."""
    slots: int
    """Of the cluster, in all."""


def cluster_of(placement: Placement) -> Cluster:
    """The cluster that `[run]` names. Raises UsageError where it cannot be reached, or is too small."""
    assert placement.on is not None
    ray = ray_for(placement.on, gpus=placement.gpus_per_replica or 0)
    machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return Cluster(address=_address(ray, placement.on), **_room(machines, placement.gpus_per_replica))


def _room(machines: Sequence[Mapping[str, float]], gpus: float | None) -> dict[str, Any]:
    """The slots of these machines, where a replica has so many GPUs; None: 1 if there are any."""
    if gpus is None:
        gpus = float(any(machine.get("GPU", 0) >= 1 for machine in machines))
    slots = [int(each.get("GPU", 0) // gpus) if gpus else int(each.get("CPU", 0)) for each in machines]
    return {"slots": max(1, sum(slots)), "gpus_per_slot": gpus, "largest": max(1, *slots)}


def allotment_of(cluster: Cluster, models: int, replicas: int | None) -> Allotment:
    """What one of so many models is asked with, with so many replicas; None: as many as there is room for.

    Where there are no GPUs, a replica has the CPUs that nobody else needs.
    """
    number = replicas or max(1, cluster.slots // models)
    if cluster.gpus_per_slot:
        return Allotment(replicas=number, cpus=1, gpus=cluster.gpus_per_slot, slots=number)
    at_once = max(1, min(models, cluster.slots // number))
    cpus = min(max(1, cluster.slots // (at_once * number)), cluster.largest)
    return Allotment(replicas=number, cpus=cpus, gpus=0, slots=number * cpus)


def training_allotment(cluster: Cluster, trainings: int, processes: int) -> Allotment:
    """What one of so many trainings has, each in so many processes on one machine: a GPU for each."""
    if cluster.gpus_per_slot:
        return Allotment(replicas=1, cpus=processes, gpus=processes, slots=processes)
    cpus = min(max(processes, cluster.slots // trainings), cluster.largest)
    return Allotment(replicas=1, cpus=cpus, gpus=0, slots=cpus)


def trainings_at_once(needs: Mapping[str, frozenset[str]]) -> int:
    """How many of these pipelines can be trained at the same time, at most; `needs`: what each builds on."""

    @cache
    def depth(name: str) -> int:
        return 1 + max((depth(other) for other in needs[name] & needs.keys()), default=0)

    depths = [depth(name) for name in needs]
    return max((depths.count(each) for each in depths), default=1)


def _address(ray: Any, on: str) -> str:
    return on if "://" in on else str(ray.get_runtime_context().gcs_address)
