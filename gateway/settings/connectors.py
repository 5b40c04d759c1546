"""``connectors.toml``: definitions put to use, how accounts are connected, and how people sign in for it.

What a definition itself says is not known here: whether its inputs, URLs and secrets are those named here is found out
where both are put together (``gateway/platforms.py``).
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, parse_qsl, urlsplit

from connectors import addresses
from connectors.base import Secret
from gateway.settings.terms import (
    Binding,
    ConnectionSettings,
    ConnectorSettings,
    Mode,
    OidcSettings,
    Tools,
)
from gateway.settings.upstreams import REFERENCE, named, private_host
from gateway.settings.values import References, Table, looks_secret

OURS: Final = ("code", "flow", "status")
"""The parameters that we add to the address a browser is sent back to."""
LEAST_WEBHOOK_SECRET: Final = 24

_DEFINITION: Final = re.compile(r"[a-z0-9_-]{1,64}")
_SCOPE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,200}")  # RFC 6749 §3.3
_URL: Final = re.compile(
    r"https?://(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?"
    r"(?:/(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*)?(?:\?(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*)?"
)


@dataclass(frozen=True, slots=True)
class Connecting:
    """What ``connectors.toml`` sets."""

    connectors: tuple[ConnectorSettings, ...]
    folders: tuple[Path, ...]
    connections: ConnectionSettings


def read_connectors(top: Table, references: References, root: Path, *, mode: Mode, taken: Iterable[str]) -> Connecting:
    """Every ``[connectors.ID]`` and what goes with them; folders start at ``root``. ``taken`` are the ids of upstreams,
    which no connector may have.
    """
    folders = top.texts("folders", lambda text: _folder(text, root))
    connections = _connections(top, references, mode)
    found = named(top, "connectors")
    for id in sorted({id for id, _ in found} & set(taken)):
        top.problem(f"there is an upstream `{id}` already; choose another id", "connectors", id)
    return Connecting(tuple(_connector(id, table, references) for id, table in found), folders, connections)


def _connector(id: str, table: Table, references: References) -> ConnectorSettings:
    settings = ConnectorSettings(
        id=id,
        definition=table.parsed("definition", _definition, id),
        tools=table.choice("tools", Tools, Tools.DIRECT),
        client_id=table.parsed("client_id", _open, ""),
        client_secret=_secret(table, "client_secret", references),
        scopes=table.texts("scopes", scope_name) if table.has("scopes") else None,
        inputs=_inputs(table.table("inputs")),
        credential=_credential(table, references),
        at=_relocations(table.table("at")),
        private_hosts=table.texts("private_hosts", private_host),
    )
    if settings.client_secret is not None and not settings.client_id:
        table.problem("`client_secret` needs `client_id`", "client_secret")
    for beginning, instead in settings.at.items():
        if not reachable(instead, settings.private_hosts):
            sentence = f"`{instead}` is plain http, which is for hosts that `private_hosts` lists"
            table.problem(f"{sentence}; use https", "at", beginning)
    table.close()
    return settings


def _inputs(table: Table) -> Mapping[str, str]:
    return {name: table.parsed(name, _open, "") for name in table.names()}


def _credential(table: Table, references: References) -> Mapping[str, Secret]:
    entries = table.table("credential", f"a table of {REFERENCE}")
    read = {name: entries.table(name, REFERENCE).reference(references) for name in entries.names()}
    return {name: secret for name, secret in read.items() if secret is not None}


def _relocations(table: Table) -> Mapping[str, str]:
    for beginning in table.names():
        try:
            _beginning(beginning)
        except ValueError as error:
            table.problem(f"`at`: {error}", beginning)
    return {beginning: table.parsed(beginning, _beginning, beginning) for beginning in table.names()}


def _connections(top: Table, references: References, mode: Mode) -> ConnectionSettings:
    table, sign_in = top.table("connections"), top.table("sign_in")
    settings = ConnectionSettings(
        binding=table.choice("binding", Binding, Binding.SESSION),
        redirects=table.texts("redirects", lambda text: _redirect(text, mode)),
        webhook=table.parsed("webhook", web_url, ""),
        webhook_secret=_secret(table, "webhook_secret", references),
        webhook_private_hosts=table.texts("webhook_private_hosts", private_host),
        oidc=_oidc(sign_in.table("oidc"), references) if sign_in.has("oidc") else None,
    )
    if settings.binding is Binding.SAME_BROWSER and mode is Mode.PRODUCTION:
        sentence = "`same_browser` does not keep a forwarded link from connecting somebody else's account"
        table.problem(f"{sentence}; production needs `session` or `confirm`", "binding")
    _check_webhook(table, settings)
    table.close()
    sign_in.close()
    return settings


def _check_webhook(table: Table, settings: ConnectionSettings) -> None:
    secret = settings.webhook_secret
    if table.has("webhook") != table.has("webhook_secret"):
        table.problem("`webhook` and `webhook_secret` go together: what is sent is signed", "webhook")
    if secret is not None and len(secret.reveal()) < LEAST_WEBHOOK_SECRET:
        table.problem(f"`webhook_secret` is shorter than {LEAST_WEBHOOK_SECRET} characters", "webhook_secret")
    if not reachable(settings.webhook, settings.webhook_private_hosts):
        table.problem("`webhook` is plain http, which is for hosts that `webhook_private_hosts` lists", "webhook")


def _oidc(table: Table, references: References) -> OidcSettings:
    settings = OidcSettings(
        issuer=table.parsed("issuer", issuer_url, ""),
        client_id=table.parsed("client_id", _open, ""),
        client_secret=_secret(table, "client_secret", references),
        name=table.text("name", most=64),
        private_hosts=table.texts("private_hosts", private_host),
    )
    _demand(table, "issuer", "client_id")
    table.close()
    return settings


def _demand(table: Table, *keys: str) -> None:
    """Note each of ``keys`` that is missing."""
    for key in keys:
        if not table.has(key):
            table.problem(f"`{'.'.join(map(str, table.path))}` needs `{key}`")


def _secret(table: Table, key: str, references: References) -> Secret | None:
    return table.table(key, REFERENCE).reference(references) if table.has(key) else None


def _folder(text: str, root: Path) -> Path:
    path = root / text
    if not text or "\0" in text or not path.is_dir():
        raise ValueError(f"there is no folder `{text}`")
    return path


def _definition(text: str) -> str:
    if _DEFINITION.fullmatch(text) is None:
        raise ValueError(f"`{text}` is not the id of a definition: up to 64 of a to z, 0 to 9, `_` and `-`")
    return text


def scope_name(text: str) -> str:
    if _SCOPE.fullmatch(text) is None:
        raise ValueError(f"`{text}` is not a scope; write each as a text of its own")
    return text


def _open(text: str) -> str:
    """A value that is no secret."""
    if not text or len(text) > 1_000 or not text.isprintable():
        raise ValueError("is empty, longer than 1000 characters, or holds control characters")
    if looks_secret(text):
        raise ValueError(f"looks like a secret, which is handed over as {REFERENCE}")
    return text


def _split(text: str) -> SplitResult:
    """An absolute URL that every reader understands in one way: plain ASCII, no user, no fragment, no backslash."""
    if len(text) > 2_000 or _URL.fullmatch(text) is None:
        raise ValueError("is not an `https` URL without user name, spaces or fragment")
    parts = urlsplit(text)
    host = parts.hostname or ""
    if addresses.literal(host) is None and not addresses.is_name(host):
        raise ValueError(f"`{host}` is not a host")
    if parts.port == 0:
        raise ValueError("`0` is not a port")
    return parts


def web_url(text: str) -> str:
    _split(text)
    if looks_secret(text):
        raise ValueError("carries a secret")
    return text


def _beginning(text: str) -> str:
    if _split(text).query:
        raise ValueError(f"`{text}` is not the beginning of URLs: it has a query")
    return web_url(text)


def issuer_url(text: str) -> str:
    """OpenID Connect Discovery 1.0 §2: https, no query; plain http for a provider on this machine."""
    parts = _split(text)
    if parts.query or (parts.scheme == "http" and not is_loopback(parts.hostname or "")):
        raise ValueError(f"`{text}` is not an issuer such as `https://id.example.com` (https, no query)")
    return text


def _redirect(text: str, mode: Mode) -> str:
    parts = _split(text)
    if parts.scheme == "http" and (mode is Mode.PRODUCTION or not is_loopback(parts.hostname or "")):
        raise ValueError(f"`{text}` is plain http, which is for this machine and for development; use https")
    for name, _ in parse_qsl(parts.query, keep_blank_values=True):
        if name in OURS:
            raise ValueError(f"`{text}` has the parameter `{name}`, which is added when a browser is sent back")
    return text


def is_loopback(host: str) -> bool:
    """Whether a host is this machine."""
    address = addresses.literal(host) if host else None
    return host == "localhost" if address is None else addresses.reach(address) is addresses.Reach.LOOPBACK


def reachable(url: str, listed: tuple[str, ...]) -> bool:
    """Whether a request may go there as far as plain http is concerned, which is for listed hosts only."""
    parts, allow = urlsplit(url), addresses.parse(listed)
    if parts.scheme != "http" or isinstance(allow, list):
        return True
    return allow.lists(parts.hostname or "", parts.port or 80)
