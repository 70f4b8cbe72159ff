"""How much of a cluster each model gets: all of it together, and no more."""

import pytest

from harness.verbs.placement import Cluster, _room, allotment_of, training_allotment, trainings_at_once


def cluster(slots: int, *, gpus: float = 0, largest: int | None = None) -> Cluster:
    """A cluster of some machines."""
    return Cluster(address="here", slots=slots, gpus_per_slot=gpus, largest=largest or slots)


@pytest.mark.parametrize(
    ("slots", "models", "asked", "replicas", "cpus"),
    [
        (2, 1, None, 2, 1),  # one model has all
        (2, 4, None, 1, 1),  # two models at a time
        (16, 4, None, 4, 1),
        (16, 4, 1, 1, 4),  # one process each, with threads
        (16, 1, 2, 2, 8),
        (2, 1, 8, 8, 1),  # more than there is room for: they wait
    ],
)
def test_without_gpus_all_cpus_are_used(
    slots: int, models: int, asked: int | None, replicas: int, cpus: int
) -> None:
    """By replicas first, and by their threads where the number of replicas is given."""
    allotment = allotment_of(cluster(slots), models, asked)
    assert (replicas, cpus, 0, replicas * cpus) == (
        allotment.replicas,
        allotment.cpus,
        allotment.gpus,
        allotment.slots,
    )


def test_a_replica_fits_a_machine() -> None:
    """Its threads do not reach over to another one."""
    assert 4 == allotment_of(cluster(16, largest=4), 1, 1).cpus


def test_with_gpus_a_slot_is_a_replica() -> None:
    """As many replicas as GPUs, if there are fewer models than that."""
    allotment = allotment_of(cluster(8, gpus=1), 2, None)
    assert (4, 1, 1, 4) == (allotment.replicas, allotment.cpus, allotment.gpus, allotment.slots)
    assert 2 == allotment_of(cluster(8, gpus=2), 20, 2).slots


def test_a_training_has_a_gpu_for_each_process() -> None:
    """And else the CPUs that other trainings leave."""
    allotment = training_allotment(cluster(8, gpus=1), 3, 4)
    assert (4, 4) == (allotment.gpus, allotment.slots)
    assert [1, 2, 4] == [training_allotment(cluster(4), trainings, 1).cpus for trainings in (4, 2, 1)]


def test_trainings_at_once() -> None:
    """Those that build on each other are trained after each other."""
    needs = {
        "sft": frozenset({"base"}),
        "grpo": frozenset({"sft", "reward"}),
        "dpo": frozenset({"sft"}),
        "reward": frozenset({"sft"}),
    }
    assert 2 == trainings_at_once(needs)
    assert 1 == trainings_at_once({"sft": frozenset({"base"})})
    assert 1 == trainings_at_once({})


def test_the_room_of_machines() -> None:
    """GPUs count where there are some, whole replicas on each machine; else CPUs."""
    two = [{"CPU": 16.0, "GPU": 4.0}, {"CPU": 16.0, "GPU": 3.0}, {"CPU": 8.0}]
    assert {"slots": 7, "gpus_per_slot": 1.0, "largest": 4} == _room(two, None)
    assert {"slots": 3, "gpus_per_slot": 2, "largest": 2} == _room(two, 2)
    assert {"slots": 14, "gpus_per_slot": 0.5, "largest": 8} == _room(two, 0.5)
    assert {"slots": 40, "gpus_per_slot": 0, "largest": 16} == _room(two, 0)
    assert {"slots": 8, "gpus_per_slot": 0.0, "largest": 8} == _room([{"CPU": 8.0}], None)
