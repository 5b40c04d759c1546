"""Issuers that publish keys on this machine, and the egress that may reach them."""

import pytest

from tests.connectors.conftest import egress, serve  # noqa: F401 (fixtures)
from tests.proofs.signing import Publishing


@pytest.fixture
async def publishing(serve):  # noqa: F811
    """An issuer whose keys and metadata are there."""
    issuer = Publishing()
    issuer.server = await serve(issuer.reply)
    return issuer
