"""A definition put to use: with what an operator has set for it.

This file knows no YAML and no HTTP.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from connectors.addresses import PUBLIC_ONLY, Exceptions
from connectors.base import Secret
from connectors.definition.hosts import covers, host_of
from connectors.definition.terms import Definition

_BOUNDARY: Final = frozenset("/?#")


@dataclass(frozen=True, slots=True)
class Platform:
    """``id`` is the connector of policy rows. ``scopes`` are those to ask for, ``inputs`` those fixed for everybody,
    ``exceptions`` those to the address guard. ``resource`` is what tokens are asked for (RFC 8707, ``""``: not told).
    """

    id: str
    definition: Definition
    client_id: str = ""
    client_secret: Secret | None = None
    scopes: tuple[str, ...] = ()
    inputs: Mapping[str, str] = field(default_factory=dict)
    exceptions: Exceptions = PUBLIC_ONLY
    resource: str = ""


def relocated(definition: Definition, at: Mapping[str, str]) -> Definition:
    """The definition with other beginnings of its URLs: each URL that begins with a key of ``at`` begins with its value
    instead, the longest key first. Where a host is left by all URLs, its place in
    ``allowed_hosts`` goes to the new one.

    Raises ``ValueError`` with a sentence: a key with which no URL begins.
    """
    if not at:
        return definition
    move = _Move({key.rstrip("/"): value.rstrip("/") for key, value in at.items()})
    moved = _each_url(definition, move)
    for beginning in at:
        if beginning.rstrip("/") not in move.used:
            raise ValueError(f"no URL of `{definition.id}` begins with `{beginning}`")
    left = [host_of(url) for url in _urls(moved)]
    gone = [host for key in move.used if (host := host_of(key)) and not any(covers((host,), each) for each in left)]
    new = dict.fromkeys(filter(None, (host_of(move.at[key]) for key in move.used)))
    kept = [host for host in definition.api.allowed_hosts if host not in gone]
    hosts = tuple(dict.fromkeys((*kept, *new)))
    return replace(moved, api=replace(moved.api, allowed_hosts=hosts))


class _Move:
    """``used`` are the beginnings that were met so far."""

    def __init__(self, at: Mapping[str, str]) -> None:
        self.at = at
        self.used: dict[str, None] = {}

    def __call__(self, url: str) -> str:
        found = [key for key in self.at if url.startswith(key) and (len(url) == len(key) or url[len(key)] in _BOUNDARY)]
        if not found:
            return url
        key = max(found, key=len)
        self.used[key] = None
        return self.at[key] + url[len(key) :]


def _each_url(definition: Definition, move: Callable[[str], str]) -> Definition:
    auth, identity, oauth = definition.auth, definition.identity, definition.auth.oauth
    if oauth is not None:
        moved = replace(
            oauth,
            authorize_url=move(oauth.authorize_url),
            token_url=move(oauth.token_url),
            issuer=move(oauth.issuer),
            refresh_url=move(oauth.refresh_url),
            revoke_url=move(oauth.revoke_url),
        )
        auth = replace(auth, oauth=moved)
    return replace(
        definition,
        auth=auth,
        identity=None if identity is None else replace(identity, url=move(identity.url)),
        api=replace(definition.api, base_url=move(definition.api.base_url)),
    )


def _urls(definition: Definition) -> tuple[str, ...]:
    """Every URL that is asked. An issuer is compared, not asked."""
    oauth, identity = definition.auth.oauth, definition.identity
    legs = () if oauth is None else (oauth.authorize_url, oauth.token_url, oauth.refresh_url, oauth.revoke_url)
    return tuple(filter(None, (definition.api.base_url, "" if identity is None else identity.url, *legs)))
