"""The data plane: which path is served by whom, who may knock at all, and the outermost answer.

Everything that speaks MCP is answered here in plain ASGI; all other paths go to the Quart app.
Host and Origin are checked for both, before anything is authenticated.
"""

import logging
from collections.abc import MutableMapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from typing import Any, Final, TypeAlias

from gateway.errors import Fault, Malformed, Refusal, Unknown
from gateway.pipeline import Origin, Pipeline
from gateway.policy.terms import MAIN
from gateway.web.arrivals import place_of, redacted
from gateway.web.asgi import App, Gone, Incoming, Receive, Scope, Send, show, within
from gateway.web.hosts import Hosts, client_address
from gateway.web.mcp import Endpoint
from gateway.web.protected import Protected
from gateway.web.refusals import write_refusal
from gateway.web.sse import SseEndpoint
from gateway.workers.taking import HANDED

Place: TypeAlias = tuple[str, str | None, str | None]

ROOTS: Final = ("mcp", "sse", "messages")
UNREAD_S: Final = 60.0
"""How long a client may leave a part of its answer unread before we give up on it."""

OPEN: Final = Protected("", "", ())
"""Where no issuer gives tokens for us."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Plane:
    """The ASGI application of one gateway."""

    mcp: Endpoint
    sse: SseEndpoint
    pages: App
    hosts: Hosts
    trusted_proxies: Sequence[IPv4Network | IPv6Network]
    pipeline: Pipeline
    unread: float = UNREAD_S
    protected: Protected = OPEN

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self.pages(scope, receive, send)
            return
        place = place_of(scope["path"])
        incoming = self._incoming(scope, receive)
        if place[0] in ROOTS:
            _hide(scope, incoming.path)
        watched = _Watched(self.protected.challenging(send, incoming.path), self.unread)
        try:
            await self._admit(incoming, scope, place, watched)
        except Gone:
            return
        except Refusal as refusal:
            await self._refuse(incoming, watched, refusal)
        except Exception:
            log.exception("a request ended in a fault")
            if not watched.yes:
                await self._refuse(incoming, watched, Fault("internal error"))

    async def _admit(self, incoming: Incoming, scope: Scope, place: Place, send: Send) -> None:
        self.hosts.check(incoming.raw_headers)
        if incoming.two_lengths:
            raise Malformed("Content-Length and Transfer-Encoding contradict each other; send one of them")
        root, domain, token = place
        if root not in ROOTS:
            peer = scope["client"][0] if scope.get("client") else ""
            told = {**scope.get("state", {}), "forwarded": incoming.address != peer}
            await show(self.pages, {**scope, "client": (incoming.address, 0), "state": told}, incoming, send)
        elif not _leads_on(place):
            raise Unknown("there is nothing at this path", code=-32600, status=404)
        elif root == "mcp":
            await self.mcp(incoming, domain, send, token)
        elif root == "sse":
            await self.sse.stream(incoming, domain, send, token)
        else:
            await self.sse.message(incoming, send)

    async def _refuse(self, incoming: Incoming, send: Send, refusal: Refusal) -> None:
        root, domain, _ = place_of(incoming.path)
        transport = root if root in ROOTS else "http"
        client = incoming.headers.get("user-agent", "")[:200]
        await self.pipeline.refuse(refusal, Origin(incoming.address, transport, client), domain=MAIN)
        with suppress(Gone):
            await write_refusal(incoming, send, refusal, domain=domain or MAIN if root == "mcp" else MAIN)

    def _incoming(self, scope: Scope, receive: Receive) -> Incoming:
        headers = tuple(scope["headers"])
        peer = scope["client"][0] if scope.get("client") else ""
        return Incoming(
            method=scope["method"],
            path=redacted(scope["path"]) if place_of(scope["path"])[0] in ROOTS else scope["path"],
            query=scope.get("query_string", b""),
            raw_headers=headers,
            address=client_address(peer, headers, self.trusted_proxies),
            receive=receive,
            place=scope["path"],
            handed=HANDED in scope,
        )


def _leads_on(place: Place) -> bool:
    """Whether there can be something at such a path: below its root a server, and below that a token."""
    root, domain, token = place
    if root == "messages":
        return domain is None and token is None
    return token is None or (domain is not None and "/" not in token)


def _hide(scope: Scope, path: str) -> None:
    """Let whoever writes of this request afterwards (the access log of a web server) find neither token nor key."""
    scope.update(path=path, raw_path=path.encode(), query_string=b"")


class _Watched:
    """A ``send`` that remembers whether an answer has begun, and gives up on a client that does not read it."""

    __slots__ = ("_patience", "_send", "yes")

    def __init__(self, send: Send, patience: float) -> None:
        self._send = send
        self._patience = patience
        self.yes = False

    async def __call__(self, event: MutableMapping[str, Any]) -> None:
        self.yes = True
        try:
            await within(self._patience, self._send(event))
        except TimeoutError:
            raise Gone from None
