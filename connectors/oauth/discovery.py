"""How an MCP server behind us says who may let a user in: from its URL to the endpoints of an authorization server.

RFC 9728 leads to RFC 8414 or OpenID Connect Discovery; a server of 2025-03-26, which knows neither, stands for itself.
Every address that is learned on the way is judged by the egress like any other. This file knows no user and no token.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from connectors.addresses import Exceptions
from connectors.egress import Egress, EgressError, Limits
from connectors.oauth.metadata import (
    AuthorizationServer,
    Challenge,
    ProtectedResource,
    challenge,
    presumed_server,
    read_resource,
    read_server,
    resource_places,
    server_places,
    wanted,
)
from gateway.errors import UpstreamFailed

LIMITS: Final = Limits(connect=5.0, idle=10.0, total=15.0, max_bytes=256 * 1024)

_HELLO: Final = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'


@dataclass(frozen=True, slots=True)
class Discovered:
    """``resource`` is what tokens are asked for (RFC 8707), ``""`` where the server said nothing of it."""

    server: AuthorizationServer
    resource: str
    scopes: tuple[str, ...]


async def asked(egress: Egress, url: str, *, allow: Exceptions) -> Challenge | None:
    """What the MCP server at ``url`` says to who comes without a token. Raises ``UpstreamFailed``."""
    headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    try:
        async with egress.request("POST", url, headers=headers, body=_HELLO, limits=LIMITS, allow=allow) as answer:
            return challenge(answer.headers.get("WWW-Authenticate", "")) if answer.status == 401 else None
    except EgressError as error:
        raise UpstreamFailed(str(error)) from None


async def discover(egress: Egress, url: str, challenged: Challenge | None, *, allow: Exceptions) -> Discovered:
    """Who lets users in to the MCP server at ``url``, and what for. Raises ``UpstreamFailed`` with a sentence."""
    said = challenged or Challenge()
    places = (said.resource_metadata,) if said.resource_metadata else resource_places(url)
    looked = _Looking(egress, allow)
    if (resource := await looked.resource(places, url)) is None:
        return await looked.without_resource(url, said)
    server = await looked.server(resource.servers[0])
    if server is None:
        raise UpstreamFailed(f"the authorization server `{resource.servers[0][:200]}` publishes no metadata")
    return Discovered(server, resource.resource, wanted(said.scopes, resource.scopes, server.scopes))


@dataclass(frozen=True, slots=True)
class _Looking:
    egress: Egress
    allow: Exceptions

    async def resource(self, places: Iterable[str], url: str) -> ProtectedResource | None:
        if (body := await self._first(places)) is None:
            return None
        try:
            return read_resource(body, url)
        except ValueError as error:
            raise UpstreamFailed(f"the server's own metadata cannot be used: {error}") from None

    async def server(self, issuer: str) -> AuthorizationServer | None:
        if (body := await self._first(server_places(issuer))) is None:
            return None
        try:
            return read_server(body, issuer)
        except ValueError as error:
            raise UpstreamFailed(f"the authorization server cannot be used: {error}") from None

    async def without_resource(self, url: str, said: Challenge) -> Discovered:
        """A server of 2025-03-26 is its own authorization server, at the root of its host."""
        server = await self.server(presumed_server(url).issuer) or presumed_server(url)
        return Discovered(server, "", wanted(said.scopes, None, server.scopes))

    async def _first(self, places: Iterable[str]) -> bytes | None:
        """The first document that is there. A server that fails is not one that has none."""
        for place in places:
            try:
                async with self.egress.request(
                    "GET", place, headers={"Accept": "application/json"}, limits=LIMITS, allow=self.allow
                ) as answer:
                    if answer.status == 200:
                        return await answer.read()
                    if answer.status >= 500:
                        raise UpstreamFailed(f"the metadata could not be read: HTTP {answer.status}")
            except EgressError as error:
                raise UpstreamFailed(f"the metadata could not be read: {error}") from None
        return None
