"""What servers say of their own authorization: challenges and metadata documents, read strictly.

Pure: places to look at, and values out of what was found there (RFC 9728, RFC 8414, OpenID Connect Discovery, RFC 9110
§11.6.1). This file opens nothing and knows no client.
"""

import re
from dataclasses import dataclass
from typing import Final, TypeAlias
from urllib.parse import urlsplit

import msgspec

from gateway.policy.terms import Json

RESOURCE: Final = "/.well-known/oauth-protected-resource"
SERVER: Final = "/.well-known/oauth-authorization-server"
OPENID: Final = "/.well-known/openid-configuration"

OFFLINE: Final = "offline_access"
"""The scope for refresh tokens where a server has one (OpenID Connect Core §11)."""

_PART: Final = re.compile(r"""([A-Za-z0-9!#$%&'*+.^_`|~-]+)[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))""")
_BEARER: Final = re.compile(r"(?:^|,)[ \t]*bearer(?=[ \t]|$)", re.IGNORECASE)
_SCHEME: Final = re.compile(r",[ \t]*[A-Za-z0-9!#$%&'*+.^_`|~-]+[ \t]+[A-Za-z0-9!#$%&'*+.^_`|~-]+[ \t]*=")
_SCOPE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,200}")
_MOST_SCOPES: Final = 200

