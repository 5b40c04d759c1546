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
from gateway.manage.stored import drop_grant, grants_below, put_grant
from gateway.policy.condition_values import quoted
from gateway.policy.engine import Policy, grant_rows
from gateway.policy.rows import link_sentences
from gateway.policy.spelling import read_name, spelled_name
from gateway.policy.terms import MAIN, Effect, Json, Subject
from gateway.records import Connected, Grant
from gateway.store.base import NotFound, Store

LOAN: Final = "loan"
"""The ``kind`` of a grant that lends a connection, and how its id begins."""

DAY_MS: Final = 24 * 60 * 60 * 1000
MOST_DAYS: Final = 366
MOST_TOOLS: Final = 200

_APART: Final = "/"
"""Stands between the names of tools in the note of a grant; no spelled name holds it."""

_USER: Final = "user:"
_ROLE: Final = "role:"

_ENOUGH: Final = 24
"""Digits of a hash that tell borrowers apart."""


class Level(StrEnum):
    """What a borrower may call: what only reads, or everything that was lent."""

    READ = "read"
    WRITE = "write"


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be lent: ``tools`` by their own names, for so many ``days``, to an account of the gateway or to a role
    (``role:NAME``).
    """

    to: str
    level: Level
    tools: tuple[str, ...]
    days: int

    @property
    def borrower(self) -> str:
        """The subject, or the role."""
        return self.to if self.to.startswith(_ROLE) else f"user:{self.to}"

    @property
    def args(self) -> Mapping[str, Json]:
        """What conditions may ask of a share."""
        return {"to": self.borrower, "level": self.level.value, "days": self.days}


@dataclass(frozen=True, slots=True)
class Loan:
    """A loan as it stands; ``borrower`` is a subject or a role, times are in ms since the epoch."""

    id: str
    connection: str
    borrower: str
    level: Level
    tools: tuple[str, ...]
    made_at: int
    expires_at: int | None


def wish(to: str, level: str, tools: Sequence[str], days: int, *, lender: str) -> Wish:
    """A wish that can be had. Raises ``InvalidArguments`` with a sentence."""
    name = recipient(to)
    if name == lender:
        raise InvalidArguments("`to`: the connection is yours already; name somebody else")
    if level not in tuple(Level):
        raise InvalidArguments("`level` is not one of `read`, `write`")
    if not 1 <= days <= MOST_DAYS:
        raise InvalidArguments(f"`days` is {days}: lend for 1 to {MOST_DAYS} days")
    named = tuple(dict.fromkeys(tools))
    if not 1 <= len(named) <= MOST_TOOLS:
        raise InvalidArguments(f"`tools`: name 1 to {MOST_TOOLS} of them")
    return Wish(name.removeprefix(_USER), Level(level), named, days)


def recipient(to: str) -> str:
    """The subject or role that ``to`` names, an e-mail address or ``role:NAME``. Raises ``InvalidArguments``."""
    if to.startswith(_ROLE):
        if sentences := link_sentences((to, to, MAIN)):
            raise InvalidArguments(f"`to`: {sentences[0]}")
        return to
    try:
        return f"{_USER}{normal_email(to.removeprefix(_USER))}"
    except ValueError as error:
        raise InvalidArguments(f"`to`: {error}") from None


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
    grant = loan_grant(connected, wish, made_by=maker.name, now=now)
    if refusal := grant_refusal(policy, maker, grant_rows(grant), env=env, people=people, now=now):
        raise InvalidArguments(f"this cannot be lent: {refusal}")
    return loan_of(await put_grant(store, grant))


def loan_grant(connected: Connected, wish: Wish, *, made_by: str, now: int, apart: str = "") -> Grant:
    """The row of a loan. There is one of each connection to each borrower, and beside it others that are kept
    ``apart``: one for each such text.
    """
    told = f"{wish.borrower}{_APART}{apart}" if apart else wish.borrower
    return Grant(
        id=_beginning(connected.id) + sha256(told.encode()).hexdigest()[:_ENOUGH],
        kind=LOAN,
        row=_row(connected, wish.borrower, wish.level, wish.tools),
        made_by=made_by,
        created_at=now,
        expires_at=now + wish.days * DAY_MS,
        note=_note(wish.tools),
    )


async def loans_of(store: Store, connection: str, now: int) -> tuple[Loan, ...]:
    """The loans of a connection that have not ended, in no order that means anything."""
    grants = await grants_below(store, _beginning(connection))
    return tuple(loan_of(each) for each in grants if each.expires_at is None or now < each.expires_at)


async def end_loan(store: Store, connection: str, loan: str) -> None:
    """End one loan of a connection. Raises ``NotFound``."""
    if not loan.startswith(_beginning(connection)):
        raise NotFound(f"there is no such loan of `{connection}`")
    await store.grants.remove(loan)


async def end_loans(store: Store, connection: str) -> None:
    """End whatever was lent of a connection that is no more."""
    for each in await grants_below(store, _beginning(connection)):
        await drop_grant(store, each.id)


async def end_tool(store: Store, connected: Connected, borrower: str, tool: str) -> int:
    """Take one tool out of whatever is lent of a connection to ``borrower``; how many loans it was in. The rest of
    each stays as it is. Raises ``InvalidArguments`` where one was changed meanwhile.
    """
    lent = [each for each in await grants_below(store, _beginning(connected.id)) if each.row[0] == borrower]
    having = [each for each in lent if tool in loan_of(each).tools]
    for each in having:
        loan = loan_of(each)
        if kept := tuple(name for name in loan.tools if name != tool):
            row = _row(connected, borrower, loan.level, kept)
            await put_grant(store, structs.replace(each, row=row, note=_note(kept)))
        else:
            await drop_grant(store, each.id)
    return len(having)


def loan_of(grant: Grant) -> Loan:
    """What a grant of this kind lends."""
    connection = grant.id.split("-")[1]
    tools = tuple(read_name(each) for each in grant.note.split(_APART))
    return Loan(grant.id, connection, grant.row[0], Level(grant.row[4]), tools, grant.created_at, grant.expires_at)


def _note(tools: Sequence[str]) -> str:
    return _APART.join(spelled_name(each) for each in tools)


def _row(connected: Connected, borrower: str, level: Level, tools: Sequence[str]) -> tuple[str, ...]:
    named = ", ".join(quoted(each) for each in tools)
    when = f"connection.id == {quoted(connected.id)} and tool.name in [{named}]"
    object = f"{connected.connector}/*"
    return (borrower, MAIN, connected.owner, object, level.value, when, Effect.ALLOW.value)


def _beginning(connection: str) -> str:
    return f"{LOAN}-{connection}-"
