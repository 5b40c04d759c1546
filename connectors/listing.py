"""What a server lists, read page by page into a ``Catalogue``.

A server is foreign: what it lists is kept as it came, unknown fields included, but an entry that could
not be named without doubt is dropped, and there is an end to every list. Whether a tool reads or
writes is said by the operator, and by the server itself only where the operator trusts it.
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from connectors.asking import METHOD_NOT_FOUND
from connectors.base import QUIET, Catalogue, Event, Item, UpstreamError, UpstreamSpec
from connectors.conversation import Conversation
from gateway.errors import UpstreamFailed
from gateway.mcp.jsonrpc import quoted
from gateway.mcp.repeating import fault
from gateway.mcp.terms import Era, Kind, Params
from gateway.policy.terms import Json, Tool

_LOG = logging.getLogger(__name__)

MAX_PAGES: Final = 200
MAX_ITEMS: Final = 10_000
MAX_NAME: Final = 4_096


@dataclass(frozen=True, slots=True)
class _List:
    method: str
    capability: str
    field: str  # where the entries stand in the result
    key: str  # what names an entry
    event: Event


LISTS: Final[Mapping[Kind, _List]] = {
    Kind.TOOL: _List("tools/list", "tools", "tools", "name", Event.TOOLS),
    Kind.PROMPT: _List("prompts/list", "prompts", "prompts", "name", Event.PROMPTS),
    Kind.RESOURCE: _List("resources/list", "resources", "resources", "uri", Event.RESOURCES),
    Kind.TEMPLATE: _List("resources/templates/list", "resources", "resourceTemplates", "uriTemplate", Event.RESOURCES),
}

LEVELS: Final = {"read": ("read", False), "write": ("write", False), "destructive": ("write", True)}
"""The operator's word for a tool → the level that calling it needs, and whether it is destructive."""


async def read_catalogue(talk: Conversation, spec: UpstreamSpec, old: Catalogue | None) -> Catalogue:
    """All four lists, as far as the server's capabilities offer them; a list that the server could not
    give now stays as in ``old``. Raises ``UpstreamFailed``, also when there are no tools to fall back to.
    """
    if talk.terms is None:
        raise UpstreamFailed(f"upstream `{spec.id}` is not open")
    capabilities = talk.terms.capabilities
    items: dict[Kind, tuple[Item, ...]] = {}
    hints: list[float] = []
    for kind, each in LISTS.items():
        entries = await _entries(talk, each, hints) if capabilities.get(each.capability) is not None else []
        if entries is None and old is None and kind is Kind.TOOL:
            raise UpstreamFailed(f"upstream `{spec.id}` could not list its tools")
        if entries is None:
            items[kind] = old.items.get(kind, ()) if old is not None else ()
        else:
            items[kind] = tuple(_items(entries, kind, spec))
    return Catalogue(items, capabilities, talk.terms.instructions, ttl=min(hints, default=None))


def changed(old: Catalogue, new: Catalogue) -> list[Event]:
    """Which lists differ."""
    events = {LISTS[kind].event for kind in Kind if old.items.get(kind, ()) != new.items.get(kind, ())}
    return sorted(events)


async def _entries(talk: Conversation, each: _List, hints: list[float]) -> list[Json] | None:
    """Every page, up to the bounds; ``None`` when the server could not list. A server that does not know
    the method has nothing to list. For how long a page holds is added to ``hints``.
    """
    entries: list[Json] = []
    cursors: set[str] = set()
    params: Params = {}
    for _ in range(MAX_PAGES):
        try:
            page = await talk.request(each.method, params, QUIET)
        except UpstreamError as error:
            _LOG.info("upstream `%s` answered `%s` with error %d", talk.name, each.method, error.code)
            return [] if error.code == METHOD_NOT_FOUND else None
        found = page.get(each.field)
        if not isinstance(found, list):
            _LOG.warning("upstream `%s` answered `%s` without a list; nothing of it is shown", talk.name, each.method)
            return []
        entries += found
        hints += _hint(talk, page)
        cursor = page.get("nextCursor")
        if not isinstance(cursor, str) or not cursor:
            return entries
        if cursor in cursors or len(entries) > MAX_ITEMS:
            break
        cursors.add(cursor)
        params = {"cursor": cursor}
    _LOG.warning("upstream `%s` does not end its list `%s`; the rest is not shown", talk.name, each.method)
    return entries[:MAX_ITEMS]


def _hint(talk: Conversation, page: Params) -> list[float]:
    """The seconds that a modern server says its page holds (MCP 2026-07-28, caching)."""
    ttl = page.get("ttlMs") if talk.terms is not None and talk.terms.era is Era.MODERN else None
    return [ttl / 1000] if type(ttl) is int and ttl >= 0 else []


def _items(entries: Iterable[Json], kind: Kind, spec: UpstreamSpec) -> Iterable[Item]:
    seen: set[str] = set()
    for entry in entries:
        name = _name(entry, kind)
        if not isinstance(entry, dict) or name is None or name in seen:
            _LOG.warning("upstream `%s` lists a %s without a usable name of its own; it is not shown", spec.id, kind)
            continue
        seen.add(name)
        # a client of 2026-07-28 has to refuse such a tool, and that is what we are to the server
        if kind is Kind.TOOL and (why := fault(entry.get("inputSchema"))):
            _LOG.warning("upstream `%s`: the tool %s is not shown: %s", spec.id, quoted(name), why)
            continue
        yield _item(entry, name, kind, spec)


def _name(entry: Json, kind: Kind) -> str | None:
    """What names ``entry``, if it is fit to be shown: clients refuse a whole list for one broken entry."""
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        return None
    if kind is Kind.TOOL and not isinstance(entry.get("inputSchema"), dict):
        return None
    name = entry.get(LISTS[kind].key)
    return name if isinstance(name, str) and 0 < len(name) <= MAX_NAME else None


def _item(entry: Params, name: str, kind: Kind, spec: UpstreamSpec) -> Item:
    level, destructive, open_world = "read", False, spec.open_world
    if kind is Kind.TOOL:
        hints = entry.get("annotations") if spec.trust_hints else None
        level, destructive = classify(name, spec.tools, hints)
        open_world = open_world and not (isinstance(hints, dict) and hints.get("openWorldHint") is False)
    facts = Tool(
        connector=spec.id,
        name=name,
        kind=kind.value,
        destructive=destructive,
        open_world=open_world,
        tags=spec.tags,
    )
    return Item(connector=spec.id, kind=kind, name=name, definition=entry, level=level, facts=facts)


def classify(name: str, tools: Mapping[str, str], hints: Json) -> tuple[str, bool]:
    """The level of a tool, and whether it is destructive: an exact name before a pattern, a longer pattern
    before a shorter one; then the server's ``hints``, where given; then the worst case.
    """
    word = tools.get(name) if not name.endswith("*") else None
    if word is None:
        fits = [pattern for pattern in tools if pattern.endswith("*") and name.startswith(pattern[:-1])]
        word = tools[max(fits, key=len)] if fits else None
    if word is not None:
        return LEVELS.get(word, LEVELS["destructive"])
    if isinstance(hints, dict) and hints.get("readOnlyHint") is True:
        return LEVELS["read"]
    if isinstance(hints, dict) and hints.get("destructiveHint") is False:
        return LEVELS["write"]
    return LEVELS["destructive"]
