"""One gateway for all of the real clients and servers."""

from collections.abc import Iterator

import pytest

from tests.peers.site import Site, built


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """What is running, and what was found of it."""
    with built(tmp_path_factory.mktemp("peers")) as found:
        yield found
