"""What a server that a user offers means for the policy: rows of its own domain, and of no other.

A server is a loan by its owner. Its token uses what is his; its members use what is theirs. What the rows allow, the
owner has to be allowed too: that is asked with every use (``pipeline/chain.py``). This file decides nothing.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Final, TypeAlias

from gateway.identity import normal_email
from gateway.policy.condition_values import quoted
from gateway.policy.spelling import spelled_name
from gateway.records import Grant, Listing, Restrictions, Server
from gateway.store.base import Changes

KIND: Final = "server"
"""The ``kind`` of grants that follow from a server; none of them stands in the store."""

ROOM: Final = 5_000
"""Characters of one list of names in a condition, which may hold three; a longer list becomes several rows."""

_Conditions: TypeAlias = Callable[[tuple[str, ...]], Iterable[str]]


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
    """Whether what follows from ``server`` are at most so many rows; costs no more where they are."""
    return sum(1 for _ in islice(_rows(server), most + 1)) <= most


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
    allowed = [*_uses(server.restrictions)]
    connects = [*_connects(server.restrictions)]
    for subject in _members(server):
        for object, when in allowed:
            yield subject, "self", object, "write", when, "allow"
        for object, when in connects:
            yield subject, "self", object, "connect", when, "allow"
    if server.restrictions.users is None:
        for object, when in allowed:
            for owner in ("self", server.owner):  # what needs no account is his own
                yield f"server:{server.id}", owner, object, "write", when, "allow"
    yield from _denials(server)


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


def _denials(server: Server) -> Iterator[tuple[str, ...]]:
    found = server.restrictions
    if found.users is not None and not found.users.allow:
        for name in found.users.names:
            for subject in called(server.id, name):
                yield subject, "*", "*", "*", "", "deny"
    if found.connectors is not None and not found.connectors.allow:
        for when in _connectors(found.connectors.names):
            yield "*", "*", "*", "*", when, "deny"
    if found.actions is not None and not found.actions.allow:
        for when in _actions(found.actions.names):
            yield "*", "*", "*", "read", when, "deny"


def _uses(found: Restrictions) -> Iterator[tuple[str, str]]:
    """Objects and conditions of what may be used, whatever else is denied."""
    for object, actions in _permitted(found):
        for connectors in _allowed(found.connectors, _connectors):
            for named in _allowed(found.actions, _actions):
                for own in actions:
                    yield object, " and ".join(f"({each})" for each in (connectors, named, own) if each)


def _permitted(found: Restrictions) -> Iterator[tuple[str, Sequence[str]]]:
    if found.permissions is None:
        yield "*", ("",)
        return
    for each in found.permissions:
        everything = "*" in each.actions
        yield f"{each.connector}/*", ("",) if everything else tuple(_actions(each.actions))


def _connects(found: Restrictions) -> Iterator[tuple[str, str]]:
    for when in _allowed(found.connectors, _connectors):
        if found.permissions is None:
            yield "*", when
        for each in found.permissions or ():
            if each.connector != "custom":
                yield each.connector, when


def _allowed(listing: Listing | None, conditions: _Conditions) -> Iterable[str]:
    return conditions(listing.names) if listing is not None and listing.allow else ("",)


def _connectors(names: tuple[str, ...]) -> Iterator[str]:
    return _among("tool.connector", names)


def _actions(names: tuple[str, ...]) -> Iterator[str]:
    """Which tools are meant: ``NAME`` or ``CONNECTOR:NAME``, where one ``*`` may begin or end the name."""
    plain = [each for each in names if ":" not in each and "*" not in each]
    return _joined((*_among("tool.name", plain), *(_condition(each) for each in names if each not in set(plain))))


def _condition(action: str) -> str:
    connector, colon, name = action.rpartition(":")
    if not colon:
        return _name_condition(name)
    here = f"tool.connector == {quoted(connector)}"
    return here if name == "*" else f"({here} and {_name_condition(name)})"


def _name_condition(name: str) -> str:
    if name == "*":
        return "true"
    if name.endswith("*"):
        return f"starts(tool.name, {quoted(name[:-1])})"
    if name.startswith("*"):
        return f"ends(tool.name, {quoted(name[1:])})"
    return f"tool.name == {quoted(name)}"


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
