"""The operations of a document: what each is called as an action, and which an operator chooses. Pure.

A name depends on nothing but the document, so that choosing more of it later renames nothing.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Final

from connectors.openapi.document import Document, DocumentError, Node, mapping, members, text_of
from gateway.policy.terms import Json

METHODS: Final = ("get", "post", "put", "patch", "delete")
"""The others ask for no content, or about the connection."""

LONGEST_ID: Final = 48
"""Characters, so that it can stand behind a connector's id in a tool's name."""

_HASH: Final = 8
_EDGES: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


@dataclass(frozen=True, slots=True)
class Operation:
    """``id`` is the action's name, ``said`` what the document calls it (``""``: nothing), ``shared`` the parameters of
    the whole path.
    """

    id: str
    method: str
    path: str
    said: str
    body: Node = field(repr=False)
    shared: tuple[Json, ...] = field(repr=False)
    server: str = ""
    """Where it goes, ``""``: where all go."""

    @property
    def tags(self) -> tuple[str, ...]:
        return tuple(each for each in members(self.body.get("tags")) if isinstance(each, str))

    @property
    def deprecated(self) -> bool:
        return self.body.get("deprecated") is True

    def __str__(self) -> str:
        return f"{self.method.upper()} {self.path}"


def operations(document: Document) -> tuple[Operation, ...]:
    """Every operation in the order of the document, under ids of which no two are the same."""
    found = list(_all(document))
    ids = [_id(each) for each in found]
    counts = Counter(ids)
    return tuple(
        replace(each, id=_told_apart(id, each) if counts[id] > 1 or len(id) > LONGEST_ID else id)
        for id, each in zip(ids, found, strict=True)
    )


def chosen(all: Sequence[Operation], include: Iterable[str]) -> tuple[Operation, ...]:
    """Those that a pattern of ``include`` names: by what the document calls them, by the action's id, by a path that
    begins with ``/`` (after a method and a space, if any), or ``tag:`` by tag; ``*`` stands for any text. What is
    deprecated has to be named without ``*``. Raises ``DocumentError`` for a pattern that names nothing.
    """
    named: dict[str, Operation] = {}
    for pattern in include:
        found = [each for each in all if _matches(each, pattern) and not (each.deprecated and "*" in pattern)]
        if not found:
            raise DocumentError(f"`{pattern}` names no operation of the document")
        named.update((str(each), each) for each in found)
    return tuple(each for each in all if str(each) in named)


def _all(document: Document) -> Iterator[Operation]:
    for path, item in mapping(document.root.get("paths")).items():
        try:
            entry = document.resolved(item)
        except DocumentError:
            continue
        for method in METHODS:
            if isinstance(body := entry.get(method), dict):
                yield Operation(
                    id="",
                    method=method,
                    path=path,
                    said=text_of(body.get("operationId")),
                    body=body,
                    shared=tuple(members(entry.get("parameters"))),
                    server=server_of(body) or server_of(entry),
                )


def server_of(node: Node) -> str:
    """The URL of the first server that a part of the document (3.0, 3.1) names, its variables filled in."""
    server = next((mapping(each) for each in members(node.get("servers"))), {})
    url = text_of(server.get("url"))
    for name, variable in mapping(server.get("variables")).items():
        url = url.replace(f"{{{name}}}", text_of(mapping(variable).get("default")))
    return url.rstrip("/")


def _matches(operation: Operation, pattern: str) -> bool:
    if pattern.startswith("tag:"):
        return any(fnmatchcase(tag, pattern.removeprefix("tag:")) for tag in operation.tags)
    method, _, path = pattern.rpartition(" ")
    if path.startswith("/"):
        return method.lower() in ("", operation.method) and fnmatchcase(operation.path, _literal(path))
    return any(name and fnmatchcase(name, _literal(pattern)) for name in (operation.said, operation.id))


def _literal(pattern: str) -> str:
    """Only ``*`` means anything."""
    return pattern.replace("[", "[[]").replace("?", "[?]")


def _id(operation: Operation) -> str:
    words = operation.said or f"{operation.method} {operation.path}"
    id = re.sub(r"[^a-z0-9]+", "_", _EDGES.sub("_", words).lower()).strip("_")
    return id or operation.method


def _told_apart(id: str, operation: Operation) -> str:
    digest = hashlib.sha256(str(operation).encode("utf-8", "surrogatepass")).hexdigest()[:_HASH]
    return f"{id[: LONGEST_ID - _HASH - 1].rstrip('_')}_{digest}"
