"""Pins in force: each upstream shows the tools that are approved as they are, and no others.

``Pinning`` has the pins as the store has them, followed by the poll of the follower, and takes down what was seen
besides; ``Pinned`` is the seam in front of one connector. What is approved is decided elsewhere: here it is held
against what a server lists. This file knows no policy, no session and no transport.
"""

import asyncio
import json
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Final

from connectors.base import NOTHING_ASKED, Catalogue, Change, Connection, Connector, Event
from gateway.audit import AuditEntry
from gateway.audit.trail import EntryIds
from gateway.errors import UpstreamFailed
from gateway.manage.pins import Noted, learn, note
from gateway.mcp.definitions import digest, pinned
from gateway.mcp.names import object_name
from gateway.mcp.terms import Kind, Params
from gateway.policy.terms import MAIN, SYSTEM
from gateway.records import Pins
from gateway.store.base import Changes, Conflict, NotFound, Store, Unavailable

GATEWAY: Final = "gateway"
"""Who approves at first use, and who notices a change: subject and transport of those audit entries."""

AGAIN_MS: Final = 60_000
"""A tool that waits for approval and changes once more is taken down again at most this often."""

MAX_SEEN: Final = 500
"""Tools of one upstream that are remembered until they are taken down."""

log = logging.getLogger(__name__)

Seen = dict[str, Params | None]
"""By tool what was seen last and is not approved; ``None`` where nothing of the kind is there any more."""


class Pinning:
    """The pins of every upstream. ``look`` is to be called after each look at the store; ``record`` takes audit
    entries, ``clock`` tells ms since the epoch.
    """

    def __init__(self, store: Store, *, record: Callable[[AuditEntry], None], clock: Callable[[], int]) -> None:
        self._store = store
        self._record = record
        self._clock = clock
        self._ids = EntryIds()
        self._pins: dict[str, Pins] = {}
        self._seen: dict[str, Seen] = {}
        self._noting: asyncio.Task[None] | None = None
        self._listeners: dict[str, list[Callable[[], None]]] = {}

    def watch(self, upstream: str, listener: Callable[[], None]) -> None:
        """Call ``listener`` whenever other definitions of this upstream's tools are approved than before."""
        self._listeners.setdefault(upstream, []).append(listener)

    async def approved(self, upstream: str, tools: Mapping[str, Params]) -> Mapping[str, str]:
        """The digest that is approved of each tool of an upstream. Where nothing is pinned yet, ``tools`` (name →
        definition), its whole list, are approved by this. Raises ``UpstreamFailed`` where pins can be neither read
        nor made: nobody knows then what was approved.
        """
        if (pins := self._pins.get(upstream)) is None:
            pins = await self._learn(upstream, tools)
        return _digests(pins)

    def saw(self, upstream: str, hidden: Mapping[str, Params], *, whole: bool) -> None:
        """Take down, with the next look, the tools that were listed and are ``hidden``; with ``whole`` there are no
        others to whomever the upstream lists its tools, so that what else waited need not wait any more.
        """
        known = {} if (pins := self._pins.get(upstream)) is None else pins.waiting
        news: Seen = {
            name: each for name, each in hidden.items() if name not in known or known[name].digest != digest(each)
        }
        gone: Seen = dict.fromkeys(known.keys() - hidden.keys()) if whole else {}
        seen = {**({} if whole else self._seen.get(upstream, {})), **news, **gone}
        self._seen[upstream] = dict(list(seen.items())[:MAX_SEEN])

    def look(self, changes: Changes | None) -> None:
        """Follow what changed in the store, and take down what was seen since the last look."""
        if changes is not None:
            self._follow(changes)
        if self._noting is None and any(self._due(upstream) for upstream in self._seen):
            self._noting = asyncio.create_task(self._note(), name="pins")
            self._noting.add_done_callback(self._noted)

    def stop(self) -> None:
        """End what runs."""
        if self._noting is not None:
            self._noting.cancel()

    def _follow(self, changes: Changes) -> None:
        gone = {id for kind, id in changes.removed if kind == "pins"}
        if changes.whole:
            gone |= self._pins.keys() - {pins.id for pins in changes.pins}
        for upstream in gone & self._pins.keys():
            self._take(Pins(id=upstream))
            del self._pins[upstream]
        for pins in changes.pins:
            self._take(pins)

    def _take(self, pins: Pins) -> None:
        former, self._pins[pins.id] = self._pins.get(pins.id), pins
        if _digests(former) != _digests(pins):
            for listener in self._listeners.get(pins.id, ()):
                listener()

    async def _learn(self, upstream: str, tools: Mapping[str, Params]) -> Pins:
        try:
            pins, fresh = await learn(self._store, upstream, tools, now=self._clock())
        except (Unavailable, NotFound, ValueError) as error:
            told = f"the tools of upstream `{upstream}` cannot be held against what was approved"
            raise UpstreamFailed(told, detail=str(error)) from None
        if fresh:
            log.info("upstream `%s`: its %d tools are approved as they are, at first use", upstream, len(tools))
            self._leave_entry("pins.learn", "gateway/upstreams", None, upstream=upstream, tools=len(tools))
        return self._pins.setdefault(upstream, pins)  # the follower may have seen a later state meanwhile

    def _due(self, upstream: str) -> Seen:
        """What can be taken down now."""
        pins, before = self._pins.get(upstream), self._clock() - AGAIN_MS
        waiting = {} if pins is None else pins.waiting
        seen = self._seen[upstream].items()
        return {name: each for name, each in seen if name not in waiting or waiting[name].at <= before}

    async def _note(self) -> None:
        for upstream in list(self._seen):
            if not (due := self._due(upstream)):
                continue
            try:
                pins, noted = await note(self._store, upstream, due, now=self._clock())
            except (Unavailable, Conflict):
                continue  # the next look tries again
            except (NotFound, ValueError) as error:
                log.error("upstream `%s`: what changed is hidden, and cannot be shown: %s", upstream, error)  # noqa: TRY400
            else:
                self._written(pins)
                self._tell(upstream, noted)
            seen = self._seen[upstream]
            self._seen[upstream] = {name: each for name, each in seen.items() if due.get(name, ...) is not each}

    def _written(self, pins: Pins) -> None:
        """Take what was just written, unless the follower has seen a later state meanwhile, or none any more."""
        if (former := self._pins.get(pins.id)) is not None and former.rev < pins.rev:
            self._take(pins)

    def _noted(self, task: "asyncio.Task[None]") -> None:
        self._noting = None
        if not task.cancelled() and (fault := task.exception()) is not None:
            log.error("what changed of tools could not be taken down; it is hidden all the same", exc_info=fault)

    def _tell(self, upstream: str, noted: Iterable[Noted]) -> None:
        for each in noted:
            what = "changed" if each.old else "is new"
            log.warning(
                "upstream `%s`: tool %a %s and is hidden until `ostiary upstreams approve %s`",
                *(upstream, each.tool, what, upstream),
            )
            object = object_name(upstream, Kind.TOOL, each.tool)
            self._leave_entry("pins.change", object, each, old=each.old or None, new=each.new)

    def _leave_entry(self, method: str, object: str, change: Noted | None, **arguments: object) -> None:
        at, outcome = self._clock(), "ok"
        if change is not None:
            outcome = "hidden"
        self._record(
            AuditEntry(
                id=self._ids.next(at),
                at=at,
                subject=GATEWAY,
                transport=GATEWAY,
                domain=MAIN,
                owner=SYSTEM,
                method=method,
                object=object,
                action="manage",
                outcome=outcome,
                allowed=change is None,
                arguments={f"/{name}": json.dumps(value) for name, value in arguments.items()},
            )
        )


