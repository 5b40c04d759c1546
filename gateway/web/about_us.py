"""What we tell authorization servers about ourselves: the documents that stand under our client ids."""

from collections.abc import Callable

from quart import Blueprint, Response, jsonify
from werkzeug.exceptions import NotFound

from gateway.mcp.terms import Params


def about_us(document: Callable[[str], Params | None]) -> Blueprint:
    """``GET /oauth/client/{connector}``: the client id metadata document of one upstream, for anybody to read."""
    blueprint = Blueprint("about_us", __name__)

    @blueprint.get("/oauth/client/<connector>")
    async def client(connector: str) -> Response:
        if (said := document(connector)) is None:
            raise NotFound
        answer = jsonify(said)
        answer.headers["Cache-Control"] = "max-age=300"
        return answer

    return blueprint
