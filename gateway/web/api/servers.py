"""``/api/servers``: the MCP servers that users offer, and the tokens that let in there.

What is asked of the policy stands in ``gateway/manage/servers.py``; here are the forms of answers. A token is shown
whole once, when it was made; afterwards, in its URL too, only so much of it as tells it from others.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

import msgspec
from msgspec import structs

from gateway.manage import servers
from gateway.manage.asking import Asker
from gateway.manage.servers import Counter, Issued
from gateway.manage.share_rows import as_date
from gateway.pipeline import Pipeline
from gateway.records import Mode, Server, Token
from gateway.servers.forms import ServerRenewal, ServerRestrictions, ServerWanted, ServerWish
from gateway.servers.restrictions import form_of
from gateway.web.api.routes import Counted, Described, Knock, Page, Told, part

T = TypeVar("T")

IF_MATCH: Final = "if-match"
DELETED: Final = "Server deleted"

_ETAG: Final = re.compile(r'"(\d{1,18})"')


class ServersAsked(Page, frozen=True, forbid_unknown_fields=True, kw_only=True, rename="camel"):
    """``owner`` is whose servers are listed, an address or ``*`` for all that may be seen; usually one's own."""

    owner: str = ""


class ServerSignerTold(msgspec.Struct, frozen=True, rename="camel"):
    """Who signs tokens of end users; a secret is never told."""

    id: str
    issuer: str
    algorithm: str
    jwks_url: str


