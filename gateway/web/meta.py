"""What a person or a probe asks of the server itself. The only Quart app; it decides nothing."""

from datetime import UTC, datetime

from quart import Quart, Response, jsonify
from werkzeug.exceptions import HTTPException


def pages() -> Quart:
    """The Quart app for everything but the data plane; every error is JSON."""
    app = Quart("gateway.web", static_folder=None)

    @app.get("/health")
    async def health() -> Response:
        return jsonify(status="healthy", timestamp=datetime.now(UTC).isoformat(timespec="milliseconds"))

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
