"""The guard that keeps the store portable: which MongoDB commands, operators and options it may send."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pymongo import monitoring


@dataclass(frozen=True)
class Allowed:
    """Why something may be sent, and the ``keys`` that a command may carry besides those of the driver."""

    why: str
    keys: frozenset[str] = frozenset()


def allowed(why: str, *keys: str) -> Allowed:
    return Allowed(why, frozenset(keys))


COMMANDS = {
    "hello": allowed("asked once at start: is this a replica set?"),
    "listCollections": allowed("asked once at start: does the database hold what we did not make?", "cursor", "nameOnly"),
    "createIndexes": allowed("plain indexes, made at start and found there at the next", "indexes"),
    "find": allowed("by id or an indexed field, sorted by it", "filter", "projection", "sort", "limit", "singleBatch"),
    "getMore": allowed("the driver's: the next batch of a find", "collection", "batchSize"),
    "killCursors": allowed("the driver's: a find that is not read to its end", "cursors"),
    "insert": allowed("single documents under ids of ours", "documents", "ordered"),
    "update": allowed("single documents by id, guarded by fields of theirs", "updates", "ordered"),
    "delete": allowed("audit entries by age, remains of removed records", "deletes", "ordered"),
    "findAndModify": allowed("the one counter; nowhere else, since some servers swallow errors there", "query", "update", "new", "upsert"),
    "endSessions": allowed("the driver's: its farewell"),
}  # fmt: skip
DRIVER = {
    "$db": "which database",
    "lsid": "the session that makes a repeated write known",
    "txnNumber": "which write of it; without `startTransaction` no transaction",
    "$clusterTime": "gossip of replica sets",
    "$readPreference": "the primary",
    "readConcern": "majority",
    "writeConcern": "majority, journalled",
    "maxTimeMS": "how long the server may take",
}
FILTERS = {
    "$gt": "pages and tickets, one bound of a range over an index",
    "$lt": "the other bound",
    "$lte": "the other bound, included",
}
UPDATES = {"$set": "fields of ours as they are to be", "$inc": "the counter of tickets"}
COUNTERS = {"state": "one document; the only collection that findAndModify may touch"}


class Portable(monitoring.CommandListener):
    """Collects what strays from the allow-list; ``strays`` stays empty in a portable program."""

    def __init__(self) -> None:
        self.strays: list[str] = []
        self.seen: set[str] = set()
        self._looking = True

    @contextmanager
    def looking_away(self) -> Iterator[None]:
        """For what a test itself does to a database, beside the store."""
        self._looking = False
        try:
            yield
        finally:
            self._looking = True

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        if not self._looking:
            return
        self.seen.add(event.command_name)
        try:
            self.strays += [f"{event.command_name}: {stray}" for stray in strays(event.command_name, event.command)]
        except (AttributeError, KeyError, TypeError, ValueError) as error:  # the driver would only log it
            self.strays.append(f"{event.command_name}: the guard cannot read it ({error!r})")

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None: ...

    def failed(self, event: monitoring.CommandFailedEvent) -> None: ...


def strays(name: str, command: Any) -> Iterator[str]:
    if name not in COMMANDS:
        yield "is not a portable command"
        return
    yield from (f"option {key}" for key in command if key not in {name, *COMMANDS[name].keys, *DRIVER})
    if isinstance(command[name], str) and not re.fullmatch(r"[a-z0-9_]+", command[name]):
        yield f"name {command[name]}"
    if name == "findAndModify":
        if command[name] not in COUNTERS:
            yield f"on {command[name]}"
        yield from filter_strays(command["query"])
        yield from update_strays(command["update"])
    yield from filter_strays(command.get("filter", {}))
    for document in command.get("documents", ()):
        yield from document_strays(document)
    for update in command.get("updates", ()):
        yield from (f"option {key}" for key in update if key not in {"q", "u", "upsert", "multi"})
        yield from filter_strays(update["q"])
        yield from update_strays(update["u"])
        if update.get("multi"):
            yield "changes many"
    for removal in command.get("deletes", ()):
        yield from (f"option {key}" for key in removal if key not in {"q", "limit"})
        yield from filter_strays(removal["q"])
    for index in command.get("indexes", ()):
        yield from (f"index option {key}" for key in index if key not in {"key", "name", "unique"})
        yield from (f"index kind {kind}" for kind in index["key"].values() if kind not in (1, -1))


def filter_strays(query: Any) -> Iterator[str]:
    for field, value in query.items():
        if not re.fullmatch(r"[a-z_]+", field):
            yield f"filter on {field}"
        if isinstance(value, dict):
            yield from (f"operator {key}" for key in value if key not in FILTERS)
        elif not isinstance(value, str | int):
            yield f"filter by {type(value).__name__}"


def update_strays(update: Any) -> Iterator[str]:
    if isinstance(update, list):
        yield "a pipeline"
        return
    if not any(key.startswith("$") for key in update):
        yield from document_strays(update)
        return
    for operator, fields in update.items():
        if operator not in UPDATES:
            yield f"operator {operator}"
        yield from document_strays(fields)


def document_strays(document: Any) -> Iterator[str]:
    yield from (f"field {key}" for key in document if not re.fullmatch(r"[a-z_]+", key))
    yield from (f"field of {type(each).__name__}" for each in document.values() if isinstance(each, dict))
    size = sum(len(each) for each in document.values() if isinstance(each, str | bytes))
    if size > 1_050_000:
        yield f"a document of {size} bytes"
