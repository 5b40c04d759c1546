"""``/api/users``: accounts of the gateway, for their administrators.

What is asked of the policy stands in ``gateway/manage/people.py``; here are the forms of bodies and answers.
"""

from dataclasses import dataclass
from typing import Annotated, Final

import msgspec

from gateway.errors import Unknown
from gateway.manage.asking import Asker
from gateway.manage.office import Office
from gateway.manage.people import Record, add_user, delete_user, list_all, update_user, user_info
from gateway.manage.users import MOST_NAME
from gateway.pipeline import Pipeline
from gateway.web.api.routes import EMAIL, Counted, Described, Knock, Page, part
from gateway.web.api.shares import ShareTold

MOST_ROLES: Final = 50
ONE: Final = "/api/users/{email}"

Name = Annotated[str, msgspec.Meta(max_length=MOST_NAME)]
Role = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Roles = Annotated[tuple[Role, ...], msgspec.Meta(max_length=MOST_ROLES)]


class UsersAsked(Page, frozen=True, forbid_unknown_fields=True, kw_only=True, rename="camel"):
    """``nameContains``: only those whose address or name holds this text, in whatever case."""

    name_contains: Name = ""


class UserWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, rename="camel"):
    """An account that is to be made; ``roles`` count everywhere."""

    email: Annotated[str, msgspec.Meta(min_length=3, max_length=254, extra_json_schema=EMAIL)]
    name: Name = ""
    roles: Roles = ()


class UserChanges(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, rename="camel"):
    """What is left out stays as it is; ``roles`` replaces all of them."""

    name: Name | None = None
    roles: Roles | None = None


class PersonTold(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What everybody may be told who may see the directory."""

    email: str
    name: str


class UserTold(PersonTold, frozen=True, kw_only=True, rename="camel"):
    """A whole account, for itself and for its administrators."""

    roles: tuple[str, ...]
    allowed_tools: tuple[str, ...]
    shared_tools: tuple[ShareTold, ...]
    hidden_tools: tuple[str, ...]
    created_at: str


class NewUserTold(UserTold, frozen=True, kw_only=True, rename="camel"):
    """The same with the first key, this once; ``mail``: whether a letter tells its user (``sent``, ``failed``,
    ``off``).
    """

    api_key: str
    mail: str


class UsersTold(Counted, frozen=True, kw_only=True, rename="camel"):
    """Some of the accounts that may be seen."""

    users: tuple[PersonTold, ...]


class UserDeleted(msgspec.Struct, frozen=True):
    """What went."""

    email: str
    deleted: bool = True


@dataclass(frozen=True, slots=True)
class UsersApi:
    """The routes of accounts."""

    office: Office
    pipeline: Pipeline

    def routes(self) -> tuple[Described, ...]:
        """All of them."""
        every = "/api/users"
        return (
            Described(
                "GET", every, "users.list", self._list, UsersTold, query=UsersAsked, summary="Who has an account"
            ),
            Described(
                "POST",
                every,
                "users.add",
                self._add,
                NewUserTold,
                takes=UserWish,
                status=201,
                summary="Make an account, and tell its key once",
            ),
            Described("GET", ONE, "users.info", self._read, (UserTold, PersonTold), summary="Read an account"),
            Described(
                "PATCH", ONE, "users.update", self._update, UserTold, takes=UserChanges, summary="Change name or roles"
            ),
            Described(
                "DELETE", ONE, "users.delete", self._delete, UserDeleted, summary="End an account with all of its own"
            ),
        )

    async def _list(self, who: Knock, asked: UsersAsked) -> UsersTold:
        async def listed(asker: Asker) -> UsersTold:
            found = part(await list_all(asker, contains=asked.name_contains), asked)
            return UsersTold(
                users=tuple(PersonTold(email=each.email, name=each.name) for each in found.items),
                total=found.total,
                limit=found.limit,
                offset=found.offset,
                has_more=found.has_more,
            )

        return await self.pipeline.administered("users.list", who.subject, who.origin, listed)

    async def _add(self, who: Knock, body: UserWish) -> NewUserTold:
        async def added(asker: Asker) -> NewUserTold:
            made = await add_user(self.office, asker, body.email, name=body.name, roles=body.roles)
            secret = {"apiKey": made.key.key.reveal(), "mail": made.delivery.value}
            return msgspec.convert({**made.record.shown, **secret}, NewUserTold)

        return await self.pipeline.administered("users.add", who.subject, who.origin, added)

    async def _read(self, who: Knock, email: str) -> UserTold | PersonTold:
        async def read(asker: Asker) -> UserTold | PersonTold:
            found = await user_info(self.office, asker, email)
            if found is None:
                raise Unknown(f"there is no user `{email[:254]}`")
            return _whole(found) if isinstance(found, Record) else PersonTold(email=found.email, name=found.name)

        return await self.pipeline.administered("users.info", who.subject, who.origin, read)

    async def _update(self, who: Knock, email: str, body: UserChanges) -> UserTold:
        async def updated(asker: Asker) -> UserTold:
            return _whole(await update_user(self.office, asker, email, name=body.name, roles=body.roles))

        return await self.pipeline.administered("users.update", who.subject, who.origin, updated)

    async def _delete(self, who: Knock, email: str) -> UserDeleted:
        async def deleted(asker: Asker) -> UserDeleted:
            return UserDeleted(await delete_user(self.office, asker, email))

        return await self.pipeline.administered("users.delete", who.subject, who.origin, deleted)


def _whole(record: Record) -> UserTold:
    return msgspec.convert(record.shown, UserTold)
