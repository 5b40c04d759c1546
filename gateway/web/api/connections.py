"""``/api/connections`` and ``/api/flows``: connecting accounts, waiting for it, ending it, lending.

What is asked of the policy stands in ``gateway/web/operations.py``; here are the forms of bodies and answers.
"""

from dataclasses import dataclass
from typing import Annotated, Final

import msgspec

from gateway.connections.listing import Listed
from gateway.connections.terms import Started
from gateway.manage.loans import Loan
from gateway.records import Connected, Flow
from gateway.web.api.routes import Described, Knock
from gateway.web.operations import Operations

CONNECTION: Final = "/api/connections/{connection}"
LONGEST_WAIT_S: Final = 60
DAYS: Final = 30
"""For how long something is lent unless the request says."""


class Start(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``owner`` is ``system`` for the operator's account; ``redirect`` is where the browser goes at the end."""

    redirect: str = ""
    owner: str = ""


class Again(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    redirect: str = ""


class Decision(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    keep: bool


class Confirm(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """``user_id`` is the end user who came back to the application that the code was handed to."""

    user_id: Annotated[str, msgspec.Meta(max_length=10_000)] = ""


class Lend(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    to: str
    level: str = "read"
    tools: tuple[str, ...] = ()
    days: int = DAYS


class ConnectionsAsked(msgspec.Struct, frozen=True):
    """``owner``: whose connections, his own where it is left out."""

    owner: str = ""


class Patience(msgspec.Struct, frozen=True):
    """``wait``: for how many seconds an answer may be waited for."""

    wait: Annotated[int, msgspec.Meta(ge=0, le=LONGEST_WAIT_S)] = 0


class FlowTold(msgspec.Struct, frozen=True, rename="camel"):
    id: str
    connector: str
    owner: str
    status: str
    reason: str
    connection: str
    reconnects: str
    label: str
    expires_at: int


class StartedTold(msgspec.Struct, frozen=True):
    flow: FlowTold
    url: str


class LoanTold(msgspec.Struct, frozen=True, rename="camel"):
    id: str
    connection: str
    to: str
    level: str
    tools: tuple[str, ...]
    created_at: int
    expires_at: int | None


class ConnectionTold(msgspec.Struct, frozen=True, rename="camel"):
    id: str
    connector: str
    owner: str
    status: str
    reason: str
    account: str
    label: str
    scopes: tuple[str, ...]
    created_at: int
    used_at: int | None
    title: str
    loans: tuple[LoanTold, ...]


class ConnectionsTold(msgspec.Struct, frozen=True):
    connections: tuple[ConnectionTold, ...]


class LoansTold(msgspec.Struct, frozen=True):
    loans: tuple[LoanTold, ...]


class Ended(msgspec.Struct, frozen=True):
    """``revoked``: whether the platform forgot it too."""

    id: str
    revoked: bool


class LoanEnded(msgspec.Struct, frozen=True):
    id: str


@dataclass(frozen=True, slots=True)
class ConnectionsApi:
    """The routes of connections."""

    operations: Operations

    def routes(self) -> tuple[Described, ...]:
        """All of them."""
        return (*self._connections(), *self._lent(), *self._flows())

    def _connections(self) -> tuple[Described, ...]:
        return (
            Described(
                "GET",
                "/api/connections",
                "connections.list",
                self._list,
                ConnectionsTold,
                query=ConnectionsAsked,
                summary="The connections of somebody, as far as they are yours to see",
            ),
            Described(
                "POST",
                "/api/connections/{connector}/start",
                "connections.start",
                self._start,
                StartedTold,
                takes=Start,
                status=201,
                summary="A link that connects an account",
            ),
            Described(
                "POST",
                f"{CONNECTION}/reconnect",
                "connections.reconnect",
                self._reconnect,
                StartedTold,
                takes=Again,
                status=201,
                summary="A link that makes a connection anew",
            ),
            Described("DELETE", CONNECTION, "connections.end", self._end, Ended, summary="End a connection"),
        )

    def _lent(self) -> tuple[Described, ...]:
        return (
            Described(
                "GET",
                f"{CONNECTION}/loans",
                "connections.loans.list",
                self._loans,
                LoansTold,
                summary="To whom a connection is lent",
            ),
            Described(
                "POST",
                f"{CONNECTION}/loans",
                "connections.loans.make",
                self._lend,
                LoanTold,
                takes=Lend,
                status=201,
                summary="Lend a connection of your own",
            ),
            Described(
                "DELETE",
                f"{CONNECTION}/loans/{{loan}}",
                "connections.loans.end",
                self._end_loan,
                LoanEnded,
                summary="End one loan",
            ),
        )

    def _flows(self) -> tuple[Described, ...]:
        return (
            Described(
                "GET",
                "/api/flows/{flow}",
                "connections.flow",
                self._flow,
                FlowTold,
                query=Patience,
                summary="How far connecting an account has come",
            ),
            Described(
                "POST",
                "/api/flows/{code}/confirm",
                "connections.confirm",
                self._confirm,
                FlowTold,
                takes=Confirm,
                summary="You finished the flow that this code was handed out for",
            ),
            Described(
                "POST",
                "/api/flows/{flow}/settle",
                "connections.settle",
                self._settle,
                FlowTold,
                takes=Decision,
                summary="Keep the other account that was connected, or not",
            ),
        )

    async def _list(self, who: Knock, asked: ConnectionsAsked) -> ConnectionsTold:
        listed = await self.operations.own(who.subject, who.origin, asked.owner)
        return ConnectionsTold(tuple(_listed(each) for each in listed))

    async def _start(self, who: Knock, body: Start, connector: str) -> StartedTold:
        return _started(
            await self.operations.start(who.subject, who.origin, connector, owner=body.owner, back=body.redirect)
        )

    async def _reconnect(self, who: Knock, body: Again, connection: str) -> StartedTold:
        return _started(await self.operations.reconnect(who.subject, who.origin, connection, back=body.redirect))

    async def _end(self, who: Knock, connection: str) -> Ended:
        return Ended(connection, await self.operations.end(who.subject, who.origin, connection))

    async def _flow(self, who: Knock, asked: Patience, flow: str) -> FlowTold:
        return _flow(await self.operations.flow(who.subject, who.origin, flow, float(asked.wait)))

    async def _confirm(self, who: Knock, body: Confirm, code: str) -> FlowTold:
        return _flow(await self.operations.confirm(who.subject, who.origin, code, user_id=body.user_id))

    async def _settle(self, who: Knock, body: Decision, flow: str) -> FlowTold:
        return _flow(await self.operations.settle(who.subject, who.origin, flow, keep=body.keep))

    async def _loans(self, who: Knock, connection: str) -> LoansTold:
        loans = await self.operations.loans(who.subject, who.origin, connection)
        return LoansTold(tuple(_loan(each) for each in loans))

    async def _lend(self, who: Knock, body: Lend, connection: str) -> LoanTold:
        return _loan(
            await self.operations.lend(
                who.subject,
                who.origin,
                connection,
                to=body.to,
                level=body.level,
                tools=body.tools,
                days=body.days,
            )
        )

    async def _end_loan(self, who: Knock, connection: str, loan: str) -> LoanEnded:
        await self.operations.end_loan(who.subject, who.origin, connection, loan)
        return LoanEnded(loan)


def _started(started: Started) -> StartedTold:
    return StartedTold(_flow(started.flow), started.link)


def _flow(flow: Flow) -> FlowTold:
    return FlowTold(
        id=flow.id,
        connector=flow.connector,
        owner=flow.owner,
        status=flow.stage.value,
        reason=flow.reason,
        connection=flow.result,
        reconnects=flow.reconnects,
        label=flow.label,
        expires_at=flow.expires_at,
    )


def _listed(listed: Listed) -> ConnectionTold:
    connected: Connected = listed.connected
    return ConnectionTold(
        id=connected.id,
        connector=connected.connector,
        owner=connected.owner,
        status=connected.status.value,
        reason=connected.reason,
        account=connected.account,
        label=connected.label,
        scopes=tuple(connected.scopes),
        created_at=connected.created_at,
        used_at=connected.used_at or None,
        title=listed.title,
        loans=tuple(_loan(each) for each in listed.loans),
    )


def _loan(loan: Loan) -> LoanTold:
    return LoanTold(
        id=loan.id,
        connection=loan.connection,
        to=loan.borrower,
        level=loan.level.value,
        tools=tuple(loan.tools),
        created_at=loan.made_at,
        expires_at=loan.expires_at,
    )
