"""Which page comes next, and several pages as one answer. Pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qs, urlsplit

from connectors.definition.paths import found, placed
from connectors.definition.terms import Action, PageKind, Paging
from connectors.outgoing import same_origin
from connectors.rest.request import parameter_of
from gateway.policy.terms import Json

_LINK: Final = re.compile(r'<([^<>\s]{1,8000})>((?:\s*;\s*[a-zA-Z*]+\s*=\s*(?:"[^"]*"|[^",;\s]+))*)')
_NEXT: Final = re.compile(r';\s*rel\s*=\s*(?:"(?:[^"]*\s)?next(?:\s[^"]*)?"|next\b)', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Further:
    """How the next page is asked for: with parameters by their names, or at a URL."""

    more: Mapping[str, Json] = field(default_factory=dict)
    url: str = ""


def beginning(action: Action, args: Mapping[str, Json]) -> Mapping[str, Json]:
    """What the first request says of pages besides the arguments: their size, unless the caller did."""
    paging = action.paging
    if paging is None or not paging.size_param or given(action, args, paging.size_param) is not None:
        return {}
    return {paging.size_param: paging.size}


def given(action: Action, args: Mapping[str, Json], name: str) -> Json:
    """What the caller said of a parameter of paging, ``None``: nothing."""
    return args.get(parameter_of(action, name).name)


def next_page(paging: Paging, answer: Json, *, at: Json, link: str, url: str) -> Further | None:
    """The page behind ``answer``; ``at`` is where it was (its cursor, page or offset), ``link`` its header, ``url``
    where it was asked for. Raises ``ValueError`` when the next one lies on another origin.
    """
    items = found(answer, paging.items)
    if paging.more and found(answer, paging.more) in (None, False, "", 0):
        return None
    if paging.kind is PageKind.LINK:
        target = found(answer, paging.next) if paging.next else _next_link(link)
        return Further(url=same_origin(url, target)) if isinstance(target, str) and target else None
    if paging.kind is PageKind.CURSOR:
        cursor = found(answer, paging.next)
        usable = isinstance(cursor, str | int) and not isinstance(cursor, bool) and cursor not in ("", at)
        return Further({paging.param: cursor}) if usable else None
    if not isinstance(items, list) or not items or (paging.size and not paging.more and len(items) < paging.size):
        return None
    step = 1 if paging.kind is PageKind.PAGE else len(items)
    return Further({paging.param: _number(at, default=1 if paging.kind is PageKind.PAGE else 0) + step})


def joined(paging: Paging, answers: Sequence[Json]) -> Json:
    """The last answer with the items of all of them; of one that holds no list, the first alone."""
    lists = [found(answer, paging.items) for answer in answers]
    items = [item for each in lists if isinstance(each, list) for item in each]
    return placed(answers[-1], paging.items, items) if len(answers) > 1 else answers[0]


def told(action: Action, further: Further, pages: int) -> str:
    """That there is more, and how to ask for it where callers can."""
    paging = action.paging
    if paging is None:
        return ""
    shown = next((each for each in action.parameters if each == parameter_of(action, paging.param)), None)
    if paging.param and shown is not None and not shown.hidden:
        value = further.more.get(paging.param, _from_url(further.url, shown.wire or shown.name))
        if value not in (None, ""):
            return f"there is more: ask again with `{shown.name}`: {value!s}"[:2_000]
    return f"there is more than {'this page' if pages == 1 else f'these {pages} pages'}; ask for something narrower"


def _from_url(url: str, name: str) -> str:
    return parse_qs(urlsplit(url).query).get(name, [""])[0]


def _next_link(header: str) -> str:
    """The target of the relation ``next`` (RFC 8288)."""
    for target, parameters in _LINK.findall(header):
        if _NEXT.search(parameters):
            return str(target)
    return ""


def _number(value: Json, *, default: int) -> int:
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 16:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else default
