"""``tools.toml``: what tools made at run time may reach, secrets for single ones, and what is not offered at all.

Whether a package is installed and whether a tool exists is not known here.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from connectors.base import Secret
from connectors.http_calls.plan import host_of
from connectors.http_calls.secrets import NamedSecret
from gateway.identity import normal_email
from gateway.policy.terms import SYSTEM
from gateway.settings.terms import HandlerSettings, HttpSettings
from gateway.settings.upstreams import REFERENCE, private_host
from gateway.settings.values import References, Table

SECRETS: Final = "secrets"
"""Below which key the named secrets stand."""

_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_OMITTED: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")


@dataclass(frozen=True, slots=True)
class MadeTools:
    """What ``tools.toml`` sets."""

    http: HttpSettings
    handlers: HandlerSettings
    secrets: tuple[NamedSecret, ...]


def read_tools(top: Table, references: References, omit: tuple[str, ...]) -> MadeTools:
    """``[http]``, ``[handlers]`` and every ``[secrets.NAME]``; ``omit`` are more groups and packages to leave out."""
    read = MadeTools(_http(top.table("http")), _handlers(top.table("handlers"), omit), (*_secrets(top, references),))
    top.close()
    return read


def omitted(text: str) -> tuple[str, ...]:
    """The names of a list with commas (``OMIT_HANDLERS``). Raises ``ValueError`` with a sentence."""
    return tuple(_omitted(name.strip()) for name in text.split(",") if name.strip())


def _http(table: Table) -> HttpSettings:
    settings = HttpSettings(
        private_hosts=table.texts("private_hosts", private_host),
        timeout_s=table.number("timeout_s", 30.0, 1, 600),
    )
    table.close()
    return settings


def _handlers(table: Table, omit: tuple[str, ...]) -> HandlerSettings:
    settings = HandlerSettings(
        omit=frozenset((*table.texts("omit", _omitted), *omit)),
        timeout_s=table.number("timeout_s", 60.0, 1, 3600),
    )
    table.close()
    return settings


def _secrets(top: Table, references: References) -> Iterator[NamedSecret]:
    entries = top.table(SECRETS)
    for name in entries.names():
        if _NAME.fullmatch(name) is None:
            entries.problem(f"`{SECRETS}.{name}` is not a name: up to 64 letters, digits, `_` and `-`", name)
        secret = _named(name, entries.table(name), references)
        if secret is not None:
            yield secret


def _named(name: str, table: Table, references: References) -> NamedSecret | None:
    hosts, tools = table.texts("hosts", host_of), table.texts("tools", _tool)
    for key, given in (("hosts", hosts), ("tools", tools)):
        if not given:
            table.problem(f"`{SECRETS}.{name}` needs `{key}`, the only ones that it is for", key)
    value = table.table("value", REFERENCE).reference(references) if table.has("value") else None
    if not table.has("value"):
        table.problem(f"`{SECRETS}.{name}` needs `value`, as {REFERENCE}")
    table.close()
    if value is None:
        return None
    if not _can_be_sent(value):
        table.problem(
            f"`{SECRETS}.{name}.value` leads to what no header can hold: plain ASCII in one line can", "value"
        )
    return NamedSecret(name, value, frozenset(hosts), frozenset(tools))


def _can_be_sent(value: Secret) -> bool:
    text = value.reveal()
    return text.isascii() and text.isprintable()


def _tool(text: str) -> str:
    """The address of a tool (``ann@example.com:post``, ``system:post``), as the gateway writes it."""
    creator, apart, name = text.rpartition(":")
    if not apart or _NAME.fullmatch(name) is None:
        raise ValueError(f"`{text}` is not a tool such as `ann@example.com:post` or `{SYSTEM}:post`")
    return f"{creator if creator == SYSTEM else normal_email(creator)}:{name}"


def _omitted(text: str) -> str:
    if _OMITTED.fullmatch(text) is None:
        raise ValueError(f"`{text}` is not the name of a handler package or of a group of tools")
    return text
