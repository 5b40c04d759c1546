"""``/api/servers``: the MCP servers that users offer, and the tokens that let in there.

What is asked of the policy stands in ``gateway/manage/servers.py``, what is told of a server in
``gateway/manage/servers_told.py``.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

import msgspec

from gateway.manage import servers
from gateway.manage.asking import Asker
from gateway.manage.servers import Counter, Issued
from gateway.manage.servers_told import ServerTold, server_told
from gateway.pipeline import Pipeline
from gateway.records import Server
from gateway.servers.forms import ServerRenewal, ServerWanted, ServerWish
from gateway.web.api.routes import Counted, Described, Knock, Page, Told, part

T = TypeVar("T")

IF_MATCH: Final = "if-match"
DELETED: Final = "Server deleted"

_ETAG: Final = re.compile(r'"(\d{1,18})"')


class ServersAsked(Page, frozen=True, forbid_unknown_fields=True, kw_only=True, rename="camel"):
    """``owner`` is whose servers are listed, an address or ``*`` for all that may be seen; usually one's own."""

    owner: str = ""


class ServersTold(Counted, frozen=True, kw_only=True, rename="camel"):
    """Some of the servers that may be seen; ``count`` is how many stand here."""

    servers: tuple[ServerTold, ...]
    count: int


class ServerDeleted(msgspec.Struct, frozen=True, rename="camel"):
    """What went."""

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
        told = server_told(changed.server, self.public_url, warnings=changed.opened)
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
        told = server_told(issued.server, self.public_url, token=issued.token.reveal())
        return Told(told, headers=_etag(issued.server))

    def _one(self, server: Server) -> Told:
        return Told(self._told(server), headers=_etag(server))

    def _told(self, server: Server) -> ServerTold:
        return server_told(server, self.public_url)


def _etag(server: Server) -> Mapping[str, str]:
    return {"etag": f'"{server.rev}"'}


def _revs(headers: Mapping[str, str]) -> frozenset[int] | None:
    """In which states the record may be (RFC 9110 §13.1.1); ``None``: in any. What is no tag of ours fits none."""
    sent = headers.get(IF_MATCH, "*").strip()
    if sent == "*":
        return None
    tags = (_ETAG.fullmatch(each.strip()) for each in sent.split(","))
    return frozenset(int(tag[1]) for tag in tags if tag)