Scopes: TypeAlias = tuple[str, ...] | None
"""``None`` where nothing is said of them."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """What a refusal says is needed (RFC 6750 §3, RFC 9728 §5.1)."""

    resource_metadata: str = ""
    scopes: Scopes = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class ProtectedResource:
    """RFC 9728 §2: ``servers`` are issuers, the one to prefer first."""

    resource: str
    servers: tuple[str, ...]
    scopes: Scopes


@dataclass(frozen=True, slots=True)
class AuthorizationServer:
    """RFC 8414 §2, as far as we need it. ``auth_methods`` is ``()`` where it says nothing (then it is basic)."""

    issuer: str
    authorize_url: str
    token_url: str
    register_url: str = ""
    revoke_url: str = ""
    scopes: Scopes = None
    auth_methods: tuple[str, ...] = ()
    promises_iss: bool = False
    takes_documents: bool = False


def challenge(header: str) -> Challenge | None:
    """The Bearer challenge of a ``WWW-Authenticate`` header, ``None`` when it has none."""
    if (start := _BEARER.search(header)) is None:
        return None
    rest = header[start.end() :]
    if (other := _SCHEME.search(rest)) is not None:
        rest = rest[: other.start()]
    said = {name.lower(): re.sub(r"\\(.)", r"\1", quoted) if quoted else plain for name, quoted, plain in _parts(rest)}
    return Challenge(said.get("resource_metadata", ""), _scopes_in(said.get("scope")), said.get("error", ""))


def resource_places(url: str) -> tuple[str, ...]:
    """Where the metadata of the resource ``url`` may stand: for its path, then for its host (RFC 9728 §3.1)."""
    origin, path = _apart(url)
    return tuple(dict.fromkeys((f"{origin}{RESOURCE}{path}", f"{origin}{RESOURCE}")))


def server_places(issuer: str) -> tuple[str, ...]:
    """Where the metadata of an authorization server may stand, in the order to try (MCP 2025-11-25, authorization)."""
    origin, path = _apart(issuer)
    if not path:
        return f"{origin}{SERVER}", f"{origin}{OPENID}"
    return f"{origin}{SERVER}{path}", f"{origin}{OPENID}{path}", f"{origin}{path}{OPENID}"


def read_resource(body: bytes, url: str) -> ProtectedResource:
    """What a document says of the resource ``url``. Raises ``ValueError``: not readable, about something else, or
    without an authorization server.
    """
    said = _object(body)
    resource = _text(said, "resource")
    if not _covers(resource, url):
        raise ValueError(f"the metadata is that of `{resource[:200]}`, which is not this server")
    listed = said.get("authorization_servers")
    servers = tuple(each for each in listed if isinstance(each, str) and each) if isinstance(listed, list) else ()
    if not servers:
        raise ValueError("the metadata names no authorization server")
    return ProtectedResource(resource, servers, _scopes_of(said))


def read_server(body: bytes, issuer: str) -> AuthorizationServer:
    """What a document says of the authorization server ``issuer``. Raises ``ValueError``: not readable, another issuer
    (RFC 8414 §3.3, compared as they stand), no endpoints, or no PKCE with S256 (MCP demands to refuse that).
    """
    said = _object(body)
    if said.get("issuer") != issuer:
        raise ValueError("the metadata is that of another issuer")
    if "S256" not in _texts(said, "code_challenge_methods_supported"):
        raise ValueError("the authorization server does not say that it supports PKCE with S256")
    return AuthorizationServer(
        issuer=issuer,
        authorize_url=_text(said, "authorization_endpoint"),
        token_url=_text(said, "token_endpoint"),
        register_url=_text(said, "registration_endpoint", optional=True),
        revoke_url=_text(said, "revocation_endpoint", optional=True),
        scopes=_scopes_of(said),
        auth_methods=_texts(said, "token_endpoint_auth_methods_supported"),
        promises_iss=said.get("authorization_response_iss_parameter_supported") is True,
        takes_documents=said.get("client_id_metadata_document_supported") is True,
    )


def presumed_server(url: str) -> AuthorizationServer:
    """The endpoints of a server that publishes no metadata at all (MCP 2025-03-26, authorization, fallbacks)."""
    origin, _ = _apart(url)
    return AuthorizationServer(
        origin, f"{origin}/authorize", f"{origin}/token", f"{origin}/register", auth_methods=("none",)
    )


def wanted(challenged: Scopes, resource: Scopes, server: Scopes) -> tuple[str, ...]:
    """The scopes to ask for: what the challenge says, else what the resource lists, else none; and offline access
    where the server has a scope for that (MCP 2026-07-28, authorization, scope selection).
    """
    chosen = challenged if challenged is not None else resource or ()
    more = (OFFLINE,) if OFFLINE in (server or ()) and OFFLINE not in chosen else ()
    return (*chosen, *more)


def _parts(text: str) -> list[tuple[str, str, str]]:
    return _PART.findall(text[:8192])


def _apart(url: str) -> tuple[str, str]:
    """Origin, and path without a slash at its end."""
    parts = urlsplit(url)
    return f"{parts.scheme.lower()}://{parts.netloc.lower()}", parts.path.rstrip("/")


def _covers(resource: str, url: str) -> bool:
    """Whether ``url`` is the resource or lies below it: MCP allows more than RFC 9728 §3.3 does, on the same origin."""
    origin, path = _apart(resource)
    ours, below = _apart(url)
    return origin == ours and (below == path or below.startswith(f"{path}/"))


def _object(body: bytes) -> dict[str, Json]:
    try:
        said = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ValueError("the metadata is not JSON") from None
    if not isinstance(said, dict):
        raise ValueError("the metadata is not a JSON object")  # noqa: TRY004 (of what a server sent)
    return said


def _text(said: dict[str, Json], name: str, *, optional: bool = False) -> str:
    value = said.get(name)
    if optional and value is None:
        return ""
    if not isinstance(value, str) or not value or len(value) > 2048 or "{" in value:  # no template, whoever reads it
        raise ValueError(f"the metadata has no `{name}` that can be used")
    return value


def _texts(said: dict[str, Json], name: str) -> tuple[str, ...]:
    value = said.get(name)
    return tuple(each for each in value if isinstance(each, str)) if isinstance(value, list) else ()


def _scopes_of(said: dict[str, Json]) -> Scopes:
    return _plain(_texts(said, "scopes_supported")) if "scopes_supported" in said else None


def _scopes_in(text: str | None) -> Scopes:
    return None if text is None else _plain(tuple(text.split()))


def _plain(scopes: tuple[str, ...]) -> tuple[str, ...]:
    """Those that can stand in a request (RFC 6749 §3.3), each once."""
    return tuple(dict.fromkeys(each for each in scopes if _SCOPE.fullmatch(each)))[:_MOST_SCOPES]
