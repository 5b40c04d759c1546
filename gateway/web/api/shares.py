"""``/tools/share`` and ``/tools/shared``: sharing tools, prompts and connections, and what is shared.

What is asked of the policy stands in ``gateway/manage/shares.py``, and for connections in ``operations.py``.
Here are the forms of bodies and answers.
"""

from dataclasses import dataclass
from typing import Final

import msgspec

from gateway.errors import InvalidArguments, Unknown
from gateway.manage.loans import Loan, recipient
from gateway.manage.office import Office
from gateway.manage.share_rows import USER, Share, as_date
from gateway.manage.shares import DAYS, share, unshare
from gateway.manage.shares_seen import shared_with, shares_of
from gateway.pipeline.administer import Asking
from gateway.web.api.routes import Described, Knock
from gateway.web.operations import Operations

SHARE: Final = "tools.share"
UNSHARE: Final = "tools.unshare"
SHARED: Final = "tools.shared"


class ShareWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
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


class ShareTold(msgspec.Struct, frozen=True, rename="camel"):
    """``connection`` is there where the share holds on one connection alone."""

    tool_id: str
    shared_by: str
    shared_with: str
    access_level: str
    shared_at: str
    expires_at: str | None
    account: bool
    connection: str | msgspec.UnsetType = msgspec.UNSET


class LentTold(msgspec.Struct, frozen=True, rename="camel"):
    connection: str
    shared_with: str
    access_level: str
    tools: tuple[str, ...]
    shared_at: str
    expires_at: str | None


class SharesEnded(msgspec.Struct, frozen=True, rename="camel"):
    """``ended``: how many."""

    tool_id: str
    ended: int


class LoansEnded(msgspec.Struct, frozen=True):
    connection: str
    ended: int


class SharedTold(msgspec.Struct, frozen=True, rename="camel"):
    shared_by_me: tuple[ShareTold, ...]
    shared_with_me: tuple[ShareTold, ...]


@dataclass(frozen=True, slots=True)
class SharesApi:
    """The routes of shares."""

    office: Office
    operations: Operations

    def routes(self) -> tuple[Described, ...]:
        """All of them."""
        rule = "/tools/share"
        return (
            Described(
                "POST",
                rule,
                SHARE,
                self._share,
                (ShareTold, LentTold),
                takes=ShareWish,
                status=201,
                summary="Share a tool, a prompt or a connection",
            ),
            Described(
                "DELETE",
                rule,
                UNSHARE,
                self._unshare,
                (SharesEnded, LoansEnded),
                takes=Unwanted,
                summary="Take a share back",
            ),
            Described(
                "GET",
                "/tools/shared",
                SHARED,
                self._shared,
                SharedTold,
                summary="What you share, and what is shared with you",
            ),
        )

    async def _share(self, who: Knock, body: ShareWish) -> ShareTold | LentTold:
        to = _recipient(body)
        if not body.tool_id:
            return await self._lend(who, body, to)
        if body.tools:
            raise InvalidArguments("`tools` says what of a `connection` is shared; leave it out beside `toolId`")

        async def made(asker: Asking) -> ShareTold:
            done = await share(
                self.office,
                asker,
                body.tool_id,
                to,
                body.access_level,
                body.days,
                with_account=body.with_account,
                connection=body.connection,
            )
            return _share(done)

        return await self.operations.pipeline.administered(SHARE, who.subject, who.origin, made)

    async def _lend(self, who: Knock, wanted: ShareWish, to: str) -> LentTold:
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
        return _loan(loan)

    async def _unshare(self, who: Knock, body: Unwanted) -> SharesEnded | LoansEnded:
        to = _recipient(body)
        if not body.tool_id:
            return await self._end(who, body.connection, to)
        if body.connection:
            raise InvalidArguments("name `toolId` or `connection`, not both: a tool is unshared on every connection")

        async def ended(asker: Asking) -> SharesEnded:
            return SharesEnded(body.tool_id, await unshare(self.office, asker, body.tool_id, to))

        return await self.operations.pipeline.administered(UNSHARE, who.subject, who.origin, ended)

    async def _end(self, who: Knock, connection: str, to: str) -> LoansEnded:
        if not connection:
            raise InvalidArguments("say what is shared: `toolId`, or the id of a `connection`")
        borrower = recipient(to)
        lent = await self.operations.loans(who.subject, who.origin, connection)
        found = [each for each in lent if each.borrower == borrower]
        if not found:
            raise Unknown(f"the connection is not shared with `{to[:200]}`")
        for each in found:
            await self.operations.end_loan(who.subject, who.origin, connection, each.id)
        return LoansEnded(connection, len(found))

    async def _shared(self, who: Knock) -> SharedTold:
        async def listed(asker: Asking) -> SharedTold:
            by_him = await shares_of(self.office, asker)
            with_him = await shared_with(self.office, asker)
            return SharedTold(tuple(map(_share, by_him)), tuple(map(_share, with_him)))

        return await self.operations.pipeline.administered(SHARED, who.subject, who.origin, listed)


def _recipient(wanted: ShareWish | Unwanted) -> str:
    named = [each for each in (wanted.email, wanted.to) if each]
    if len(named) != 1:
        raise InvalidArguments("name one recipient, as `email` or as `to` (`role:NAME`)")
    return named[0]


def _share(share: Share) -> ShareTold:
    return msgspec.convert(share.shown, ShareTold)


def _loan(loan: Loan) -> LentTold:
    return LentTold(
        connection=loan.connection,
        shared_with=loan.borrower.removeprefix(USER),
        access_level=loan.level.value,
        tools=tuple(loan.tools),
        shared_at=as_date(loan.made_at),
        expires_at=None if loan.expires_at is None else as_date(loan.expires_at),
    )
