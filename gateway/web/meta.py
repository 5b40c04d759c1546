"""The only Quart app: what a probe asks of the server itself, and the pages and routes that are handed in."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, Protocol, TypeAlias

from quart import Blueprint, Quart, Request, Response, jsonify, request
from werkzeug.exceptions import HTTPException, NotFound

from gateway.web.api.envelope import FAULT, problem

Routes: TypeAlias = Blueprint
"""Pages or routes of one kind, as others hand them in."""

MOST_BODY: Final = 10 * 1024 * 1024
MOST_FORM: Final = 1024 * 1024
"""In bytes. What browsers send to pages is small, and may come from anybody."""

API: Final = ("/api/", "/tools/", "/connectors/", "/users/")
CODES_OF: Final = {404: "NOT_FOUND", 405: "INVALID_REQUEST", 413: "INVALID_REQUEST"}


class Bounded(Request):
    """A request whose body may be as large as its kind of path allows."""

    def __init__(self, method: str, scheme: str, path: str, *parts: Any, **more: Any) -> None:
        most = MOST_BODY if path.startswith(API) else MOST_FORM
        super().__init__(method, scheme, path, *parts, **{**more, "max_content_length": most})


class Sight(Protocol):
    """What can be seen of this process (``gateway/observing/``), and by whom."""

    @property
    def ready(self) -> bool: ...

    def details(self) -> Mapping[str, Any]:
        """How it stands, for whoever may know."""

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """The metrics, and their media type."""

    def may_watch(self, address: str, headers: Mapping[str, str], *, forwarded: bool) -> bool:
        """Whether somebody may know more than that it is ready."""


def pages(sight: Sight, *blueprints: Routes) -> Quart:
    """The Quart app for everything but the data plane; an error is JSON where a blueprint does not say otherwise."""
    app = Quart("gateway.web", static_folder=None)
    app.request_class = Bounded
    for each in blueprints:
        app.register_blueprint(each)

    @app.get("/health")
    async def health() -> Response:
        return jsonify(status="healthy", timestamp=datetime.now(UTC).isoformat(timespec="milliseconds"))

    @app.get("/ready")
    async def ready() -> tuple[Response, int]:
        ready = sight.ready
        told = sight.details() if _watches(sight) else {"ready": ready}
        return jsonify(told), 200 if ready else 503

    @app.get("/metrics")
    async def metrics() -> Response:
        if not _watches(sight):
            raise NotFound
        body, kind = sight.exposition(request.headers.get("accept", ""))
        return Response(body, content_type=kind, headers={"cache-control": "no-store"})

    @app.get("/status")
    async def status() -> Response:
        return jsonify(status="ok")

    @app.errorhandler(HTTPException)
    async def refused(error: HTTPException) -> Response:
        response = _told(error.code or 500, error.name)
        allowed = dict(error.get_headers()).get("Allow")
        if allowed is not None:
            response.headers["allow"] = allowed
        return response

    @app.errorhandler(Exception)
    async def failed(error: Exception) -> Response:
        app.logger.error("a page ended in a fault", exc_info=error)
        return _told(500, "Internal error")

    return app


def _watches(sight: Sight) -> bool:
    headers = {name.lower(): value for name, value in request.headers.items()}
    address = request.remote_addr or ""
    return sight.may_watch(address, headers, forwarded=request.scope.get("state", {}).get("forwarded", False))


def _told(status: int, name: str) -> Response:
    """What went wrong before any route or page answered: for programs in the envelope of the management API."""
    if request.path.startswith(API):
        return problem(CODES_OF.get(status, FAULT[0]), status, name)
    response = jsonify(error=name)
    response.status_code = status
    return response
