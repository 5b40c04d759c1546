"""News for open streams: what a change behind us, or a new policy, means for each of them.

Changes are gathered for a moment and told in slices, so that a burst behind us costs one message per
stream and calls keep flowing while thousands are told.
"""

import asyncio
import logging
from typing import Final

from connectors.base import Change
from gateway.errors import Refusal
from gateway.pipeline import Pipeline
from gateway.sessions import Sessions, Stream

SLICE: Final = 200

log = logging.getLogger(__name__)


class Announcer:
    """Takes changes as they come, and pushes to each stream what its subject may hear of them."""

    def __init__(self, pipeline: Pipeline, sessions: Sessions) -> None:
        self._pipeline = pipeline
        self._sessions = sessions
        self._waiting: dict[Change, None] = {}
        self._arrived = asyncio.Event()

    def changed(self, change: Change) -> None:
        """Take a change in; ``run`` tells it."""
        self._waiting[change] = None
        self._arrived.set()

    async def run(self) -> None:
        """Tell what comes in, until cancelled."""
        while True:
            await self._arrived.wait()
            changes, self._waiting = list(self._waiting), {}
            self._arrived.clear()
            for number, stream in enumerate(self._sessions.streams(), 1):
                await self._tell(stream, changes)
                if number % SLICE == 0:
                    await asyncio.sleep(0)

    async def _tell(self, stream: Stream, changes: list[Change]) -> None:
        told: list[object] = []
        for change in changes:
            try:
                news = await self._pipeline.changes(change, stream.subject, stream.domain)
            except Refusal as refusal:
                log.info("a change of `%s` could not be told: %s", change.connector, refusal.text)
                continue
            except Exception:  # what is wrong for one stream must not silence the others
                log.exception("a change of `%s` could not be told to one stream", change.connector)
                continue
            for notification in news:
                if notification not in told:
                    told.append(notification)
                    stream.offer(notification)
