"""What is done to connections, each with the one question that it asks of the policy: for routes and pages alike.

Somebody else's connection, where the policy does not let him near it, and one that there is not are the same to who
asks. This file knows no HTTP.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Final, Protocol, TypeVar

from gateway.connections.linking import NO_CONNECTION, Linking
from gateway.connections.listing import Listed, Offer
from gateway.connections.terms import Started
from gateway.errors import Denied, Unknown
from gateway.manage.loans import Loan, Wish, objects
from gateway.pipeline import Operation, Origin, Pipeline
from gateway.policy.terms import Subject
from gateway.records import Connected, Flow

T = TypeVar("T")

INSPECT: Final = "inspect"
REVOKE: Final = "revoke"
CONNECT: Final = "connect"
SHARE: Final = "share"


class Listing(Protocol):
    """What is known of connections (``gateway/connections/listing.py``)."""

    def get(self, id: str) -> Connected | None: ...

    async def of(self, owner: str) -> Sequence[Listed]: ...

    def offers(self) -> Sequence[Offer]: ...


class Lending(Protocol):
    """Loans of connections (``gateway.lending.py``)."""

    def wish(self, connected: Connected, to: str, level: str, tools: Sequence[str], days: int) -> Wish: ...

    async def lend(self, connected: Connected, wish: Wish, maker: Subject, address: str) -> Loan: ...

    async def end(self, connection: str, loan: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Operations:
    """Every method raises what ``Pipeline.administer`` does, and ``Unknown``."""

    pipeline: Pipeline
    linking: Linking
    listing: Listing
    lending: Lending

    async def own(self, subject: Subject, origin: Origin, owner: str = "") -> tuple[Listed, ...]:
        """The connections of ``owner`` (``""``: his own) that he may see."""
        listed = await self.listing.of(owner or subject.name)
        asked = [_of(each.connected, "connections.list", INSPECT) for each in listed]
        shown = await self.pipeline.among("connections.list", asked, subject, origin)
        return tuple(compress(listed, shown))

    async def offers(self, subject: Subject, origin: Origin) -> tuple[Offer, ...]:
        """The platforms of which he may connect an account of his own: those that ``start`` would not refuse him."""
        found = self.listing.offers() if self.linking.startable(subject.name) else ()
        asked = [Operation("connections.start", each.connector, CONNECT, subject.name) for each in found]
        return tuple(compress(found, await self.pipeline.among("connections.offers", asked, subject, origin)))

    async def start(
        self, subject: Subject, origin: Origin, connector: str, *, owner: str = "", back: str = ""
    ) -> Started:
        """A link to connect an account for ``owner`` (``""``: himself)."""
        whose, client = owner or subject.name, origin.client
        return await self.pipeline.administer(
            Operation("connections.start", connector, CONNECT, whose),
            subject,
            origin,
            lambda: self.linking.start(whose, connector, by=subject.name, back=back, client=client),
        )

    async def reconnect(self, subject: Subject, origin: Origin, connection: str, *, back: str = "") -> Started:
        """A link to make a connection anew."""
        return await self._on(
            connection,
            "connections.reconnect",
            CONNECT,
            subject,
            origin,
            lambda known: self.linking.start(
                known.owner, known.connector, by=subject.name, back=back, reconnects=known.id, client=origin.client
            ),
        )

    async def end(self, subject: Subject, origin: Origin, connection: str) -> bool:
        """End a connection; whether the platform forgot it too."""
        return await self._on(
            connection,
            "connections.end",
            REVOKE,
            subject,
            origin,
            lambda known: self.linking.disconnect(known.id, owner=known.owner),
        )

    async def flow(self, subject: Subject, origin: Origin, flow: str, within_s: float) -> Flow:
        """A flow of his, as soon as there is news of it."""
        found = await self._his(subject, origin, flow, "connections.flow")
        return await self.pipeline.administer(
            Operation("connections.flow", found.connector, INSPECT, subject.name),
            subject,
            origin,
            lambda: self.linking.wait(flow, owner=subject.name, within_s=within_s),
        )

    async def settle(self, subject: Subject, origin: Origin, flow: str, *, keep: bool) -> Flow:
        """His decision about another account."""
        found = await self._his(subject, origin, flow, "connections.settle")
        return await self.pipeline.administer(
            Operation("connections.settle", found.connector, CONNECT, found.owner),
            subject,
            origin,
            lambda: self.linking.settle(flow, keep=keep, owner=subject.name),
        )

    async def confirm(self, subject: Subject, origin: Origin, code: str) -> Flow:
        """He finished the flow that ``code`` was handed out for."""
        connector = await self.linking.connector_of(code)

        async def confirmed() -> Flow:
            return await self.linking.confirm(code, owner=subject.name)

        if not connector:
            return await self.pipeline.witness("connections.confirm", origin, lambda _: confirmed(), subject=subject)
        operation = Operation("connections.confirm", connector, CONNECT, subject.name)
        return await self.pipeline.administer(operation, subject, origin, confirmed)

    async def loans(self, subject: Subject, origin: Origin, connection: str) -> tuple[Loan, ...]:
        """To whom a connection is lent."""

        async def lent(known: Connected) -> tuple[Loan, ...]:
            listed = await self.listing.of(known.owner)
            return next((each.loans for each in listed if each.connected.id == known.id), ())

        return await self._on(connection, "connections.loans.list", INSPECT, subject, origin, lent)

    async def lend(
        self, subject: Subject, origin: Origin, connection: str, *, to: str, level: str, tools: Sequence[str], days: int
    ) -> Loan:
        """Lend a connection of his own: every tool of it has to be his to share. Raises ``InvalidArguments``."""
        known = await self._known(connection, "connections.loans.make", subject, origin)
        if known.owner != subject.name:
            raise await self._unknown("connections.loans.make", subject, origin, NO_CONNECTION)
        wish = self.lending.wish(known, to, level, tools, days)
        return await self.pipeline.administer_all(
            [
                Operation("connections.loans.make", object, SHARE, known.owner, wish.args)
                for object in objects(known.connector, wish)
            ],
            subject,
            origin,
            lambda: self.lending.lend(known, wish, subject, origin.address),
        )

    async def end_loan(self, subject: Subject, origin: Origin, connection: str, loan: str) -> None:
        """End one loan of a connection."""
        await self._on(
            connection,
            "connections.loans.end",
            REVOKE,
            subject,
            origin,
            lambda known: self.lending.end(known.id, loan),
        )

    async def _on(
        self,
        connection: str,
        method: str,
        action: str,
        subject: Subject,
        origin: Origin,
        act: Callable[[Connected], Awaitable[T]],
    ) -> T:
        known = await self._known(connection, method, subject, origin)
        try:
            return await self.pipeline.administer(_of(known, method, action), subject, origin, lambda: act(known))
        except Denied as denied:
            if known.owner == subject.name:
                raise
            raise _as_missing(denied) from None

    async def _known(self, connection: str, method: str, subject: Subject, origin: Origin) -> Connected:
        known = self.listing.get(connection)
        if known is None:
            raise await self._unknown(method, subject, origin, NO_CONNECTION)
        return known

    async def _his(self, subject: Subject, origin: Origin, flow: str, method: str) -> Flow:
        try:
            return await self.linking.flow(flow, owner=subject.name)
        except Unknown as unknown:
            raise await self._unknown(method, subject, origin, unknown.text) from None

    async def _unknown(self, method: str, subject: Subject, origin: Origin, text: str) -> Unknown:
        """The refusal of what is not there, with its audit entry."""

        async def refuse(_: object) -> Unknown:
            raise Unknown(text)

        try:
            return await self.pipeline.witness(method, origin, refuse, subject=subject)
        except Unknown as refusal:
            return refusal


def _of(connected: Connected, method: str, action: str) -> Operation:
    return Operation(method, connected.connector, action, connected.owner)


def _as_missing(denied: Denied) -> Unknown:
    unknown = Unknown(NO_CONNECTION)
    unknown.reference = denied.reference
    return unknown
