"""Tests that share something costly run in one process."""

import os

import pytest


@pytest.mark.xdist_group("one process")
def test_a_group_is_kept_together(request: pytest.FixtureRequest) -> None:
    """pytest-xdist keeps tests together by what it appends to their names; some pairs of versions lose it."""
    assert "PYTEST_XDIST_WORKER" not in os.environ or request.node.nodeid.endswith("@one process")
