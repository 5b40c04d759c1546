"""What a server on the Python SDK keeps of its streams, so that a client that comes back is told what it missed."""

from typing import Any

from mcp.server.streamable_http import EventMessage, EventStore


class Events(EventStore):
    """Every event of every stream."""

    def __init__(self) -> None:
        self._kept: list[tuple[str, Any]] = []

    async def store_event(self, stream_id: str, message: Any) -> str:
        self._kept.append((stream_id, message))
        return str(len(self._kept))

    async def replay_events_after(self, last_event_id: str, send_callback: Any) -> str | None:
        seen = int(last_event_id)
        stream = self._kept[seen - 1][0]
        for number, (of, message) in enumerate(self._kept[seen:], seen + 1):
            if of == stream and message is not None:
                await send_callback(EventMessage(message, str(number)))
        return stream
