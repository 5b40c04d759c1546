"""``/tools/share`` and ``/tools/shared``: sharing tools, prompts and connections, and what is shared.

What is asked of the policy stands in ``gateway/manage/shares.py``, and for connections in ``operations.py``.
Here are the forms of bodies and answers.
"""

from dataclasses import dataclass
from typing import Final

import msgspec
from quart import Blueprint, Response

from gateway.errors import InvalidArguments, Unknown
from gateway.manage.loans import Loan, recipient
from gateway.manage.office import Office
from gateway.manage.share_rows import USER, as_date
from gateway.manage.shares import DAYS, share, unshare
from gateway.manage.shares_seen import shared_with, shares_of
from gateway.pipeline.administer import Asking
from gateway.policy.terms import Json
from gateway.web.api.envelope import Knock, Route, body, told
from gateway.web.operations import Operations

SHARE: Final = "tools.share"
UNSHARE: Final = "tools.unshare"
SHARED: Final = "tools.shared"


class Wanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """``email`` or ``to`` (``role:NAME``); ``toolId``, or a whole ``connection`` and which ``tools`` of it. With a
    ``toolId``, ``connection`` says on which one.
    """

    email: str = ""
    to: str = ""
    tool_id: str = ""
    connection: str = ""
    tools: tuple[str, ...] = ()
    access_level: str = "read"
    days: int = DAYS
    with_account: bool = False


class Unwanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    email: str = ""
    to: str = ""
    tool_id: str = ""
    connection: str = ""


@dataclass(frozen=True, slots=True)
class SharesApi:
    """``accept_query``: whether a key may stand in the query."""

    office: Office
    operations: Operations
    accept_query: bool = False

    def blueprint(self) -> Blueprint:
        """The routes."""
        api = Blueprint("api_shares", __name__)
        for method, rule, name, route in (
            ("POST", "/tools/share", SHARE, self._share),
            ("DELETE", "/tools/share", UNSHARE, self._unshare),
            ("GET", "/tools/shared", SHARED, self._shared),
        ):
            answering = Route(self.operations.pipeline, name, route, self.accept_query)
            api.add_url_rule(rule, name.replace(".", "-"), answering.answer, methods=[method])
        return api

    async def _share(self, who: Knock) -> Response:
        wanted = await body(Wanted)
        to = _recipient(wanted)
        if not wanted.tool_id:
            return await self._lend(who, wanted, to)
        if wanted.tools:
            raise InvalidArguments("`tools` says what of a `connection` is shared; leave it out beside `toolId`")

        async def made(asker: Asking) -> Response:
            done = await share(
                self.office,
                asker,
                wanted.tool_id,
                to,
                wanted.access_level,
                wanted.days,
                with_account=wanted.with_account,
                connection=wanted.connection,
            )
            return told(done.shown, 201)

        return await self.operations.pipeline.administered(SHARE, who.subject, who.origin, made)

    async def _lend(self, who: Knock, wanted: Wanted, to: str) -> Response:
        if not wanted.connection or wanted.with_account:
            raise InvalidArguments("say what is shared: `toolId`, or the id of a `connection`")
        loan = await self.operations.lend(
            who.subject,
            who.origin,
            wanted.connection,
            to=to,
            level=wanted.access_level,
            tools=wanted.tools,
            days=wanted.days,
        )
        return told(_loan(loan), 201)

    async def _unshare(self, who: Knock) -> Response:
        wanted = await body(Unwanted)
        to = _recipient(wanted)
        if not wanted.tool_id:
            return await self._end(who, wanted.connection, to)
        if wanted.connection:
            raise InvalidArguments("name `toolId` or `connection`, not both: a tool is unshared on every connection")

        async def ended(asker: Asking) -> Response:
            return told({"toolId": wanted.tool_id, "ended": await unshare(self.office, asker, wanted.tool_id, to)})

        return await self.operations.pipeline.administered(UNSHARE, who.subject, who.origin, ended)

    async def _end(self, who: Knock, connection: str, to: str) -> Response:
        if not connection:
            raise InvalidArguments("say what is shared: `toolId`, or the id of a `connection`")
        borrower = recipient(to)
        lent = await self.operations.loans(who.subject, who.origin, connection)
        found = [each for each in lent if each.borrower == borrower]
        if not found:
            raise Unknown(f"the connection is not shared with `{to[:200]}`")
        for each in found:
            await self.operations.end_loan(who.subject, who.origin, connection, each.id)
        return told({"connection": connection, "ended": len(found)})

    async def _shared(self, who: Knock) -> Response:
        async def listed(asker: Asking) -> Response:
            by_him = await shares_of(self.office, asker)
            with_him = await shared_with(self.office, asker)
            return told(
                {"sharedByMe": [each.shown for each in by_him], "sharedWithMe": [each.shown for each in with_him]}
            )

        return await self.operations.pipeline.administered(SHARED, who.subject, who.origin, listed)


def _recipient(wanted: Wanted | Unwanted) -> str:
    named = [each for each in (wanted.email, wanted.to) if each]
    if len(named) != 1:
        raise InvalidArguments("name one recipient, as `email` or as `to` (`role:NAME`)")
    return named[0]


def _loan(loan: Loan) -> dict[str, Json]:
    return {
        "connection": loan.connection,
        "sharedWith": loan.borrower.removeprefix(USER),
        "accessLevel": loan.level.value,
        "tools": list(loan.tools),
        "sharedAt": as_date(loan.made_at),
        "expiresAt": None if loan.expires_at is None else as_date(loan.expires_at),
    }