class Pinned:
    """``connector`` without the tools that are not approved as they are. ``whole`` says that it lists the same tools
    to everybody.
    """

    def __init__(self, connector: Connector, pinning: Pinning, *, whole: bool) -> None:
        self._connector = connector
        self._pinning = pinning
        self._whole = whole
        self._last: tuple[Catalogue, Mapping[str, str], Catalogue] | None = None

    @property
    def id(self) -> str:
        return self._connector.id

    def owners(self, subject: str) -> tuple[str, ...]:
        return self._connector.owners(subject)

    async def catalogue(self, principal: str, capabilities: Params = NOTHING_ASKED) -> Catalogue:
        """What it offers and may show. Raises ``UpstreamFailed``, also where nobody knows what was approved."""
        offered = await self._connector.catalogue(principal, capabilities)
        tools = {item.name: pinned(item.definition) for item in offered.items.get(Kind.TOOL, ())}
        approved = await self._pinning.approved(self.id, tools)
        if self._last is None or self._last[0] is not offered or self._last[1] != approved:
            self._last = (offered, approved, self._shown(offered, tools, approved))
        return self._last[2]

    def holds(self, owner: str) -> bool:
        return self._connector.holds(owner)

    def owner(self, credential: str) -> str:
        return self._connector.owner(credential)

    async def open(
        self, principal: str, owner: str, capabilities: Params = NOTHING_ASKED, *, credential: str = ""
    ) -> Connection:
        """Raises ``UpstreamFailed``, ``NotConnected``."""
        return await self._connector.open(principal, owner, capabilities, credential=credential)

    def watch(self, listener: Callable[[Change], None]) -> None:
        self._connector.watch(listener)
        self._pinning.watch(self.id, lambda: listener(Change(self.id, Event.TOOLS)))

    async def close(self) -> None:
        await self._connector.close()

    def _shown(self, offered: Catalogue, tools: Mapping[str, Params], approved: Mapping[str, str]) -> Catalogue:
        hidden = {name: each for name, each in tools.items() if approved.get(name) != digest(each)}
        self._pinning.saw(self.id, hidden, whole=self._whole)
        if not hidden:
            return offered
        kept = tuple(item for item in offered.items[Kind.TOOL] if item.name not in hidden)
        return replace(offered, items={**offered.items, Kind.TOOL: kept})


def _digests(pins: Pins | None) -> Mapping[str, str]:
    return {} if pins is None else {name: each.digest for name, each in pins.tools.items()}
