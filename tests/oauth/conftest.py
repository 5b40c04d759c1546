"""A token endpoint with quirks, and the legs that go to it."""

import pytest

from connectors.oauth.legs import Legs
from tests.connectors.conftest import egress, serve  # noqa: F401 (fixtures)
from tests.oauth.quirks import NOW, Quirks


@pytest.fixture
async def quirks(serve):  # noqa: F811
    endpoint = Quirks()
    endpoint.server = await serve(endpoint.reply)
    return endpoint


@pytest.fixture
def legs(egress):  # noqa: F811
    return Legs(egress, lambda: NOW)
