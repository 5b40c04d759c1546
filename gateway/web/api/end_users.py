"""``/users``: the end users of who asks, and tokens that prove them on his servers.

What is asked of the policy stands in ``gateway/manage/end_users.py``; here are the forms of bodies and answers.
"""

from dataclasses import dataclass
from typing import Annotated, Final

import msgspec

from gateway.manage.asking import Asker
from gateway.manage.end_users import (
    MOST_NAME,
    MOST_ON_A_TOKEN,
    add_end_user,
    delete_end_user,
    list_end_users,
    read_end_user,
    token_of,
)
from gateway.manage.office import Office
from gateway.manage.share_rows import as_date
from gateway.pipeline import Pipeline
from gateway.records import EndUser
from gateway.web.api.routes import Counted, Described, Knock, Page

ONE: Final = "/users/{user}"

ServerId = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class EndUserWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, rename="camel"):
    """``username``: how the caller knows him; no two of his end users are called alike."""

    username: Annotated[str, msgspec.Meta(min_length=1, max_length=MOST_NAME)]
    full_name: Annotated[str, msgspec.Meta(max_length=MOST_NAME)] = ""


class EndUserTokenWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, rename="camel"):
    """``servers``: where the token counts; all that the caller offers, where there are none."""

    servers: Annotated[tuple[ServerId, ...], msgspec.Meta(max_length=MOST_ON_A_TOKEN)] = ()


class EndUserTold(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An end user; ``userId`` is how servers know him."""

    user_id: str
    username: str
    full_name: str
    created_at: str


class EndUsersTold(Counted, frozen=True, kw_only=True, rename="camel"):
    """Some of the end users of who asks."""

    users: tuple[EndUserTold, ...]


class EndUserDeleted(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Who went."""

    user_id: str
    deleted: bool = True


class EndUserTokenTold(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """For ``x-alloy-user-token`` (or ``x-user-token``); it is told this once."""

    token: str
    expires_at: str


@dataclass(frozen=True, slots=True)
class EndUsersApi:
    """The routes of end users."""

    office: Office
    pipeline: Pipeline

    def routes(self) -> tuple[Described, ...]:
        """All of them."""
        return (
            Described(
                "GET", "/users", "end-users.list", self._list, EndUsersTold, query=Page, summary="Your end users"
            ),
            Described(
                "POST",
                "/users",
                "end-users.add",
                self._add,
                EndUserTold,
                takes=EndUserWish,
                status=201,
                summary="Add an end user of your own",
            ),
            Described("GET", ONE, "end-users.read", self._read, EndUserTold, summary="Read an end user of your own"),
            Described(
                "DELETE",
                ONE,
                "end-users.delete",
                self._delete,
                EndUserDeleted,
                summary="End an end user of your own, with the accounts that he connected",
            ),
            Described(
                "GET",
                f"{ONE}/token",
                "end-users.token",
                self._token,
                EndUserTokenTold,
                summary="A token for an end user",
            ),
            Described(
                "POST",
                f"{ONE}/token",
                "end-users.token",
                self._token_where,
                EndUserTokenTold,
                takes=EndUserTokenWish,
                status=201,
                summary="A token for an end user, on the servers named",
            ),
        )

    async def _list(self, who: Knock, asked: Page) -> EndUsersTold:
        async def listed(asker: Asker) -> EndUsersTold:
            found = await list_end_users(self.office, asker, skip=asked.offset, limit=asked.limit)
            return EndUsersTold(
                users=tuple(map(_told, found.users)),
                total=found.total,
                limit=asked.limit,
                offset=asked.offset,
                has_more=asked.offset + len(found.users) < found.total,
            )

        return await self.pipeline.administered("end-users.list", who.subject, who.origin, listed)

    async def _add(self, who: Knock, body: EndUserWish) -> EndUserTold:
        async def added(asker: Asker) -> EndUserTold:
            return _told(await add_end_user(self.office, asker, body.username, body.full_name))

        return await self.pipeline.administered("end-users.add", who.subject, who.origin, added)

    async def _read(self, who: Knock, user: str) -> EndUserTold:
        async def read(asker: Asker) -> EndUserTold:
            return _told(await read_end_user(self.office, asker, user))

        return await self.pipeline.administered("end-users.read", who.subject, who.origin, read)

    async def _delete(self, who: Knock, user: str) -> EndUserDeleted:
        async def deleted(asker: Asker) -> EndUserDeleted:
            return EndUserDeleted(user_id=_id(await delete_end_user(self.office, asker, user)))

        return await self.pipeline.administered("end-users.delete", who.subject, who.origin, deleted)

    async def _token(self, who: Knock, user: str) -> EndUserTokenTold:
        return await self._token_where(who, user, EndUserTokenWish())

    async def _token_where(self, who: Knock, user: str, body: EndUserTokenWish) -> EndUserTokenTold:
        async def issued(asker: Asker) -> EndUserTokenTold:
            made = await token_of(self.office, asker, user, body.servers)
            return EndUserTokenTold(token=made.token.reveal(), expires_at=as_date(made.expires_at))

        return await self.pipeline.administered("end-users.token", who.subject, who.origin, issued)


def _told(user: EndUser) -> EndUserTold:
    return EndUserTold(
        user_id=_id(user), username=user.username, full_name=user.full_name, created_at=as_date(user.created_at)
    )


def _id(user: EndUser) -> str:
    return user.id.rpartition("/")[2]
