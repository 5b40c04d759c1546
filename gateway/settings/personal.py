"""``[upstreams.ID.personal]``: the credential that each user brings to an upstream himself."""

import re
from collections.abc import Iterable
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

from connectors.base import Personal, Secret, Sharing
from gateway.settings.values import References, Table, looks_secret

_SCOPE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,200}")  # RFC 6749 §3.3
_HEADER: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_OAUTH_ONLY: Final = ("client_id", "client_secret", "issuer", "scopes")
_KEY_ONLY: Final = ("header", "prefix", "label")
_TAKEN: Final = frozenset(
    {
        *("accept", "content-type", "content-length", "transfer-encoding", "connection", "host", "user-agent"),
        *("last-event-id", "mcp-method", "mcp-name", "mcp-protocol-version", "mcp-session-id"),
    }
)
"""Headers that the protocol writes."""


class _Kind(StrEnum):
    """``oauth``: an account that the user lets us in to. ``key``: what he types."""

    OAUTH = "oauth"
    KEY = "key"


def read_personal(
    upstream: Table, references: References, *, http: bool, sharing: Sharing, headers: Iterable[str]
) -> Personal | None:
    """What the table of an upstream says of it, ``None`` where it has none. ``headers`` are the operator's own."""
    if not upstream.has("personal"):
        return None
    if not http:
        upstream.problem("`personal` needs `url`: a child process has no users of its own", "personal")
    elif sharing is not Sharing.PRINCIPAL:
        upstream.problem('`personal` needs `sharing = "principal"`: a session for each user', "personal")
    table = upstream.table("personal")
    oauth = table.choice("kind", _Kind, _Kind.OAUTH) is _Kind.OAUTH
    for key in _KEY_ONLY if oauth else _OAUTH_ONLY:
        if table.has(key):
            table.problem(f"`{key}` does not go with kind `{'oauth' if oauth else 'key'}`", key)
    standard = Personal(oauth)
    personal = Personal(
        oauth,
        header=table.parsed("header", _header, standard.header),
        prefix=table.text("prefix", standard.prefix if not table.has("header") else "", most=100),
        label=table.text("label", standard.label, most=100),
        client_id=table.parsed("client_id", _plain, ""),
        client_secret=_secret(table, references),
        issuer=table.parsed("issuer", _issuer, ""),
        scopes=table.texts("scopes", _scope) if table.has("scopes") else None,
    )
    if personal.header.lower() in map(str.lower, headers):
        table.problem(f"`{personal.header}` stands in `headers` too, and each user has his own", "header")
    if personal.client_secret is not None and not personal.client_id:
        table.problem("`client_secret` needs `client_id`", "client_secret")
    if personal.client_secret is not None and not personal.issuer:
        table.problem("`client_secret` needs `issuer`: nobody else is to learn it", "client_secret")
    table.close()
    return personal


def _secret(table: Table, references: References) -> Secret | None:
    form = '`{ env = "NAME" }` or `{ file = "PATH" }`'
    return table.table("client_secret", form).reference(references) if table.has("client_secret") else None


def _header(text: str) -> str:
    if _HEADER.fullmatch(text) is None:
        raise ValueError(f"`{text}` is not the name of a header")
    if text.lower() in _TAKEN:
        raise ValueError(f"`{text}` is a header of the protocol: take another")
    return text


def _issuer(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment or parts.username:
        raise ValueError(f"`{text}` is not an issuer such as `https://id.example.com`")
    return text


def _plain(text: str) -> str:
    if not text or not text.isascii() or not text.isprintable() or looks_secret(text):
        raise ValueError("is to be plain text that is no secret")
    return text


def _scope(text: str) -> str:
    if _SCOPE.fullmatch(text) is None:
        raise ValueError(f"`{text}` is not a scope")
    return text
