"""Whose connection could serve: one's own, those that others lend, the operator's. Pure.

This file decides nothing: it tells which connections there are to be asked about, in the order in which they serve.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, Protocol

from msgspec import Struct

from connectors.base import Connector
from gateway.policy.terms import NOTHING, Json


class Record(Protocol):
    """A connection, as far as conditions may ask of it."""

    @property
    def id(self) -> str: ...
    @property
    def account(self) -> str: ...
    @property
    def label(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def connected_at(self) -> int: ...


class Records(Protocol):
    """The connections that there are."""

    def of(self, owner: str, connector: str) -> Sequence[Record]:
        """Those of ``owner`` to ``connector``, the one made first in front."""


class _None:
    def of(self, owner: str, connector: str) -> Sequence[Record]:  # noqa: ARG002 (whoever asks)
        return ()


NO_RECORDS: Final = _None()
"""Where there are no connections."""


class Account(Struct, frozen=True, gc=False):
    """A connection of ``owner`` that could serve, or, where it is not ``held``, that he could make. ``id`` is ``""``
    where there is only one, or none is needed; ``facts`` is what conditions may ask (root ``connection``). It was
    connected ``since`` then, in ms since the epoch (0 where there is no record of it).
    """

    owner: str
    id: str = ""
    facts: Mapping[str, Json] = NOTHING
    held: bool = True
    since: int = 0

    @property
    def label(self) -> str:
        """What people know it by."""
        return str(self.facts.get("label") or self.facts.get("account") or "")


def needs_one(connector: Connector) -> bool:
    """Whether a connection is needed at all: who needs none holds one even for nobody."""
    return not connector.holds("")


def accounts_of(
    connector: Connector, subject: str, lenders: Iterable[str] | None, records: Records
) -> tuple[Account, ...]:
    """The accounts that could serve ``subject``, best first; at least one. Where no connection is needed, so that none
    can be lent, ``lenders`` is ``None``.
    """
    offered = connector.owners(subject) or (subject,)
    if lenders is None:
        return tuple([Account(owner) for owner in offered])
    own, others = (subject,) if subject in offered else (), (each for each in offered if each != subject)
    owners = dict.fromkeys((*own, *lenders, *others))
    return tuple(account for owner in owners for account in _held_by(connector, owner, records))


def account_of(connector: Connector, owner: str, id: str, records: Records) -> Account:
    """The account of ``owner`` with that id, or his only one."""
    found = (each for each in _held_by(connector, owner, records) if each.id == id)
    return next(found, None) or Account(owner, id)


def _held_by(connector: Connector, owner: str, records: Records) -> Iterator[Account]:
    kept = records.of(owner, connector.id)
    for each in kept:
        facts: dict[str, Json] = {
            "id": each.id,
            "account": each.account,
            "label": each.label,
            "status": str(each.status),
        }
        yield Account(owner, each.id, facts, since=each.connected_at)
    if not kept:
        yield Account(owner, held=connector.holds(owner))
