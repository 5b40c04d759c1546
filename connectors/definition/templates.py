"""Filling ``{name}`` in the templates of a definition, so that a value stays inside of its place. Pure.

A template is data of whoever wrote the definition; the values come from people and platforms, and none is trusted.
Every failure is a ``ValueError`` with a sentence that names the template's field and never its value.
"""

import base64
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from connectors.base import Credential
from connectors.definition.hosts import checked, host_of
from connectors.definition.platform import Platform

FIELD: Final = re.compile(r"\{([A-Za-z_@][A-Za-z0-9_.@-]*)\}")

PATH_FIELD: Final = re.compile(r"\{([A-Za-z0-9_][A-Za-z0-9_.-]*)(\*?)\}")
"""A field of an action's path; with ``*`` behind it, its value may be several steps, each checked (RFC 6570 §2.4.2)."""

_HOST: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_CLIMBING: Final = re.compile(r"\.{0,2}(?:;.*)?")
"""A step of a path that is none, or that leads elsewhere once a server has cut its parameters off."""


def fields(template: str) -> tuple[str, ...]:
    """The names in ``template``, in its order. Raises ``ValueError`` for a brace that belongs to none."""
    if re.search(r"[{}]", FIELD.sub("", template)):
        raise ValueError(f"`{template}` holds a brace that is not part of a `{{name}}`")
    return tuple(FIELD.findall(template))


def filled(template: str, values: Mapping[str, str]) -> str:
    """The plain text, each value as it stands. Raises ``ValueError``."""
    return FIELD.sub(lambda field: _value(field[1], values), template)


def filled_url(template: str, values: Mapping[str, str], allowed_hosts: Iterable[str]) -> str:
    """The URL; its host is one of ``allowed_hosts``. Raises ``ValueError``.

    A value that the template begins with is a whole URL itself; one in the place of the host can only be a part of a
    host; every other is percent-encoded, and is no empty step of the path and none that climbs.
    """
    written: list[str] = []
    end = 0
    for field in FIELD.finditer(template):
        written.append(template[end : field.start()])
        written.append(_placed(field[1], _value(field[1], values), "".join(written)))
        end = field.end()
    written.append(template[end:])
    return checked("".join(written), allowed_hosts)


def segment(value: str, name: str, *, deep: bool = False, plain: str = "") -> str:
    """``value`` percent-encoded for one step of a path, or with ``deep`` for several; the signs ``plain`` stay as they
    are. Raises ``ValueError``.
    """
    steps = re.split(r"[/\\]", value)
    if any(climbs(step) for step in steps):
        raise ValueError(f"`{name}` would lead to another path; a step of it is empty, `.` or `..`")
    if is_unprintable(value):
        raise ValueError(f"`{name}` holds control characters")
    return quote(value, safe=plain + "/" if deep else plain)


def climbs(step: str) -> bool:
    """Whether a step of a path is none, or leads elsewhere."""
    return _CLIMBING.fullmatch(step) is not None


def is_unprintable(value: str) -> bool:
    """Whether ``value`` holds control characters, or half of a character."""
    return any(each < " " or "\x7f" <= each <= "\x9f" or "\ud800" <= each <= "\udfff" for each in value)


@dataclass(frozen=True, slots=True, repr=False)
class Values:
    """What templates are filled with: ``plain`` anywhere, ``secret`` only where credentials go."""

    plain: Mapping[str, str]
    secret: Mapping[str, str]

    def all(self) -> Mapping[str, str]:
        return {**self.plain, **self.secret}


def values_of(platform: Platform, credential: Credential) -> Values:
    """The inputs' defaults, below what the credential holds, below what the operator has fixed."""
    inputs = platform.definition.inputs
    plain = {each.name: each.default for each in inputs if not each.secret and (each.default or each.optional)}
    secret = {each.name: "" for each in inputs if each.secret and each.optional}
    told = {name: value.reveal() for name, value in credential.secrets.items()}
    return Values({**plain, **credential.plain, **platform.inputs}, {**secret, **told})


def allowed_hosts(platform: Platform, plain: Mapping[str, str]) -> tuple[str, ...]:
    """The hosts that may see the credential. An entry over inputs is filled with what was typed, never with what a
    platform told; where that is a URL, its host counts. Raises ``ValueError``.
    """
    typed = {each.name: plain[each.name] for each in platform.definition.inputs if each.name in plain}
    return tuple(_allowed(entry, typed) for entry in platform.definition.api.allowed_hosts)


def authorization(user: str, password: str) -> str:
    """The value of the header for a user and his password (RFC 7617). Raises ``ValueError``."""
    if ":" in user:
        raise ValueError("a user of basic authentication holds no `:`")
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def _allowed(entry: str, typed: Mapping[str, str]) -> str:
    text = filled(entry, typed)
    return (host_of(text) if "://" in text else text).lower()


def _value(name: str, values: Mapping[str, str]) -> str:
    if name not in values:
        raise ValueError(f"there is no value for `{name}`")
    return values[name]


def _placed(name: str, value: str, before: str) -> str:
    if before == "":
        return _whole(name, value)
    _, _, rest = before.partition("://")
    if re.search(r"[/?#]", rest) is None:
        return _part_of_host(name, value)
    if "?" in rest:
        if is_unprintable(value):
            raise ValueError(f"`{name}` holds control characters")
        return quote(value, safe="")
    return segment(value, name)


def _whole(name: str, value: str) -> str:
    path = value.split("://", 1)[-1].rstrip("/").split("/")[1:]
    if re.search(r"[?#]", value) or any(climbs(step) for step in path):
        raise ValueError(f"`{name}` is not a URL that others can be built upon")
    return value.rstrip("/")


def _part_of_host(name: str, value: str) -> str:
    host, _, port = value.partition(":")
    if _HOST.fullmatch(host) is None or (":" in value and not (port.isascii() and port.isdecimal())):
        raise ValueError(f"`{name}` is not a part of a host")
    return value
