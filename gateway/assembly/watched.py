"""What an operator sees of this process, put together from those who know. Part of the composition root."""

from collections.abc import Mapping
from typing import Any

from gateway.audit.trail import Audit
from gateway.follower import Follower, now_ms
from gateway.observing.levels import Levels
from gateway.observing.metrics import Metrics
from gateway.observing.watchers import may_watch
from gateway.sessions import Sessions
from gateway.settings import Settings


class Watched:
    """Answers ``/ready`` and ``/metrics`` (``gateway/web/meta.py``)."""

    def __init__(self, settings: Settings, follower: Follower, audit: Audit, sessions: Sessions) -> None:
        self._settings = settings.metrics
        self._follower = follower
        self._audit = audit
        self._sessions = sessions
        self.metrics = Metrics(self._levels)

    @property
    def ready(self) -> bool:
        return self._levels().ready

    def details(self) -> Mapping[str, Any]:
        return self._levels().told(self.metrics.upstreams)

    def exposition(self, accept: str) -> tuple[bytes, str]:
        return self.metrics.exposition(accept)

    def may_watch(self, address: str, headers: Mapping[str, str], *, forwarded: bool) -> bool:
        return may_watch(self._settings, address, headers, forwarded=forwarded)

    def _levels(self) -> Levels:
        now = now_ms()
        found, confirmed = self._follower.readiness(now), self._follower.current.confirmed_at_ms
        return Levels(
            decides=found.ready,
            policy=found.version,
            age_s=max(0, now - confirmed) / 1000 if confirmed else None,
            reasons=found.reasons,
            store=self._follower.store_answers,
            waiting=self._audit.waiting,
            lost=self._audit.lost,
            full=self._audit.full,
            sessions=len(self._sessions),
            streams=self._sessions.open_streams,
        )
