"""What a person or a probe asks of the server itself. The only Quart app; it decides nothing."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Protocol

from quart import Quart, Response, jsonify
from werkzeug.exceptions import HTTPException


class Ready(Protocol):
    """Whether this process decides, by which policy, and what stands against it (``gateway/follower.py``)."""

    @property
    def ready(self) -> bool: ...
    @property
    def version(self) -> str: ...
    @property
    def reasons(self) -> Sequence[str]: ...


def pages(readiness: Callable[[], Ready]) -> Quart:
    """The Quart app for everything but the data plane; every error is JSON."""
    app = Quart("gateway.web", static_folder=None)

    @app.get("/health")
    async def health() -> Response:
        return jsonify(status="healthy", timestamp=datetime.now(UTC).isoformat(timespec="milliseconds"))

    @app.get("/ready")
    async def ready() -> tuple[Response, int]:
        found = readiness()
        told = jsonify(ready=found.ready, policy=found.version, reasons=list(found.reasons))
        return told, 200 if found.ready else 503

    @app.get("/status")
    async def status() -> Response:
        return jsonify(status="ok")

    @app.errorhandler(HTTPException)
    async def refused(error: HTTPException) -> tuple[Response, int]:
        return jsonify(error=error.name), error.code or 500

    @app.errorhandler(Exception)
    async def failed(error: Exception) -> tuple[Response, int]:
        app.logger.error("a page ended in a fault", exc_info=error)
        return jsonify(error="Internal error"), 500

    return app
