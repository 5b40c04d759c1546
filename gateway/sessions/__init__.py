"""Conversations with clients of the legacy era, and the open streams of every era.

A session is bound to one subject and one domain, and dies with the credential that opened it.
This room knows no HTTP: ``web`` writes what a stream yields.
"""

from gateway.sessions.register import AWAY_MS, IDLE_MS, PER_SERVER, PER_SUBJECT, Released, Sessions
from gateway.sessions.session import RUNNING, SUBSCRIBED, Session
from gateway.sessions.streams import WAITING, WAITING_BYTES, Event, Stream, StreamClosed

__all__ = [
    "AWAY_MS",
    "IDLE_MS",
    "PER_SERVER",
    "PER_SUBJECT",
    "RUNNING",
    "SUBSCRIBED",
    "WAITING",
    "WAITING_BYTES",
    "Event",
    "Released",
    "Session",
    "Sessions",
    "Stream",
    "StreamClosed",
]
