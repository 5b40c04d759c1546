"""Loans: a connection of one person, used by another. Each is one grant, and so a row of the policy.

A loan names one connection and the tools that were looked at when it was made; it ends by itself. Whether somebody may
lend is decided at the door, tool by tool; whether the row may stand beside the policy, ``granting`` says. What the
borrower may then do is the policy's business: his own denials and the lender's hold as for every call.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Final

from msgspec import structs

from gateway.analysis.inventory import Inventory
from gateway.errors import InvalidArguments
from gateway.identity import normal_email
from gateway.manage.granting import grant_refusal
from gateway.policy.condition_values import quoted
from gateway.policy.engine import Policy, grant_rows
from gateway.policy.spelling import read_name, spelled_name
from gateway.policy.terms import MAIN, Effect, Json, Subject
from gateway.records import Connected, Grant
from gateway.store.base import Conflict, NotFound, Store

LOAN: Final = "loan"
"""The ``kind`` of a grant that lends a connection, and how its id begins."""

DAY_MS: Final = 24 * 60 * 60 * 1000
MOST_DAYS: Final = 366
MOST_TOOLS: Final = 200

_APART: Final = "/"
"""Stands between the names of tools in the note of a grant; no spelled name holds it."""

_ENOUGH: Final = 24
"""Digits of a hash that tell borrowers apart."""

_PAGE: Final = 100


class Level(StrEnum):
    """What a borrower may call: what only reads, or everything that was lent."""

    READ = "read"
    WRITE = "write"


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be lent: ``tools`` by their own names, for so many ``days``, to an account of the gateway."""

    to: str
    level: Level
    tools: tuple[str, ...]
    days: int

    @property
    def borrower(self) -> str:
        """The subject."""
        return f"user:{self.to}"

    @property
    def args(self) -> Mapping[str, Json]:
        """What conditions may ask of a share."""
        return {"to": self.borrower, "level": self.level.value, "days": self.days}


@dataclass(frozen=True, slots=True)
class Loan:
    """A loan as it stands; ``borrower`` is a subject, times are in ms since the epoch."""

    id: str
    connection: str
    borrower: str
    level: Level
    tools: tuple[str, ...]
    made_at: int
    expires_at: int | None


def wish(to: str, level: str, tools: Sequence[str], days: int, *, lender: str) -> Wish:
    """A wish that can be had. Raises ``InvalidArguments`` with a sentence."""
    try:
        email = normal_email(to.removeprefix("user:"))
    except ValueError as error:
        raise InvalidArguments(f"`to`: {error}") from None
    if f"user:{email}" == lender:
        raise InvalidArguments("`to`: the connection is yours already; name somebody else")
    if level not in tuple(Level):
        raise InvalidArguments("`level` is not one of `read`, `write`")
    if not 1 <= days <= MOST_DAYS:
        raise InvalidArguments(f"`days` is {days}: lend for 1 to {MOST_DAYS} days")
    named = tuple(dict.fromkeys(tools))
    if not 1 <= len(named) <= MOST_TOOLS:
        raise InvalidArguments(f"`tools`: name 1 to {MOST_TOOLS} of them")
    return Wish(email, Level(level), named, days)


def objects(connector: str, wish: Wish) -> tuple[str, ...]:
    """What is lent, as the policy names it: each of it has to be the lender's to share."""
    return tuple(f"{connector}/{spelled_name(each)}" for each in wish.tools)


async def lend(
    store: Store, connected: Connected, wish: Wish, *, maker: Subject, policy: Policy, people: Inventory,
    env: Mapping[str, Json], now: int,
) -> Loan:  # fmt: skip
    """Lend a connection of ``maker``; a loan of it to the same person is replaced. Raises ``InvalidArguments`` where
    the grant may not stand.
    """
    grant = Grant(
        id=_beginning(connected.id) + sha256(wish.borrower.encode()).hexdigest()[:_ENOUGH],
        kind=LOAN,
        row=_row(connected, wish),
        made_by=maker.name,
        created_at=now,
        expires_at=now + wish.days * DAY_MS,
        note=_APART.join(spelled_name(each) for each in wish.tools),
    )
    if refusal := grant_refusal(policy, maker, grant_rows(grant), env=env, people=people, now=now):
        raise InvalidArguments(f"this cannot be lent: {refusal}")
    return loan_of(await _put(store, grant))


async def loans_of(store: Store, connection: str, now: int) -> tuple[Loan, ...]:
    """The loans of a connection that have not ended, in no order that means anything."""
    grants = await _grants(store, connection)
    return tuple(loan_of(each) for each in grants if each.expires_at is None or now < each.expires_at)


async def end_loan(store: Store, connection: str, loan: str) -> None:
    """End one loan of a connection. Raises ``NotFound``."""
    if not loan.startswith(_beginning(connection)):
        raise NotFound(f"there is no such loan of `{connection}`")
    await store.grants.remove(loan)


async def end_loans(store: Store, connection: str) -> None:
    """End whatever was lent of a connection that is no more."""
    for each in await _grants(store, connection):
        try:
            await store.grants.remove(each.id)
        except NotFound:
            continue


def loan_of(grant: Grant) -> Loan:
    """What a grant of this kind lends."""
    connection = grant.id.split("-")[1]
    tools = tuple(read_name(each) for each in grant.note.split(_APART))
    return Loan(grant.id, connection, grant.row[0], Level(grant.row[4]), tools, grant.created_at, grant.expires_at)


def _row(connected: Connected, wish: Wish) -> tuple[str, ...]:
    named = ", ".join(quoted(each) for each in wish.tools)
    when = f"connection.id == {quoted(connected.id)} and tool.name in [{named}]"
    object = f"{connected.connector}/*"
    return (wish.borrower, MAIN, connected.owner, object, wish.level.value, when, Effect.ALLOW.value)


def _beginning(connection: str) -> str:
    return f"{LOAN}-{connection}-"


async def _grants(store: Store, connection: str) -> list[Grant]:
    beginning = _beginning(connection)
    found: list[Grant] = []
    after = beginning
    while page := [each for each in await store.grants.page(after, _PAGE) if each.id.startswith(beginning)]:
        found.extend(page)
        after = page[-1].id
    return found


async def _put(store: Store, grant: Grant) -> Grant:
    known = await store.grants.get(grant.id)
    try:
        if known is None:
            return await store.grants.add(grant)
        return await store.grants.replace(structs.replace(grant, rev=known.rev))
    except (Conflict, NotFound):
        raise InvalidArguments("this loan was changed at the same moment; look at it and try again") from None