class ServerTold(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """``url`` is for clients that send a key, ``accessUrl`` for those that send nothing else. ``accessToken`` and
    ``accessUrl`` are cut short but at the moment when the token was made. ``warnings`` say what a change let in that
    was kept out before.
    """

    server_id: str
    owner: str
    name: str
    description: str
    instructions: str
    mode: Mode
    upstream: str
    is_public: bool
    restrictions: ServerRestrictions | None
    has_restrictions: bool
    redirect_uris: tuple[str, ...]
    jwt: tuple[ServerSignerTold, ...]
    shaping: bool
    cache_seconds: int
    url: str
    access_url: str | None
    access_token: str | None
    token_expires_at: str | None
    created_at: str
    updated_at: str
    rev: int
    warnings: tuple[str, ...] = ()


class ServersTold(Counted, frozen=True, kw_only=True, rename="camel"):
    servers: tuple[ServerTold, ...]
    count: int


class ServerDeleted(msgspec.Struct, frozen=True, rename="camel"):
    message: str
    server_id: str


@dataclass(frozen=True, slots=True)
class ServersApi:
    """``public_url`` is what every URL begins with."""

    counter: Counter
    pipeline: Pipeline
    public_url: str

    def routes(self) -> tuple[Described, ...]:
        """The routes."""
        all, one = "/api/servers", "/api/servers/{server}"
        return (
            Described(
                "POST", all, "servers.create", self._create, ServerTold, takes=ServerWish, status=201,
                summary="Make a server; its token is shown this once.",
            ),
            Described(
                "GET", all, "servers.list", self._list, ServersTold, query=ServersAsked,
                summary="The servers that one may see, in order of name.",
            ),
            Described("GET", one, "servers.read", self._read, ServerTold, summary="One server."),
            Described(
                "PUT", one, "servers.update", self._update, ServerTold, takes=ServerWanted, reads=(IF_MATCH,),
                summary="Put a server in the place of what it was, as a whole; what is left out is gone.",
            ),
            Described(
                "DELETE", one, "servers.delete", self._delete, ServerDeleted, reads=(IF_MATCH,),
                summary="Delete a server for good, with the accounts that its end users connected.",
            ),
            Described(
                "POST", f"{one}/regenerate-token", "servers.regenerate-token", self._regenerate, ServerTold,
                takes=ServerRenewal, summary="Make a new token; the former one ends at once, or after a grace.",
            ),
            Described(
                "DELETE", f"{one}/token", "servers.revoke", self._revoke, ServerTold,
                summary="End every token of a server.",
            ),
        )  # fmt: skip

    async def _create(self, who: Knock, body: ServerWish) -> Told:
        issued = await self._done(who, "create", lambda asker: servers.create(self.counter, asker, body))
        return self._issued(issued)

    async def _list(self, who: Knock, asked: ServersAsked) -> ServersTold:
        found = await self._done(
            who, "list", lambda asker: servers.list_servers(self.counter.office, asker, asked.owner)
        )
        shown = part(found, asked)
        return ServersTold(
            total=shown.total,
            limit=shown.limit,
            offset=shown.offset,
            has_more=shown.has_more,
            servers=tuple(map(self._told, shown.items)),
            count=len(shown.items),
        )

    async def _read(self, who: Knock, server: str) -> Told:
        return self._one(await self._done(who, "read", lambda asker: servers.read(self.counter.office, asker, server)))

    async def _update(self, who: Knock, body: ServerWanted, server: str) -> Told:
        revs = _revs(who.headers)
        changed = await self._done(
            who, "update", lambda asker: servers.update(self.counter, asker, server, body, revs=revs)
        )
        told = structs.replace(self._told(changed.server), warnings=changed.opened)
        return Told(told, headers=_etag(changed.server))

    async def _delete(self, who: Knock, server: str) -> ServerDeleted:
        revs, office = _revs(who.headers), self.counter.office
        id = await self._done(who, "delete", lambda asker: servers.delete(office, asker, server, revs=revs))
        return ServerDeleted(DELETED, id)

    async def _regenerate(self, who: Knock, body: ServerRenewal, server: str) -> Told:
        office = self.counter.office
        issued = await self._done(
            who, "regenerate-token", lambda asker: servers.regenerate(office, asker, server, body)
        )
        return self._issued(issued)

    async def _revoke(self, who: Knock, server: str) -> Told:
        office = self.counter.office
        return self._one(await self._done(who, "revoke", lambda asker: servers.revoke(office, asker, server)))

    # -- what is told

    async def _done(self, who: Knock, method: str, act: Callable[[Asker], Awaitable[T]]) -> T:
        return await self.pipeline.administered(f"servers.{method}", who.subject, who.origin, act)

    def _issued(self, issued: Issued) -> Told:
        return Told(self._told(issued.server, issued.token.reveal()), headers=_etag(issued.server))

    def _one(self, server: Server) -> Told:
        return Told(self._told(server), headers=_etag(server))

    def _told(self, server: Server, token: str = "") -> ServerTold:
        newest = newest_token(server)
        shown = token or (f"{newest.prefix}…" if newest else "")
        url, restrictions = f"{self.public_url}/mcp/{server.id}", form_of(server.restrictions)
        return ServerTold(
            server_id=server.id,
            owner=server.owner,
            name=server.name,
            description=server.description,
            instructions=server.instructions,
            mode=server.mode,
            upstream=server.upstream,
            is_public=server.public,
            restrictions=restrictions,
            has_restrictions=restrictions is not None,
            redirect_uris=server.redirects,
            jwt=tuple(ServerSignerTold(each.id, each.issuer, each.algorithm, each.jwks_url) for each in server.signers),
            shaping=server.shaping,
            cache_seconds=server.cache_s,
            url=url,
            access_url=f"{url}/{shown}" if shown else None,
            access_token=shown or None,
            token_expires_at=as_date(newest.expires_at) if newest and newest.expires_at is not None else None,
            created_at=as_date(server.created_at),
            updated_at=as_date(server.updated_at),
            rev=server.rev,
        )


def newest_token(server: Server) -> Token | None:
    """The one that was made last."""
    return max(server.tokens, key=lambda each: each.created_at, default=None)


def _etag(server: Server) -> Mapping[str, str]:
    return {"etag": f'"{server.rev}"'}


def _revs(headers: Mapping[str, str]) -> frozenset[int] | None:
    """In which states the record may be (RFC 9110 §13.1.1); ``None``: in any. What is no tag of ours fits none."""
    sent = headers.get(IF_MATCH, "*").strip()
    if sent == "*":
        return None
    tags = (_ETAG.fullmatch(each.strip()) for each in sent.split(","))
    return frozenset(int(tag[1]) for tag in tags if tag)
