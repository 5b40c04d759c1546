"""Nodes that share a store, over both stores where it matters."""

import pytest

from tests.connections.renewal import Clock, Node, Rotating
from tests.secantus import secantus  # noqa: F401
from tests.store.conftest import opened  # noqa: F401


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def legs(clock):
    return Rotating(clock)


@pytest.fixture
def node(store, legs, clock):
    return Node(store, legs, clock)


@pytest.fixture
async def nodes(opened, legs, clock):  # noqa: F811
    """Three nodes, each with a store of its own on one and the same database."""
    return [Node(await opened(), legs, clock) for _ in range(3)]
