"""Becoming known to an authorization server that no operator has registered us with.

In the order of MCP 2025-11-25 (authorization, client registration): a document about us that it reads for itself, else
a registration (RFC 7591). This file keeps nothing: who registers, remembers.
"""

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import msgspec

from connectors.addresses import Exceptions
from connectors.base import Secret
from connectors.definition.terms import ClientAuth
from connectors.egress import Egress, EgressError
from connectors.oauth.discovery import LIMITS
from connectors.oauth.metadata import AuthorizationServer
from gateway.errors import UpstreamFailed
from gateway.mcp.terms import Params
from gateway.policy.terms import Json

METHODS: Final = {
    "client_secret_basic": ClientAuth.BASIC_RFC6749,
    "client_secret_post": ClientAuth.POST,
    "none": ClientAuth.NONE,
}
"""How we can prove ourselves, the strongest first, by the names of RFC 7591 §2."""


@dataclass(frozen=True, slots=True, repr=False)
class Registered:
    """What we are known as; ``expires_at`` is when the secret ends, ms since the epoch (``None``: never)."""

    client_id: str
    secret: Secret | None = None
    method: ClientAuth = ClientAuth.NONE
    expires_at: int | None = None


def document(url: str, *, name: str, redirect_uri: str) -> Params:
    """What we say of ourselves at ``url``, which is then our client id (client id metadata documents)."""
    return {"client_id": url, "token_endpoint_auth_method": "none", **_about_us(name, redirect_uri)}


def method_of(server: AuthorizationServer, *, secret: bool) -> ClientAuth:
    """How a client is to prove itself there; a server that does not say takes basic (RFC 8414 §2)."""
    said = server.auth_methods or ("client_secret_basic",)
    usable = [ours for theirs, ours in METHODS.items() if theirs in said]
    if secret:
        return next((each for each in usable if each is not ClientAuth.NONE), ClientAuth.BASIC_RFC6749)
    return ClientAuth.NONE


async def register(
    egress: Egress, server: AuthorizationServer, *, name: str, redirect_uri: str, allow: Exceptions
) -> Registered:
    """Register a client for one redirect address. Raises ``UpstreamFailed`` with a sentence."""
    if not server.register_url:
        raise UpstreamFailed(
            f"`{server.issuer[:200]}` lets nobody register by himself: set `client_id` for this upstream"
        )
    said = server.auth_methods or ("client_secret_basic",)
    method = next((theirs for theirs in METHODS if theirs in said), "client_secret_basic")
    asked = {"token_endpoint_auth_method": method, **_about_us(name, redirect_uri)}
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    try:
        async with egress.request(
            "POST", server.register_url, headers=headers, body=msgspec.json.encode(asked), limits=LIMITS, allow=allow
        ) as answer:
            body = await answer.read()
            if answer.status not in (200, 201):
                raise UpstreamFailed(f"the authorization server refuses to register this gateway: HTTP {answer.status}")
    except EgressError as error:
        raise UpstreamFailed(f"the gateway could not be registered: {error}") from None
    return _read(body, method)


def _about_us(name: str, redirect_uri: str) -> dict[str, Json]:
    loopback = urlsplit(redirect_uri).hostname in ("127.0.0.1", "::1", "localhost")
    return {
        "client_name": name,
        "redirect_uris": [redirect_uri],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "application_type": "native" if loopback else "web",
    }


def _read(body: bytes, method: str) -> Registered:
    """RFC 7591 §3.2.1; the server may have chosen another method than the one that was asked for."""
    try:
        said = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        said = None
    id = said.get("client_id") if isinstance(said, dict) else None
    if not isinstance(id, str) or not id or len(id) > 2048:
        raise UpstreamFailed("the authorization server registered this gateway without a `client_id`")
    secret, ends = said.get("client_secret"), said.get("client_secret_expires_at")
    chosen = METHODS.get(said.get("token_endpoint_auth_method", method))
    if chosen is None or (chosen is not ClientAuth.NONE and not (isinstance(secret, str) and secret)):
        raise UpstreamFailed("the authorization server registered this gateway in a way that it cannot use")
    return Registered(
        id,
        Secret(secret) if isinstance(secret, str) and secret and chosen is not ClientAuth.NONE else None,
        chosen,
        ends * 1000 if type(ends) is int and 0 < ends < 2**40 else None,
    )
