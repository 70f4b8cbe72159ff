"""Fixtures: one small trained world for all tests of a session."""

import pytest

from tests.trainers.world import World


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Each test adds its own pipelines beside the others'."""
    made = World(tmp_path_factory.mktemp("world"))
    made.produce("sft")
    made.produce("reward")
    return made


@pytest.fixture(scope="session")
def base(world: World) -> str:
    """A pretrained model's folder."""
    return str(world.produce("base"))
