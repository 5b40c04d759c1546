"""What platforms answered to reads, for as long as a server wants it remembered. In memory, of this process alone.

It is looked for only once the policy has allowed the call, whose account serves is known and its arguments fit; and it
is found only by the same subject, on the same server, for the same account and arguments, under the same version of the
policy, of the server, of the connection and of the platform's definition. Whoever writes with an account makes
everything forgotten that was read with it. This file decides nothing.
"""

from collections.abc import Awaitable, Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, TypeAlias

import msgspec

from connectors.base import Item
from gateway.catalogue.views import Offer
from gateway.mcp.input_required import InputRequired
from gateway.mcp.terms import Params
from gateway.pipeline.accounts import Account, needs_one
from gateway.pipeline.request_state import digest
from gateway.pipeline.way import Way
from gateway.records import Server

MOST: Final = 10_000
MOST_BYTES: Final = 32 * 1024 * 1024
MOST_EACH: Final = 1024 * 1024
"""Answers remembered at most, of all servers together, and the bytes of all and of one."""

READ: Final = "read"

Key: TypeAlias = tuple[Hashable, ...]
Place: TypeAlias = tuple[str, ...]
"""What somebody who writes may change: one connection; all there is of a connector that needs none."""


@dataclass(eq=False, slots=True)
class Reading:
    """A read under way; ``spoiled`` once somebody wrote meanwhile."""

    spoiled: bool = False


@dataclass(frozen=True, slots=True, repr=False)
class _Kept:
    """``answer`` is JSON of the moment ``at`` (ms since the epoch), which counts for ``lives`` ms."""

    place: Place
    answer: bytes
    at: int
    lives: int


class Memory:
    """Answers by keys; those used longest ago go first."""

    def __init__(self, *, most: int = MOST, most_bytes: int = MOST_BYTES, most_each: int = MOST_EACH) -> None:
        self._most, self._most_bytes, self._most_each = most, most_bytes, most_each
        self._kept: dict[Key, _Kept] = {}
        self._keys: dict[Place, set[Key]] = {}
        self._reading: dict[Place, set[Reading]] = {}
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    def find(self, key: Key, now: int) -> Params | None:
        """The answer that counts ``now``; nobody else holds it."""
        kept = self._kept.get(key)
        if kept is None:
            return None
        if abs(now - kept.at) >= kept.lives:  # a clock that was set back must not keep it alive
            self._drop(key)
            return None
        self._kept[key] = self._kept.pop(key)
        answer: Params = msgspec.json.decode(kept.answer)
        return answer

    def keep(self, key: Key, place: Place, answer: Params, *, at: int, lives: int) -> None:
        content = msgspec.json.encode(answer)
        if len(content) > self._most_each:
            return
        self._drop(key)
        self._kept[key] = _Kept(place, content, at, lives)
        self._keys.setdefault(place, set()).add(key)
        self.bytes += len(content)
        while len(self._kept) > self._most or self.bytes > self._most_bytes:
            self._drop(next(iter(self._kept)))

    @contextmanager
    def reading(self, place: Place) -> Iterator[Reading]:
        """A read of ``place``, as long as it lasts."""
        reading = Reading()
        under_way = self._reading.setdefault(place, set())
        under_way.add(reading)
        try:
            yield reading
        finally:
            under_way.remove(reading)
            if not under_way:
                del self._reading[place]

    @contextmanager
    def writing(self, place: Place) -> Iterator[None]:
        """A write, however it ends: nothing that was read before its end counts after its beginning."""
        self._forget(place)
        try:
            yield
        finally:
            self._forget(place)

    def _forget(self, place: Place) -> None:
        for reading in self._reading.get(place, ()):
            reading.spoiled = True
        for key in list(self._keys.get(place, ())):
            self._drop(key)

    def _drop(self, key: Key) -> None:
        if (kept := self._kept.pop(key, None)) is None:
            return
        self.bytes -= len(kept.answer)
        keys = self._keys[kept.place]
        keys.remove(key)
        if not keys:
            del self._keys[kept.place]


class Remembering:
    """Stands between a call that was allowed and the platform that it is for."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    async def send(
        self,
        way: Way,
        offer: Offer,
        account: Account,
        params: Params,
        ask: Callable[[], Awaitable[Params | InputRequired]],
    ) -> Params | InputRequired:
        """What ``ask`` gives for a call of a platform's action, or gave lately. Raises what it raises."""
        item, place = answers_for(offer), _place(offer, account)
        if item.level != READ:
            with self._memory.writing(place):
                return await ask()
        server = way.server
        if server is None or not server.cache_s or "requestState" in params:
            return await ask()
        key, at = _key(way, server, item, account, params), way.passage.at
        if (known := self._memory.find(key, at)) is not None:
            way.passage.cached = way.passage.origin.aside.cached = True
            return known
        with self._memory.reading(place) as reading:
            result = await ask()
        if isinstance(result, dict) and result.get("isError") is not True and not reading.spoiled:
            self._memory.keep(key, place, result, at=at, lives=1000 * server.cache_s)
        return result


def answers_for(offer: Offer) -> Item:
    """The item that answers in the end: of a tool that a user made, what it calls."""
    return offer.item if offer.target is None else offer.target.offer.item


def _place(offer: Offer, account: Account) -> Place:
    id = offer.connector.id
    return (id, account.owner, account.id) if needs_one(offer.connector) else (id,)


def _key(way: Way, server: Server, item: Item, account: Account, params: Params) -> Key:
    return (
        server.id,
        server.rev,
        way.subject.name,
        way.judge.policy.version,
        item.connector,
        item.name,
        item.platform,
        account.owner,
        account.id,
        account.since,
        digest({"arguments": params.get("arguments") or {}}),
    )
