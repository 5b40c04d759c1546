"""Pins against rug pulls: what is approved of the tools of each upstream, one function per operation, over the store.

The first list of an upstream is approved as it is; from then on only an operator approves. Nothing here hides
a tool, asks who may approve, or leaves an audit entry: that belongs to who calls. Every change is made by
compare-and-set, so that of two nodes that see the same thing one writes it and the other finds it there.
"""

import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from msgspec import structs

from gateway.mcp.definitions import Difference, canonical, differences, digest, pinned
from gateway.mcp.terms import Params
from gateway.records import Approved, Pins, Waiting
from gateway.store.base import Conflict, NotFound, Store, Unavailable

FIRST_USE: Final = "first use"
"""By whom a tool is approved that nobody looked at: it was there when its upstream was first listed."""

MAX_WAITING: Final = 500
"""Tools of one upstream that can wait for approval at a time; what comes beyond is hidden all the same."""

ROUNDS: Final = 10
"""How often a change is tried again because others changed the same pins meanwhile."""


@dataclass(frozen=True, slots=True)
class Pending:
    """A tool that waits for approval. A new one has no ``old`` digest, and ``{}`` as former definition; ``seen_at`` is
    in ms since the epoch.
    """

    tool: str
    old: str
    new: str
    before: Params
    after: Params
    seen_at: int

    @property
    def differences(self) -> tuple[Difference, ...]:
        return differences(self.before, self.after)


@dataclass(frozen=True, slots=True)
class Noted:
    """A change that was seen for the first time: the digest that is approved (``""`` for a new tool), and the other."""

    tool: str
    old: str
    new: str


async def learn(store: Store, upstream: str, tools: Mapping[str, Params], *, now: int) -> tuple[Pins, bool]:
    """The pins of an upstream, and whether they were made of ``tools`` just now: that is so where it had none.

    Raises ``Unavailable``, and ``ValueError`` when there are more tools than the store can hold in a record.
    """
    approved = {name: Approved(digest(definition), now, FIRST_USE) for name, definition in tools.items()}
    fresh = Pins(id=upstream, tools=approved)
    fresh = structs.replace(fresh, definitions=_packed(fresh, tools.values()))
    try:
        return await store.pins.add(fresh), True
    except Conflict:
        return await _pins(store, upstream), False


async def note(
    store: Store, upstream: str, seen: Mapping[str, Params | None], *, now: int
) -> tuple[Pins, tuple[Noted, ...]]:
    """Keep what was seen of tools that are not approved as they are, for an operator to look at; ``None`` takes back
    what waited. The second value tells what nobody had noted before. Raises ``Conflict``, ``NotFound``,
    ``Unavailable``, ``ValueError``.
    """
    noted: tuple[Noted, ...] = ()

    def change(pins: Pins) -> Pins:
        nonlocal noted
        changed, noted = _noted(pins, seen, now)
        return changed

    pins = await _change(store, upstream, change)
    return pins, noted


async def approve(store: Store, upstream: str, digests: Mapping[str, str], *, by: str, now: int) -> Pins:
    """Approve exactly these definitions (name → digest), which wait. Raises ``Conflict`` when one of them does not,
    because it changed again or somebody was faster; then none is approved. Raises ``NotFound``, ``Unavailable``.
    """

    def change(pins: Pins) -> Pins:
        for name, wanted in digests.items():
            if (waits := pins.waiting.get(name)) is None or waits.digest != wanted:
                raise Conflict(f"tool `{name}` of `{upstream}` changed meanwhile: look at it again")
        tools = pins.tools | {name: Approved(wanted, now, by) for name, wanted in digests.items()}
        waiting = {name: waits for name, waits in pins.waiting.items() if name not in digests}
        return _repacked(structs.replace(pins, tools=tools, waiting=waiting), _unpacked(pins).values())

    return await _change(store, upstream, change)


def pending(pins: Pins) -> list[Pending]:
    """What waits for approval, in the order of names. Raises ``Unavailable`` for a damaged record."""
    known, found = _unpacked(pins), []
    for name, waits in sorted(pins.waiting.items()):
        old = pins.tools[name].digest if name in pins.tools else ""
        before = known.get(old, {})
        found.append(Pending(name, old, waits.digest, before, known[waits.digest], waits.at))
    return found


def _noted(pins: Pins, seen: Mapping[str, Params | None], now: int) -> tuple[Pins, tuple[Noted, ...]]:
    waiting, known, noted = dict(pins.waiting), list(_unpacked(pins).values()), []
    for name, definition in seen.items():
        if definition is None:
            waiting.pop(name, None)
            continue
        new, old = digest(definition), pins.tools[name].digest if name in pins.tools else ""
        former = waiting.get(name)
        if new == old or (former is not None and former.digest == new):
            continue
        if former is None and len(waiting) >= MAX_WAITING:
            continue
        waiting[name] = Waiting(new, now)
        known.append(definition)
        noted.append(Noted(name, old, new))
    if waiting == pins.waiting:
        return pins, ()
    return _repacked(structs.replace(pins, waiting=waiting), known), tuple(noted)


async def _change(store: Store, upstream: str, change: Callable[[Pins], Pins]) -> Pins:
    for _ in range(ROUNDS):
        pins = await _pins(store, upstream)
        changed = change(pins)
        if changed == pins:
            return pins
        try:
            return await store.pins.replace(changed)
        except Conflict:
            continue
    raise Conflict(f"the pins of `{upstream}` change all the time: try again")


async def _pins(store: Store, upstream: str) -> Pins:
    pins = await store.pins.get(upstream)
    if pins is None:
        raise NotFound(f"nothing of `{upstream}` is pinned yet: its first list of tools will be")
    return pins


def _repacked(pins: Pins, definitions: Iterable[Params]) -> Pins:
    return structs.replace(pins, definitions=_packed(pins, definitions))


def _packed(pins: Pins, definitions: Iterable[Params]) -> bytes:
    """Those of the definitions that the pins name, each once."""
    named, by_digest = _named(pins), {digest(each): pinned(each) for each in definitions}
    return zlib.compress(canonical({name: each for name, each in by_digest.items() if name in named}))


def _unpacked(pins: Pins) -> dict[str, Params]:
    """The definitions by their digests, proven to be those. Raises ``Unavailable``."""
    try:
        found = msgspec.json.decode(zlib.decompress(pins.definitions), type=dict[str, dict[str, Any]])
    except (zlib.error, msgspec.MsgspecError):
        found = {}
    if found.keys() != _named(pins) or any(digest(each) != name for name, each in found.items()):
        raise Unavailable(f"the pins of `{pins.id}` are damaged: restore the store from a backup")
    return found


def _named(pins: Pins) -> set[str]:
    approved, waiting = pins.tools.values(), pins.waiting.values()
    return {each.digest for each in approved} | {each.digest for each in waiting}
