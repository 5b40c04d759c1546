"""What a client is told that has no token: who gives one, and for what (RFC 9728, RFC 6750 §3).

Each endpoint is a resource of its own, named by its URL, and its document is made of that URL alone: nobody learns by
it which servers there are. This file knows no token.
"""

import re
from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any, Final

from quart import Blueprint, Response, jsonify
from werkzeug.exceptions import NotFound

from gateway.policy.terms import Json
from gateway.web.asgi import Header, Send

WELL_KNOWN: Final = "/.well-known/oauth-protected-resource"
MAX_AGE: Final = "max-age=300"

_OURS: Final = b'Bearer realm="ostiary"'
_PATH: Final = re.compile(r"/(?:mcp|sse)(?:/([a-z0-9](?:-?[a-z0-9]){0,127}))?")
_TOLD: Final = (401, 403)


@dataclass(frozen=True, slots=True)
class Protected:
    """``issuers`` are those that the operator trusts, by their URLs, and ``scopes`` what tokens of theirs need."""

    public_url: str
    name: str
    issuers: tuple[str, ...]
    scopes: tuple[str, ...] = ()

    def document(self, path: str) -> dict[str, Json]:
        """RFC 9728 §2, of the resource at ``path`` (``""``: the bare address)."""
        told: dict[str, Json] = {
            "resource": f"{self.public_url.rstrip('/')}{path}",
            "authorization_servers": list(self.issuers),
            "bearer_methods_supported": ["header"],
            "resource_name": self.name,
        }
        return told | ({"scopes_supported": list(self.scopes)} if self.scopes else {})

    def blueprint(self) -> Blueprint:
        """The documents, for anybody to read; none where no issuer is trusted."""
        blueprint = Blueprint("protected", __name__)

        @blueprint.get(WELL_KNOWN, defaults={"path": ""})
        @blueprint.get(f"{WELL_KNOWN}/<path:path>")
        async def document(path: str) -> Response:
            place = f"/{path}" if path else ""
            if not self.issuers or (place and _PATH.fullmatch(place) is None):
                raise NotFound
            answer = jsonify(self.document(place))
            answer.headers["Cache-Control"] = MAX_AGE
            return answer

        return blueprint

    def challenging(self, send: Send, path: str) -> Send:
        """A ``send`` that tells where tokens are to be had, with every answer that says that one is needed."""
        if not self.issuers:
            return send

        async def told(event: MutableMapping[str, Any]) -> None:
            if event["type"] == "http.response.start" and event["status"] in _TOLD:
                event = {**event, "headers": [self._fuller(name, value, path) for name, value in event["headers"]]}
            await send(event)

        return told

    def _fuller(self, name: bytes, value: bytes, path: str) -> Header:
        if name.lower() != b"www-authenticate" or not value.startswith(_OURS):
            return name, value
        known = _PATH.match(path)
        place = "" if known is None else known[0]
        more = f', resource_metadata="{self.public_url.rstrip("/")}{WELL_KNOWN}{place}"'
        if self.scopes and b"scope=" not in value:
            more += f', scope="{" ".join(self.scopes)}"'
        return name, value + more.encode()
