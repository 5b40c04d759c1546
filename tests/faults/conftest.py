"""The wire of MongoDB, and the guard on what goes over it."""

from tests.secantus import secantus  # noqa: F401
from tests.store.conftest import only_portable_commands  # noqa: F401
