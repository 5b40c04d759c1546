"""``/api/connections`` and ``/api/flows``: connecting accounts, waiting for it, ending it, lending.

What is asked of the policy stands in ``gateway/web/operations.py``; here are the forms of bodies and answers.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import msgspec
from quart import Blueprint, Response, request

from gateway.connections.listing import Listed
from gateway.connections.terms import Started
from gateway.errors import InvalidArguments
from gateway.manage.loans import Loan
from gateway.policy.terms import Json
from gateway.records import Connected, Flow
from gateway.web.api.envelope import Knock, Route, body, told
from gateway.web.operations import Operations

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


class Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A body that says nothing."""


class Lend(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    to: str
    level: str = "read"
    tools: tuple[str, ...] = ()
    days: int = DAYS


@dataclass(frozen=True, slots=True)
class ConnectionsApi:
    """``accept_query``: whether a key may stand in the query."""

    operations: Operations
    accept_query: bool = False

    def blueprint(self) -> Blueprint:
        """The routes."""
        api = Blueprint("api_connections", __name__, url_prefix="/api")
        connection = "/connections/<connection>"
        for method, rule, name, route in (
            ("GET", "/connections", "list", self._list),
            ("POST", "/connections/<connector>/start", "start", self._start),
            ("POST", f"{connection}/reconnect", "reconnect", self._reconnect),
            ("DELETE", connection, "end", self._end),
            ("GET", f"{connection}/loans", "loans.list", self._loans),
            ("POST", f"{connection}/loans", "loans.make", self._lend),
            ("DELETE", f"{connection}/loans/<loan>", "loans.end", self._end_loan),
            ("GET", "/flows/<flow>", "flow", self._flow),
            ("POST", "/flows/<code>/confirm", "confirm", self._confirm),
            ("POST", "/flows/<flow>/settle", "settle", self._settle),
        ):
            answering = Route(self.operations.pipeline, f"connections.{name}", route, self.accept_query)
            api.add_url_rule(rule, name.replace(".", "-"), answering.answer, methods=[method])
        return api

    async def _list(self, who: Knock) -> Response:
        listed = await self.operations.own(who.subject, who.origin, request.args.get("owner", ""))
        return told({"connections": [_listed(each) for each in listed]})

    async def _start(self, who: Knock, connector: str) -> Response:
        wanted = await body(Start)
        started = await self.operations.start(
            who.subject, who.origin, connector, owner=wanted.owner, back=wanted.redirect
        )
        return told(_started(started), 201)

    async def _reconnect(self, who: Knock, connection: str) -> Response:
        wanted = await body(Again)
        started = await self.operations.reconnect(who.subject, who.origin, connection, back=wanted.redirect)
        return told(_started(started), 201)

    async def _end(self, who: Knock, connection: str) -> Response:
        forgotten = await self.operations.end(who.subject, who.origin, connection)
        return told({"id": connection, "revoked": forgotten})

    async def _flow(self, who: Knock, flow: str) -> Response:
        return told(_flow(await self.operations.flow(who.subject, who.origin, flow, _patience())))

    async def _confirm(self, who: Knock, code: str) -> Response:
        await body(Nothing)
        return told(_flow(await self.operations.confirm(who.subject, who.origin, code)))

    async def _settle(self, who: Knock, flow: str) -> Response:
        decision = await body(Decision)
        return told(_flow(await self.operations.settle(who.subject, who.origin, flow, keep=decision.keep)))

    async def _loans(self, who: Knock, connection: str) -> Response:
        loans = await self.operations.loans(who.subject, who.origin, connection)
        return told({"loans": [_loan(each) for each in loans]})

    async def _lend(self, who: Knock, connection: str) -> Response:
        wanted = await body(Lend)
        loan = await self.operations.lend(
            who.subject,
            who.origin,
            connection,
            to=wanted.to,
            level=wanted.level,
            tools=wanted.tools,
            days=wanted.days,
        )
        return told(_loan(loan), 201)

    async def _end_loan(self, who: Knock, connection: str, loan: str) -> Response:
        await self.operations.end_loan(who.subject, who.origin, connection, loan)
        return told({"id": loan})


def _patience() -> float:
    """For how many seconds the answer may be waited for. Raises ``InvalidArguments``."""
    text = request.args.get("wait", "0")
    if not (text.isascii() and text.isdigit()) or int(text[:9]) > LONGEST_WAIT_S:
        raise InvalidArguments(f"`wait` is a number of seconds, at most {LONGEST_WAIT_S}")
    return float(text)


def _started(started: Started) -> Mapping[str, Json]:
    return {"flow": _flow(started.flow), "url": started.link}


def _flow(flow: Flow) -> dict[str, Json]:
    return {
        "id": flow.id,
        "connector": flow.connector,
        "owner": flow.owner,
        "status": flow.stage.value,
        "reason": flow.reason,
        "connection": flow.result,
        "reconnects": flow.reconnects,
        "label": flow.label,
        "expiresAt": flow.expires_at,
    }


def _listed(listed: Listed) -> dict[str, Json]:
    return {**_connected(listed.connected), "title": listed.title, "loans": [_loan(each) for each in listed.loans]}


def _connected(connected: Connected) -> dict[str, Json]:
    return {
        "id": connected.id,
        "connector": connected.connector,
        "owner": connected.owner,
        "status": connected.status.value,
        "reason": connected.reason,
        "account": connected.account,
        "label": connected.label,
        "scopes": list(connected.scopes),
        "createdAt": connected.created_at,
        "usedAt": connected.used_at or None,
    }


def _loan(loan: Loan) -> dict[str, Json]:
    return {
        "id": loan.id,
        "connection": loan.connection,
        "to": loan.borrower,
        "level": loan.level.value,
        "tools": list(loan.tools),
        "createdAt": loan.made_at,
        "expiresAt": loan.expires_at,
    }
