"""``/api/keys``: API keys of one's own, and of the accounts that one administers.

What is asked of the policy stands in ``gateway/manage/keys.py``; here are the forms of bodies and answers.
"""

from dataclasses import dataclass
from typing import Annotated, Final

import msgspec

from gateway.manage.asking import Asker
from gateway.manage.key_bounds import MOST_DAYS, MOST_NAME, MOST_OVERLAP_S, MOST_SERVERS
from gateway.manage.keys import Fresh, Key, add_key, list_keys, revoke_key, rotate_key
from gateway.manage.office import Office
from gateway.pipeline import Pipeline
from gateway.web.api.routes import Counted, Described, Knock, Page, part

ONE: Final = "/api/keys/{key}"

Email = Annotated[str, msgspec.Meta(max_length=254)]
Days = Annotated[int, msgspec.Meta(ge=1, le=MOST_DAYS)]
ServerId = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class KeysAsked(Page, frozen=True, forbid_unknown_fields=True, kw_only=True, rename="camel"):
    """``email``: whose keys, one's own where it is left out."""

    email: Email = ""


class KeyWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, rename="camel"):
    """``email``: for whom, oneself where it is left out. The key counts on ``servers`` alone (``main`` is the main
    one), everywhere where there are none; it never ends where ``expiresInDays`` is left out.
    """

    email: Email = ""
    name: Annotated[str, msgspec.Meta(max_length=MOST_NAME)] = ""
    servers: Annotated[tuple[ServerId, ...], msgspec.Meta(max_length=MOST_SERVERS)] = ()
    expires_in_days: Days | None = None


class KeyRotation(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, rename="camel"):
    """The former key goes on counting for ``overlapSeconds``; the new one ends when the former one would have, where
    ``expiresInDays`` is left out.
    """

    overlap_seconds: Annotated[int, msgspec.Meta(ge=0, le=MOST_OVERLAP_S)] = 0
    expires_in_days: Days | None = None


class KeyTold(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A key as far as it is ever told; ``prefix`` is how it begins."""

    id: str
    email: str
    name: str
    prefix: str
    servers: tuple[str, ...]
    created_at: str
    expires_at: str | None


class KeyMade(KeyTold, frozen=True, kw_only=True, rename="camel"):
    """The same with the key itself, this once."""

    api_key: str


class KeysTold(Counted, frozen=True, kw_only=True, rename="camel"):
    """Some of the keys of an account that count."""

    keys: tuple[KeyTold, ...]


class KeyRevoked(msgspec.Struct, frozen=True):
    """What went."""

    id: str
    revoked: bool = True


@dataclass(frozen=True, slots=True)
class KeysApi:
    """The routes of keys."""

    office: Office
    pipeline: Pipeline

    def routes(self) -> tuple[Described, ...]:
        """All of them."""
        return (
            Described(
                "GET",
                "/api/keys",
                "keys.list",
                self._list,
                KeysTold,
                query=KeysAsked,
                summary="The API keys of an account",
            ),
            Described(
                "POST",
                "/api/keys",
                "keys.add",
                self._add,
                KeyMade,
                takes=KeyWish,
                status=201,
                summary="Make a further API key, and tell it once",
            ),
            Described(
                "POST",
                f"{ONE}/rotate",
                "keys.rotate",
                self._rotate,
                KeyMade,
                takes=KeyRotation,
                status=201,
                summary="Make a key in place of another one, and tell it once",
            ),
            Described("DELETE", ONE, "keys.revoke", self._revoke, KeyRevoked, summary="End an API key at once"),
        )

    async def _list(self, who: Knock, asked: KeysAsked) -> KeysTold:
        async def listed(asker: Asker) -> KeysTold:
            found = part(await list_keys(asker, asked.email), asked)
            return KeysTold(
                keys=tuple(map(_told, found.items)),
                total=found.total,
                limit=found.limit,
                offset=found.offset,
                has_more=found.has_more,
            )

        return await self.pipeline.administered("keys.list", who.subject, who.origin, listed)

    async def _add(self, who: Knock, body: KeyWish) -> KeyMade:
        async def added(asker: Asker) -> KeyMade:
            made = await add_key(
                self.office,
                asker,
                email=body.email,
                name=body.name,
                servers=body.servers,
                days=body.expires_in_days,
            )
            return _fresh(made)

        return await self.pipeline.administered("keys.add", who.subject, who.origin, added)

    async def _rotate(self, who: Knock, key: str, body: KeyRotation) -> KeyMade:
        async def rotated(asker: Asker) -> KeyMade:
            made = await rotate_key(self.office, asker, key, overlap_s=body.overlap_seconds, days=body.expires_in_days)
            return _fresh(made)

        return await self.pipeline.administered("keys.rotate", who.subject, who.origin, rotated)

    async def _revoke(self, who: Knock, key: str) -> KeyRevoked:
        async def revoked(asker: Asker) -> KeyRevoked:
            return KeyRevoked((await revoke_key(self.office, asker, key)).id)

        return await self.pipeline.administered("keys.revoke", who.subject, who.origin, revoked)


def _told(key: Key) -> KeyTold:
    return msgspec.convert(key.shown, KeyTold)


def _fresh(made: Fresh) -> KeyMade:
    return msgspec.convert({**made.key.shown, "apiKey": made.secret.reveal()}, KeyMade)
