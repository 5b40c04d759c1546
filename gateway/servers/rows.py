"""What a server that a user offers means for the policy: rows of its own domain, and of no other.

A server is a loan by its owner. Its token uses what is his; its members use what is theirs. What the rows allow, the
owner has to be allowed too: that is asked with every use (``pipeline/chain.py``). This file decides nothing.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Final, TypeAlias

from gateway.identity import normal_email
from gateway.policy.condition_text import MAX_TEXT
from gateway.policy.condition_values import quoted
from gateway.policy.spelling import spelled_name
from gateway.records import Grant, Listing, Restrictions, Server
from gateway.store.base import Changes

KIND: Final = "server"
"""The ``kind`` of grants that follow from a server; none of them stands in the store."""

ROOM: Final = 5_000
"""Characters of one condition; what is kept out by a longer list is several rows."""

_ANY: Final = "true"

_Conditions: TypeAlias = Callable[[Iterable[str]], Iterable[str]]


def grants_of(server: Server) -> tuple[Grant, ...]:
    """The grants that follow from ``server``, with ids ``server/ID/NUMBER``."""
    return tuple(
        Grant(
            id=f"{KIND}/{server.id}/{number}",
            kind=KIND,
            row=(subject, server.id, *rest),
            made_by=server.by or server.owner,
            created_at=server.updated_at,
        )
        for number, (subject, *rest) in enumerate(_rows(server))
    )


def all_grants(changes: Changes) -> tuple[Grant, ...]:
    """Every grant of ``changes``, those that follow from servers too."""
    return (*changes.grants, *(grant for server in changes.servers for grant in grants_of(server)))


def fits(server: Server, most: int) -> bool:
    """Whether what follows from ``server`` are at most so many rows, each with a condition that one row can hold;
    costs no more where they are.
    """
    rows = list(islice(_rows(server), most + 1))
    return len(rows) <= most and all(len(when) <= MAX_TEXT for *_, when, _ in rows)


def end_user(server: str, name: str) -> str:
    """The subject of the end user whom ``server`` knows as ``name``."""
    return f"end:{server}/{spelled_name(name)}"


def called(server: str, name: str) -> Iterator[str]:
    """Everybody whom ``name`` can mean: an end user of the server, and an account of the gateway."""
    yield end_user(server, name)
    try:
        yield f"user:{normal_email(name)}"
    except ValueError:
        return


def _rows(server: Server) -> Iterator[tuple[str, ...]]:
    """Whoever is let in may use and connect everything; what is not for the server is denied to all, whatever other
    rows allow them.
    """
    for subject in _members(server):
        yield subject, "self", "*", "write", "", "allow"
        yield subject, "self", "*", "connect", "", "allow"
    if server.restrictions.users is None:
        for owner in ("self", server.owner):  # what needs no account is his own
            yield f"server:{server.id}", owner, "*", "write", "", "allow"
    for subject in _banned(server):
        yield subject, "*", "*", "*", "", "deny"
    for object, action, when in _denials(server.restrictions):
        yield "*", "*", object, action, when, "deny"


def _members(server: Server) -> Iterator[str]:
    """Who may come in as somebody. Where people are named, the token that stands for nobody is out."""
    users = server.restrictions.users
    if users is not None and users.allow:
        for name in users.names:
            yield from called(server.id, name)
        return
    yield server.owner
    yield f"end:{server.id}/*"
    if server.public:
        yield "user:*"


def _banned(server: Server) -> Iterator[str]:
    users = server.restrictions.users
    if users is not None and not users.allow:
        for name in users.names:
            yield from called(server.id, name)


def _denials(found: Restrictions) -> Iterator[tuple[str, str, str]]:
    """Objects, actions and conditions of what is not for the server."""
    for when in _outside(found.connectors, _connectors):
        yield from _closed(when)
    for when in _outside(found.actions, _actions):
        yield "*", "read", when
    if found.permissions is not None:
        yield from _closed(_but(_connectors(each.connector for each in found.permissions)))
        for each in found.permissions:
            if "*" not in each.actions:
                yield f"{each.connector}/*", "read", _but(_actions(each.actions))


def _closed(when: str) -> Iterator[tuple[str, str, str]]:
    yield "*", "read", when
    yield "*", "connect", when


def _outside(listing: Listing | None, conditions: _Conditions) -> Iterable[str]:
    """The conditions of what a list keeps out."""
    if listing is None:
        return ()
    return (_but(conditions(listing.names)),) if listing.allow else conditions(listing.names)


def _but(conditions: Iterable[str]) -> str:
    """Of all that meets none of ``conditions``; always, where there is none."""
    met = " or ".join(f"({each})" for each in conditions)
    return f"not ({met})" if met else ""


def _connectors(names: Iterable[str]) -> Iterator[str]:
    return _among("tool.connector", names)


def _actions(names: Iterable[str]) -> Iterator[str]:
    """Which tools are meant: ``NAME`` or ``CONNECTOR:NAME``, where one ``*`` may begin or end the name."""
    found: dict[str, list[str]] = {}
    for each in names:
        connector, _, action = each.rpartition(":")
        found.setdefault(connector, []).append(action)
    return _joined(term for connector, actions in found.items() for term in _of(connector, actions))


def _of(connector: str, actions: Sequence[str]) -> Iterator[str]:
    patterns = {each: None for each in actions if "*" in each}
    named = (*_among("tool.name", (each for each in actions if each not in patterns)), *map(_pattern, patterns))
    if not connector:
        return iter(named)
    here = f"tool.connector == {quoted(connector)}"
    return (here if each == _ANY else f"({here} and {each})" for each in named)


def _pattern(name: str) -> str:
    if name == "*":
        return _ANY
    if name.endswith("*"):
        return f"starts(tool.name, {quoted(name[:-1])})"
    return f"ends(tool.name, {quoted(name[1:])})"


def _among(field: str, names: Iterable[str]) -> Iterator[str]:
    return (f"{field} in [{each}]" for each in _joined(map(quoted, names), ", "))


def _joined(terms: Iterable[str], between: str = " or ") -> Iterator[str]:
    """The terms, as many together as one condition can hold; nothing for none."""
    held: list[str] = []
    for term in terms:
        if held and sum(map(len, held)) + len(between) * len(held) + len(term) > ROOM:
            yield between.join(held)
            held = []
        held.append(term)
    if held:
        yield between.join(held)
