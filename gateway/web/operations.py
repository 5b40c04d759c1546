"""What is done to connections, each with the one question that it asks of the policy: for routes and pages alike.

Somebody else's connection, where the policy does not let him near it, and one that there is not are the same to who
asks. This file knows no HTTP.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Final, Protocol, TypeVar

from gateway.connections.linking import NO_CONNECTION, NO_FLOW, Linking
from gateway.connections.listing import Listed, Offer
from gateway.connections.terms import Started
from gateway.errors import Denied, InvalidArguments, Unknown
from gateway.manage.loans import Loan, Wish, objects
from gateway.pipeline import Operation, Origin, Pipeline
from gateway.policy.spelling import read_name
from gateway.policy.terms import MAIN, Json, Subject
from gateway.records import Connected, Flow
from gateway.servers.known import server_of
from gateway.servers.rows import end_user

T = TypeVar("T")

INSPECT: Final = "inspect"
REVOKE: Final = "revoke"
CONNECT: Final = "connect"
SHARE: Final = "share"
ACT_AS: Final = "act-as"
END_USERS: Final = "gateway/end-users"

NO_SERVER: Final = "there is no such server"

_NAME_HIM: Final = "name the end user who came back to your application"
_NAME_NOBODY: Final = "leave it out; this flow is that of an account of the gateway"


class Listing(Protocol):
    """What is known of connections (``gateway/connections/listing.py``)."""

    def get(self, id: str) -> Connected | None: ...

    async def of(self, *owners: str) -> tuple[Listed, ...]: ...

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

    async def end(self, subject: Subject, origin: Origin, connection: str, *, domain: str = MAIN) -> bool:
        """End a connection; whether the platform forgot it too. End users do so in the ``domain`` of their server."""
        return await self._on(
            connection,
            "connections.end",
            REVOKE,
            subject,
            origin,
            lambda known: self.linking.disconnect(known.id, owner=known.owner),
            domain=domain,
        )

    async def flow(self, subject: Subject, origin: Origin, flow: str, within_s: float) -> Flow:
        """A flow of his, or of an end user whom he may act as, as soon as there is news of it."""
        method = "connections.flow"
        found, name = await self._his(subject, origin, flow, method)
        operation = Operation(method, found.connector, INSPECT, subject.name)
        return await self._about(
            operation, name, subject, origin, lambda: self.linking.wait(flow, owner=name, within_s=within_s)
        )

    async def settle(self, subject: Subject, origin: Origin, flow: str, *, keep: bool) -> Flow:
        """His decision about another account, or that of an end user whom he may act as."""
        method = "connections.settle"
        found, name = await self._his(subject, origin, flow, method)
        operation = Operation(method, found.connector, CONNECT, found.owner)
        return await self._about(
            operation, name, subject, origin, lambda: self.linking.settle(flow, keep=keep, owner=name)
        )

    async def confirm(self, subject: Subject, origin: Origin, code: str, *, user_id: str = "") -> Flow:
        """He finished the flow that ``code`` was handed out for; or, whoever may act as that one says, the end user did
        whom his server knows as ``user_id``. Raises ``InvalidArguments``.
        """
        method = "connections.confirm"
        flow = await self.linking.flow_behind(code)
        server = "" if flow is None else server_of(flow.by)
        name = end_user(server, user_id) if server else subject.name

        async def confirmed() -> Flow:
            if bool(server) is not bool(user_id):
                raise InvalidArguments(f"`userId`: {_NAME_HIM if server else _NAME_NOBODY}")
            return await self.linking.confirm(code, owner=name)

        if flow is None:
            return await self.pipeline.witness(method, origin, lambda _: confirmed(), subject=subject)
        operation = Operation(method, flow.connector, CONNECT, subject.name)
        asked = self._acting(name, method) if server else operation
        return await self.pipeline.administer(asked, subject, origin, confirmed)

    async def of_end_user(
        self, subject: Subject, origin: Origin, user_id: str, *, server: str = ""
    ) -> tuple[Listed, ...]:
        """What the end user connected whom the servers of ``subject`` know as ``user_id``, or whom ``server`` does."""
        method, known = "connections.list", self.linking.servers
        named = known.get(server)
        if server and named is None:
            raise await self._unknown(method, subject, origin, NO_SERVER)
        places = known.of(subject.name) if named is None else (named,)
        names = [end_user(each.id, user_id) for each in places]
        owner = subject.name if named is None else named.owner
        args: dict[str, Json] = {"server": server, "user": user_id}
        try:
            return await self.pipeline.administer(
                Operation(method, END_USERS, INSPECT, owner, args), subject, origin, lambda: self.listing.of(*names)
            )
        except Denied as denied:
            raise denied if owner == subject.name else _as_missing(denied, NO_SERVER) from None

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
        *,
        domain: str = MAIN,
    ) -> T:
        known = await self._known(connection, method, subject, origin)
        try:
            return await self.pipeline.administer(
                _of(known, method, action, domain), subject, origin, lambda: act(known)
            )
        except Denied as denied:
            if known.owner == subject.name:
                raise
            raise _as_missing(denied, NO_CONNECTION) from None

    async def _known(self, connection: str, method: str, subject: Subject, origin: Origin) -> Connected:
        known = self.listing.get(connection)
        if known is None:
            raise await self._unknown(method, subject, origin, NO_CONNECTION)
        return known

    async def _his(self, subject: Subject, origin: Origin, flow: str, method: str) -> tuple[Flow, str]:
        """A flow and who has to finish it: himself, or an end user, of whom it is not known yet whether he may act as
        that one.
        """
        try:
            return await self.linking.flow(flow, owner=subject.name), subject.name
        except Unknown as unknown:
            found = await self.linking.flow_behind(flow)
            if found is None or not server_of(found.by):
                raise await self._unknown(method, subject, origin, unknown.text) from None
            return found, found.by

    async def _about(
        self,
        operation: Operation,
        name: str,
        subject: Subject,
        origin: Origin,
        act: Callable[[], Awaitable[T]],
    ) -> T:
        """What ``act`` gives for the flow of ``name``: by ``operation``, or by who may act as that end user. To all
        others there is no such flow.
        """
        if name == subject.name:
            return await self.pipeline.administer(operation, subject, origin, act)
        try:
            return await self.pipeline.administer(self._acting(name, operation.method), subject, origin, act)
        except Denied as denied:
            raise _as_missing(denied, NO_FLOW) from None

    def _acting(self, name: str, method: str) -> Operation:
        """Acting as an end user: his server's owner lets nobody do so, not even himself, but by the policy."""
        server = server_of(name)
        args: dict[str, Json] = {"server": server, "user": read_name(name.partition("/")[2])}
        return Operation(method, END_USERS, ACT_AS, self.linking.servers.owner(server), args)

    async def _unknown(self, method: str, subject: Subject, origin: Origin, text: str) -> Unknown:
        """The refusal of what is not there, with its audit entry."""

        async def refuse(_: object) -> Unknown:
            raise Unknown(text)

        try:
            return await self.pipeline.witness(method, origin, refuse, subject=subject)
        except Unknown as refusal:
            return refusal


def _of(connected: Connected, method: str, action: str, domain: str = MAIN) -> Operation:
    return Operation(method, connected.connector, action, connected.owner, domain=domain)


def _as_missing(denied: Denied, text: str) -> Unknown:
    unknown = Unknown(text)
    unknown.reference = denied.reference
    return unknown
