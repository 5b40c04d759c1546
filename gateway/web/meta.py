"""The only Quart app: what a probe asks of the server itself, and the pages and routes that are handed in."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final, Protocol, TypeAlias

from quart import Blueprint, Quart, Response, jsonify
from werkzeug.exceptions import HTTPException

Routes: TypeAlias = Blueprint
"""Pages or routes of one kind, as others hand them in."""

MOST_BODY: Final = 1024 * 1024


class Ready(Protocol):
    """Whether this process decides, by which policy, and what stands against it (``gateway/follower.py``)."""

    @property
    def ready(self) -> bool: ...
    @property
    def version(self) -> str: ...
    @property
    def reasons(self) -> Sequence[str]: ...


def pages(readiness: Callable[[], Ready], *blueprints: Routes) -> Quart:
    """The Quart app for everything but the data plane; an error is JSON where a blueprint does not say otherwise."""
    app = Quart("gateway.web", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MOST_BODY
    for each in blueprints:
        app.register_blueprint(each)

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
