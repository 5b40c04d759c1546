"""Settings that every test shares."""

import os

import pytest
from hypothesis import HealthCheck, settings

from gateway.store.opening import open_store
from tests.platforms.counterparts import authority, platforms  # noqa: F401 (fixtures, for whoever asks)

settings.register_profile(
    "ci", max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("nightly", max_examples=20_000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


@pytest.fixture
async def store(tmp_path):
    """An empty embedded store."""
    store = open_store(str(tmp_path / "store.db"))
    await store.open()
    yield store
    await store.close()
