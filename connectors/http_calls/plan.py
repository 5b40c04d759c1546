"""The configuration of an ``http`` handler, read: what stays as it is, and what arguments fill. Pure.

Scheme, host, port, method, the steps of the path and the names of parameters and headers are fixed by whoever wrote
it; arguments stand inside of one step, one value, one header, or the body. Named secrets stand in values of headers
and parameters, beside fixed text alone, so that no argument can carry one elsewhere.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote, unquote_plus

from connectors.addresses import is_name, literal
from connectors.definition.templates import climbs, is_unprintable
from connectors.definition.terms import Coding
from connectors.outgoing import EgressError, checked_headers
from gateway.mcp.terms import Params
from gateway.policy.terms import Json

PLACE: Final = "handler.config"
"""Where these settings stand in a definition: the beginning of every place in a sentence."""

METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
HARMLESS: Final = ("GET", "HEAD")
KEYS: Final = ("method", "url", "query", "headers", "body")
SECRET: Final = "secret."  # noqa: S105 (what names of secrets begin with)
LONGEST_URL: Final = 2_000
MOST_FIELDS: Final = 100

GAP: Final = re.compile(r"(\{\{(?:(?!\{\{|\}\}).)*\}\})", re.DOTALL)
_URL: Final = re.compile(r"(?P<scheme>[A-Za-z]+)://(?P<place>[^/?#]*)(?P<path>[^?#]*)(?:\?(?P<query>[^#]*))?")
_PLACE: Final = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^:\[\]]+)(?::(?P<port>[0-9]{1,5}))?")
_WRITTEN: Final = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*")
_MEDIA_TYPE: Final = re.compile(r"[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+(?:; ?[A-Za-z0-9-]+=[A-Za-z0-9_.+-]+)*")
_SECRET_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_OTHER_METHOD: Final = ("x-http-method", "x-http-method-override", "x-method-override")
"""Headers by which some servers take a request for one of another method."""


@dataclass(frozen=True, slots=True)
class HttpPlan:
    """``origin`` is where requests go, ``host`` the same as the policy and the operator name it (with its port, but
    for 443 of https). ``templates`` are what the arguments of the request are made by; ``steps`` are those of the path:
    as they are written, or ``None`` where arguments stand in them. ``keys`` and ``key_query`` are the headers and
    parameters in which ``secrets`` stand, as templates.
    """

    method: str
    origin: str
    host: str
    steps: tuple[str | None, ...]
    templates: Params
    coding: Coding = Coding.JSON
    content_type: str = ""
    keys: Mapping[str, str] = field(default_factory=dict)
    key_query: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()

    @property
    def harmless(self) -> bool:
        """Whether it only reads."""
        return self.method in HARMLESS


def read_plan(config: Params) -> HttpPlan | list[str]:
    """The plan of a handler's ``config``, or what is wrong with it, as sentences that begin with a place."""
    return _Reading(config).plan()


def host_of(text: str) -> str:
    """A host that an operator writes (``api.example.com``, ``10.0.0.7:8443``) as ``HttpPlan.host`` says it. Raises
    ``ValueError`` with a sentence.
    """
    host, port = _place(text)
    return host if port in (None, 443) else f"{host}:{port}"


