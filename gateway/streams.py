"""News for open streams: what a change behind us, or a new policy, means for each of them.

What comes in is gathered for a moment; each of it is asked about once for all streams of one credential, on one
server, from one address; and it is told in slices, so that a burst costs one message per stream and calls keep flowing
while thousands are told.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Final, TypeAlias

from connectors.base import Change
from gateway.errors import Refusal
from gateway.mcp.terms import Notification
from gateway.pacing import Breath
from gateway.pipeline import Pipeline
from gateway.policy.terms import Subject
from gateway.policy.turn import Difference, Turn
from gateway.sessions import Session, Sessions, Stream
from gateway.snapshot import Snapshot

TOGETHER: Final = 32
"""So many are asked about at a time: servers behind us may have to be asked first what they offer."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Ear:
    """Those who hear the same: the ``streams`` of one credential, on one server, from one address; and those streams
    and sessions that have subscriptions.
    """

    subject: Subject
    domain: str
    address: str
    streams: list[Stream] = field(default_factory=list)
    followers: list[Session | Stream] = field(default_factory=list)

    def add(self, holder: Session | Stream) -> None:
        if isinstance(holder, Stream):
            self.streams.append(holder)
        if holder.subscribed:
            self.followers.append(holder)

    @property
    def followed(self) -> frozenset[str]:
        """The resources that are subscribed to."""
        return frozenset(uri for each in self.followers for uri in each.subscribed)

    def tell(self, news: Iterable[Notification]) -> None:
        for stream in self.streams:
            for notification in news:
                stream.offer(notification)


Tell: TypeAlias = Callable[[Ear, Breath], Awaitable[None]]


class Announcer:
    """Takes changes and turns of the policy as they come, and pushes to each stream what its subject may hear of
    them. Subscriptions to what may no longer be read end.
    """

    def __init__(self, pipeline: Pipeline, sessions: Sessions) -> None:
        self._pipeline = pipeline
        self._sessions = sessions
        self._changes: dict[Change, None] = {}
        self._changed = asyncio.Event()
        self._turn: Turn | None = None
        self._turned = asyncio.Event()
        self._now: Snapshot | None = None
        self._former: Snapshot | None = None

    def changed(self, change: Change) -> None:
        """Take a change in; ``run`` tells it."""
        self._changes[change] = None
        self._changed.set()

    def swapped(self, snapshot: Snapshot) -> None:
        """Take in what is in force from now on; ``run`` tells of what users made, and of what they hide."""
        before, self._now = self._now, snapshot
        if before is not None and not _same(before, snapshot):
            self._former = self._former or before
            self._turned.set()

    def turned(self, turn: Turn) -> None:
        """Take in that one policy took the place of another; ``run`` tells it."""
        self._turn = turn if self._turn is None else self._turn.then(turn)
        self._turned.set()

    async def run(self) -> None:
        """Tell what comes in, until cancelled; changes do not wait for a policy that concerns many."""
        async with asyncio.TaskGroup() as together:
            together.create_task(self._tell_changes())
            together.create_task(self._tell_turns())

    async def _tell_changes(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            changes, self._changes = list(self._changes), {}
            await self._each(partial(self._tell_of, changes), Breath())

    async def _tell_of(self, changes: Iterable[Change], ear: Ear, breath: Breath) -> None:
        for change in changes:
            ear.tell(await self._pipeline.changes(change, ear.subject, ear.domain, address=ear.address, breath=breath))

    async def _tell_turns(self) -> None:
        while True:
            await self._turned.wait()
            self._turned.clear()
            turn, former, now, breath = self._turn, self._former, self._now, Breath()
            self._turn = self._former = None
            if turn is None and now is not None:
                turn = Turn(now.policy, now.policy)
            difference = None if turn is None else await breath.work(turn.compared())
            if difference is not None and (difference.rows or former is not None):
                await self._each(partial(self._tell_difference, difference, former), breath)

    async def _tell_difference(self, difference: Difference, former: Snapshot | None, ear: Ear, breath: Breath) -> None:
        news = await self._pipeline.turned(
            difference,
            ear.subject,
            ear.domain,
            former=former,
            address=ear.address,
            followed=ear.followed,
            breath=breath,
        )
        ear.tell(news.told)
        for follower in ear.followers if news.lost else ():
            self._sessions.unfollow(follower, news.lost)

    async def _each(self, tell: Tell, breath: Breath) -> None:
        ears = await self._ears(breath)
        for first in range(0, len(ears), TOGETHER):
            await asyncio.gather(*(_tell_one(tell, ear, breath) for ear in ears[first : first + TOGETHER]))

    async def _ears(self, breath: Breath) -> list[Ear]:
        ears: dict[tuple[str, ...], Ear] = {}
        holders: list[Session | Stream] = [*self._sessions.streams(), *self._sessions.followers()]
        for holder in holders:
            await breath()
            stream = holder if isinstance(holder, Stream) else holder.stream
            address = "" if stream is None else stream.address
            key = holder.subject.name, holder.subject.credential, holder.domain, address
            if (ear := ears.get(key)) is None:
                ear = ears[key] = Ear(holder.subject, holder.domain, address)
            ear.add(holder)
        return list(ears.values())


def _same(before: Snapshot, after: Snapshot) -> bool:
    """Whether users made nothing else, and hide nothing else."""
    if before.custom is not after.custom:
        return False
    was, users = before.identities.users, after.identities.users
    moved = (id for id, user in users.items() if user is not was.get(id))
    return was is users or all(users[id].hidden == (was[id].hidden if id in was else ()) for id in moved)


async def _tell_one(tell: Tell, ear: Ear, breath: Breath) -> None:
    try:
        await tell(ear, breath)
    except Refusal as refusal:
        log.info("news of `%s` could not be told: %s", ear.domain, refusal.text)
    except Exception:  # what is wrong for one stream must not silence the others
        log.exception("news of `%s` could not be told to one subject", ear.domain)
