"""Which store a target names: the only place that chooses between the two."""

from importlib import import_module
from pathlib import Path

from gateway.store.base import Store
from gateway.store.sqlite import SqliteStore


def open_store(target: str, *, database: str = "ostiary", filling: bool = False) -> Store:
    """The store that a file path or a ``mongodb://`` or ``mongodb+srv://`` URI names, not opened yet.

    ``database`` counts for MongoDB only; ``filling`` opens a store although a move into it did not end.
    ``ValueError`` for another kind of address, an unusable URI or database name; the text never repeats the URI.
    """
    scheme, separator, _ = target.partition("://")
    if scheme.lower() in ("mongodb", "mongodb+srv") and separator:
        # loaded by name: the driver costs a quarter of the start, and the embedded store does not need it
        mongo: Store = import_module("gateway.store.mongo").MongoStore(target, database=database, filling=filling)
        return mongo
    if separator:
        raise ValueError("the store is neither a file nor a MongoDB URI: give a path, `mongodb://` or `mongodb+srv://`")
    if not target:
        raise ValueError("the store has no name: give a path, `mongodb://` or `mongodb+srv://`")
    return SqliteStore(Path(target), filling=filling)