class _Reading:
    """One reading; ``problems`` gather on the way."""

    def __init__(self, config: Params) -> None:
        self.config = config
        self.problems: list[str] = []
        self.secrets: dict[str, None] = {}

    def plan(self) -> HttpPlan | list[str]:
        for key in [each for each in self.config if each not in KEYS]:
            self._wrong(key, f"is not known; there are {', '.join(f'`{each}`' for each in KEYS)}")
        method = self._method()
        origin, host, written, asked = self._url()
        path, steps = self._path(written)
        query, key_query = self._parted("query", [*self._query_of(asked), *self._fields("query")], str)
        headers, keys = self._parted("headers", self._fields("headers"), str.lower)
        self._check_headers({**headers, **keys})
        type = self._content_type(headers, keys)
        templates: Params = {"method": method, "path": path, "query": query, "headers": headers}
        if "body" in self.config:
            templates["body"] = self.config["body"]
            if method in HARMLESS:
                self._wrong("body", f"a `{method}` request has none")
        if self.problems:
            return self.problems
        coding = _coding(type)
        return HttpPlan(method, origin, host, steps, templates, coding, type, keys, key_query, tuple(self.secrets))

    def _method(self) -> str:
        method = self.config.get("method", "GET")
        if isinstance(method, str) and method.upper() in METHODS:
            return method.upper()
        self._wrong("method", f"is to be one of {', '.join(f'`{each}`' for each in METHODS)}")
        return "GET"

    # -- URL

    def _url(self) -> tuple[str, str, str, str]:
        """Origin, host, path and query."""
        text = self.config.get("url")
        found = _URL.fullmatch(text) if isinstance(text, str) and len(text) <= LONGEST_URL else None
        if found is None or found["scheme"].lower() not in ("http", "https"):
            self._wrong("url", "is to be an `https` URL without a fragment, of at most 2000 characters")
            return "", "", "/", ""
        scheme = found["scheme"].lower()
        try:
            host, port = _place(found["place"])
        except ValueError as error:
            self._wrong("url", str(error))
            return "", "", "/", ""
        usual = 443 if scheme == "https" else 80
        origin = f"{scheme}://{host}" + (f":{port}" if port not in (None, usual) else "")
        port = port or usual
        named = host if (scheme, port) == ("https", 443) else f"{host}:{port}"
        return origin, named, found["path"] or "/", found["query"] or ""

    def _path(self, written: str) -> tuple[str, tuple[str | None, ...]]:
        """The path decoded, as the policy sees it, and its steps as they are written."""
        steps = written.split("/")[1:]
        decoded = [self._decoded(step, unquote) for step in steps]
        for at, step in enumerate(decoded):
            if {"/", "\\"} & {*step}:
                self._wrong("url", "holds an escaped slash, which not every server takes for one sign")
            if climbs(step) and not (step == "" and at == len(decoded) - 1):
                self._wrong("url", "a step of its path is empty, `.` or `..`")
        fixed = [None if GAP.search(step) else text for step, text in zip(decoded, steps, strict=True)]
        return "/" + "/".join(decoded), tuple(fixed)

    def _query_of(self, text: str) -> Iterator[tuple[str, Json]]:
        for pair in filter(None, text.split("&")):
            name, _, value = pair.partition("=")
            yield self._decoded(name, unquote_plus), self._decoded(value, unquote_plus)

    def _decoded(self, text: str, decode: Callable[..., str]) -> str:
        """A part of the URL with what stands between its gaps decoded."""
        parts = GAP.split(text)
        if any(_WRITTEN.fullmatch(part) is None for part in parts[::2]):
            self._wrong("url", "holds what no URL does outside of `{{…}}`; write it percent-encoded")
            return ""
        parts[::2] = [decode(part, errors="replace") for part in parts[::2]]
        if any("\ufffd" in part or is_unprintable(part) for part in parts[::2]):
            self._wrong("url", "holds an escape of what is no text, or of a control character")
        return "".join(parts)

    # -- parameters and headers

    def _fields(self, key: str) -> Iterator[tuple[str, Json]]:
        value = self.config.get(key, {})
        if not isinstance(value, dict) or len(value) > MOST_FIELDS:
            self._wrong(key, f"is to be an object of at most {MOST_FIELDS} fields")
            return
        yield from value.items()

    def _parted(
        self, key: str, pairs: Iterable[tuple[str, Json]], same: Callable[[str], str]
    ) -> tuple[Params, dict[str, str]]:
        """What arguments may fill, and what secrets do, by names of which no two may be the ``same``."""
        filled: Params = {}
        secret: dict[str, str] = {}
        seen: set[str] = set()
        for name, value in pairs:
            if same(name) in seen:
                self._wrong(f"{key}.{name[:64]}", "stands there twice")
            if not name or not name.isprintable() or "{{" in name:
                self._wrong(key, "holds a name that cannot be one; arguments stand in values only")
            seen.add(same(name))
            if isinstance(value, str) and self._is_secret(f"{key}.{name}", value):
                secret[name] = value
            else:
                filled[name] = value
        return filled, secret

    def _is_secret(self, place: str, text: str) -> bool:
        """Whether secrets stand in a value; then nothing else does, beside fixed text."""
        names = [gap[2:-2].strip() for gap in GAP.findall(text)]
        wanted = [name.removeprefix(SECRET) for name in names if name.startswith(SECRET)]
        if wanted and (len(wanted) != len(names) or "{{" in GAP.sub("", text)):
            self._wrong(place, "no argument may stand beside a secret, or it could carry that elsewhere")
        for name in wanted:
            if _SECRET_NAME.fullmatch(name) is None:
                self._wrong(place, f"`{name[:64]}` is no name of a secret")
            self.secrets[name] = None
        return bool(wanted)

    def _check_headers(self, headers: Mapping[str, Json]) -> None:
        for name, value in headers.items():
            if name.lower() in _OTHER_METHOD:
                self._wrong(f"headers.{name}", "says another method than the one that is judged; set `method`")
            try:
                checked_headers({name: "-"}, "")
            except EgressError:
                self._wrong(f"headers.{name}", "is not a header that a tool can set")
            if not isinstance(value, str):
                self._wrong(f"headers.{name}", "is to be a text")

    def _content_type(self, headers: Params, keys: Mapping[str, str]) -> str:
        """The media type that ``headers`` say, which they then say no more: it belongs to the body."""
        for name in [each for each in (*headers, *keys) if each.lower() == "content-type"]:
            type = headers.pop(name, None)
            if not isinstance(type, str) or _MEDIA_TYPE.fullmatch(type) is None or "multipart/" in type.lower():
                self._wrong(f"headers.{name}", "is to be one fixed media type, and none of `multipart`")
                return ""
            return type
        return ""

    def _wrong(self, key: str, sentence: str) -> None:
        self.problems.append(f"{PLACE}.{key}: {sentence}")


def _place(text: str) -> tuple[str, int | None]:
    found = _PLACE.fullmatch(text)
    host = found["host"].lower() if found is not None else ""
    address = literal(host.strip("[]")) if host else None
    if found is None or (address is None and (not is_name(host) or host.endswith("."))):
        shown = text if text.isprintable() and "@" not in text else "…"
        raise ValueError(f"`{shown}` is not a host, with or without a port; no argument and no user can stand there")
    port = int(found["port"]) if found["port"] else None
    if port is not None and not 0 < port < 65_536:
        raise ValueError(f"`{port}` is not a port")
    if address is None:
        return host, port
    return (f"[{address}]" if address.version == 6 else str(address)), port


def _coding(type: str) -> Coding:
    kind = type.partition(";")[0].strip().lower()
    if kind == "application/x-www-form-urlencoded":
        return Coding.FORM
    return Coding.JSON if not kind or kind.endswith(("/json", "+json")) else Coding.RAW
