"""Ways out and platforms for the tests of shipped connectors."""

import pytest

from connectors.egress import Egress
from tests.platforms.rig import DEFINITIONS, Rig, platform
from tests.platforms.small import smalls
from tests.platforms.visiting import Person


@pytest.fixture
async def egress():
    out = Egress()
    yield out
    await out.close()


@pytest.fixture
async def small():
    """A platform of our own, empty."""
    async with smalls() as running:
        yield running


@pytest.fixture
def emulated_rig(platforms, egress):
    """``emulated_rig("github")``: a shipped connector in front of the emulated platform, which is as at its start."""
    platforms.reset()

    def made(connector, **more):
        known = platforms.of(connector)
        given = {"client_id": known.client_id, "client_secret": known.client_secret, **more}
        return Rig(platform(connector, known.at, known.host, **given), egress)

    return made


@pytest.fixture
def connected(emulated_rig, platforms):
    """``await connected("github")``: the same, with the first of its users connected."""

    async def made(connector, who=0, **more):
        rig = emulated_rig(connector, **more)
        rig.account = await rig.connect(Person(platforms.of(connector).users[who]))
        return rig

    return made


@pytest.fixture
def small_rig(small, egress):
    """``small_rig("notion")``: a shipped connector in front of ``small``."""

    def made(connector, **more):
        at = small.at(DEFINITIONS[connector])
        return Rig(
            platform(connector, at, small.host, **{"client_id": "client", "client_secret": "s-e:c+r/e=t", **more}),
            egress,
        )

    return made
