"""One request of a benchmark, and what its answer has to hold: the same for a single try and for the generator."""

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

MODERN: Final = "2026-07-28"
LEGACY: Final = "2025-11-25"
TEXT: Final = "hello"
"""What the tool is told, and says."""

META: Final = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1"},
}
ACCEPT: Final = {"content-type": "application/json", "accept": "application/json, text/event-stream"}


@dataclass(frozen=True, slots=True)
class Asked:
    """A POST. ``holds`` stands in the body of every right answer."""

    port: int
    body: str
    holds: str
    headers: Mapping[str, str]
    path: str = "/mcp"

    def answer(self, wait: float = 30.0) -> tuple[http.client.HTTPResponse, str]:
        """Raises ``OSError`` and ``http.client.HTTPException`` while nobody answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=wait)
        try:
            connection.request("POST", self.path, self.body, dict(self.headers))
            response = connection.getresponse()
            return response, response.read().decode(errors="replace")
        finally:
            connection.close()

    def fault(self) -> str:
        """What is wrong with the answer, ``""`` when it is right."""
        try:
            response, body = self.answer()
        except (OSError, http.client.HTTPException) as error:
            return f"no answer: {error!r}"
        return "" if response.status == 200 and self.holds in body else f"{response.status} {body[:300]}"


def modern(
    port: int, method: str, params: Mapping[str, Any], holds: str, key: Mapping[str, str], path: str = "/mcp"
) -> Asked:
    """A request of revision 2026-07-28, which needs no session."""
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": META}}
    named = {"mcp-name": str(params["name"])} if "name" in params else {}
    headers = {**ACCEPT, "mcp-protocol-version": MODERN, "mcp-method": method, **named, **key}
    return Asked(port, json.dumps(body), holds, headers, path)


def call(port: int, name: str, key: Mapping[str, str], *, text: str = TEXT, holds: str = TEXT) -> Asked:
    return modern(port, "tools/call", {"name": name, "arguments": {"text": text}}, holds, key)


def in_session(port: int, name: str, key: Mapping[str, str], path: str = "/mcp") -> Asked:
    """The same call in a session of revision 2025-11-25, which is opened here. Raises ``OSError`` when it is not."""
    told = {"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}}
    opening = Asked(port, _message("initialize", told, 1), "", {**ACCEPT, **key}, path)
    response, body = opening.answer()
    if response.status != 200:
        raise OSError(f"no session: {response.status} {body[:300]}")
    session = {"mcp-session-id": response.headers["mcp-session-id"]} if response.headers["mcp-session-id"] else {}
    headers = {**ACCEPT, "mcp-protocol-version": LEGACY, **session, **key}
    replace(opening, body=_message("notifications/initialized", {}, None), headers=headers).answer()
    body = _message("tools/call", {"name": name, "arguments": {"text": TEXT}}, 2)
    return Asked(port, body, TEXT, headers, path)


def _message(method: str, params: Mapping[str, Any], id: int | None) -> str:
    return json.dumps({"jsonrpc": "2.0", "method": method, "params": params} | ({} if id is None else {"id": id}))
