"""My connections: what is connected, how it stands, who borrows it; connecting, connecting anew, and ending it.

Each button is an operation of its own, judged by the policy like the same operation of the API. This file knows no
store.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlsplit

from quart import Blueprint, Response, request

from gateway.connections.listing import Listed, Offer
from gateway.connections.reasons import SENTENCES
from gateway.errors import Unauthenticated
from gateway.identity import INVALID
from gateway.manage.loans import Loan
from gateway.policy.terms import Subject
from gateway.records import Status
from gateway.web.operations import Operations
from gateway.web.pages.forms import HOME
from gateway.web.pages.shell import Shell, Visitor, go

HERE: Final = "your list of connections"
"""Who asks for an account that is connected from here."""

STANDS: Final = {
    Status.ACTIVE: "Works",
    Status.NEEDS_REAUTH: "Has to be reconnected",
    Status.REVOKED: "Has ended",
}
TOLD: Final = {
    "ended": "The connection was ended, and the platform was told to forget it.",
    "ended-here": "The connection was ended here. The platform could not be told: remove the access there as well.",
    "loan": "The loan was ended.",
}
"""What the list says after a step, by the one word that stands in its address."""

HOUR, DAY = 3_600_000, 86_400_000


@dataclass(frozen=True, slots=True)
class Row:
    """One connection in words."""

    id: str
    connector: str
    title: str
    label: str
    works: bool
    status: str
    reason: str
    made: str
    used: str
    scopes: tuple[str, ...]
    loans: tuple["Lent", ...]


@dataclass(frozen=True, slots=True)
class Lent:
    """One loan in words."""

    id: str
    who: str
    what: str


@dataclass(frozen=True, slots=True)
class Owned:
    """``clock`` tells ms since the epoch."""

    shell: Shell
    operations: Operations
    clock: Callable[[], int]

    def blueprint(self) -> Blueprint:
        """``/connections`` and its buttons."""
        pages = self.shell.blueprint("connections")
        pages.get(HOME)(self.show)
        pages.post(f"{HOME}/connect")(self.connect)
        pages.post(f"{HOME}/<connection>/end")(self.end)
        pages.post(f"{HOME}/<connection>/end-loan")(self.end_loan)
        return pages

    async def show(self) -> Response:
        visitor = await self.shell.visitor()
        if visitor.subject is None:
            return await self.shell.sign_in(visitor)
        rows = [row_of(each, self.clock()) for each in await self.operations.own(visitor.subject, visitor.origin)]
        told = TOLD.get(request.args.get("told", ""), "")
        offers = told_apart(await self.operations.offers(visitor.subject, visitor.origin))
        return await self.shell.page(visitor, "connections.html", connections=rows, offers=offers, told=told)

    async def connect(self) -> Response:
        """A fresh link, and on to its page; there he sees what it is about before anything happens."""
        visitor, subject, form = await self._form()
        origin, reconnects = replace(visitor.origin, client=HERE), form.get("reconnects", "")
        if reconnects:
            started = await self.operations.reconnect(subject, origin, reconnects)
        else:
            started = await self.operations.start(subject, origin, form.get("connector", ""))
        return go(urlsplit(started.link).path)

    async def end(self, connection: str) -> Response:
        visitor, subject, _ = await self._form()
        forgotten = await self.operations.end(subject, visitor.origin, connection)
        return go(f"{HOME}?told={'ended' if forgotten else 'ended-here'}")

    async def end_loan(self, connection: str) -> Response:
        visitor, subject, form = await self._form()
        await self.operations.end_loan(subject, visitor.origin, connection, form.get("loan", ""))
        return go(f"{HOME}?told=loan")

    async def _form(self) -> tuple[Visitor, Subject, Mapping[str, str]]:
        """What somebody who is signed in sent. Raises ``Unauthenticated``, ``Outdated``."""
        visitor = await self.shell.visitor()
        if visitor.subject is None:
            raise Unauthenticated(INVALID)
        return visitor, visitor.subject, await self.shell.form(visitor)


def row_of(listed: Listed, now: int) -> Row:
    """A connection in words, at ``now`` (ms since the epoch)."""
    record = listed.connected
    return Row(
        id=record.id,
        connector=record.connector,
        title=listed.title,
        label=record.label or record.account,
        works=record.status is Status.ACTIVE,
        status=STANDS[record.status],
        reason=SENTENCES.get(record.reason, "") if record.status is not Status.ACTIVE else "",
        made=_day(record.created_at),
        used=_ago(record.used_at, now) if record.used_at else "never",
        scopes=record.scopes,
        loans=tuple(_lent(loan) for loan in listed.loans),
    )


def told_apart(offers: Sequence[Offer]) -> list[Offer]:
    """The same, where those of one title have their id behind it."""
    many = Counter(each.title for each in offers)
    return [
        replace(each, title=f"{each.title} ({each.connector})") if many[each.title] > 1 else each for each in offers
    ]


def _lent(loan: Loan) -> Lent:
    until = "" if loan.expires_at is None else f" until {_day(loan.expires_at)}"
    return Lent(loan.id, loan.borrower.removeprefix("user:"), f"{', '.join(loan.tools)}{until}")


def _ago(at: int, now: int) -> str:
    """How long ago, as roughly as it is kept (``used_at`` is written once an hour at most)."""
    past = max(now - at, 0)
    if past < 2 * HOUR:
        return "within the last two hours"
    return f"{past // HOUR} hours ago" if past < 2 * DAY else f"{past // DAY} days ago"


def _day(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%-d %B %Y")
