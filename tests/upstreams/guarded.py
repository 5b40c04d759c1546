"""Servers with everything, behind an authorization: who comes without an account is told where to get one.

    python guarded.py '{"port": 1, "era": "legacy", "authority": "http://127.0.0.1:2", "client": ["id", "secret"]}' \\
                      '{"port": 3, "era": "auto", "keys": {"the key of ann": "ann"}}' ...

Tokens are asked for at the authority (RFC 7662); keys stand in `x-key`. Every tool sees who calls in the header
`x-who`. A POST of JSON to `/control` changes what is said and demanded, and answers with what was seen: see `State`.
"""

import asyncio
import base64
import json
import sys
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import quote_plus

import httpx2
from everything import app_of, listener

RESOURCE = "/.well-known/oauth-protected-resource/mcp"


@dataclass
class State:
    """``document`` stands in place of the metadata, as it is; tokens have to be for ``resource``; ``needs`` are the scopes of tools by name. ``calls`` are
    who, with which credential, in which session; ``open`` by whom streams are being read.
    """

    port: int
    era: str
    authority: str = ""
    client: list[str] = field(default_factory=list)
    keys: dict[str, str] = field(default_factory=dict)
    document: str = ""
    resource: str = ""
    needs: dict[str, str] = field(default_factory=dict)
    calls: list[list[str]] = field(default_factory=list)
    open: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/mcp"


class Guarded:
    def __init__(self, state: State) -> None:
        self.state = state
        self.inner = app_of("http", state.era)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        state = self.state
        if scope["type"] != "http":
            await self.inner(scope, receive, send)
        elif scope["path"] == RESOURCE and state.authority:
            await answer(send, 200, state.document or self.metadata())
        elif scope["path"] == "/control":
            body, _ = await whole(receive)
            for name, value in json.loads(body).items():
                setattr(state, name, value)
            await answer(send, 200, json.dumps(asdict(state)))
        elif scope["path"] == "/mcp":
            await self.guarded(scope, receive, send)
        else:
            await answer(send, 404, "{}")

    async def guarded(self, scope: Any, receive: Any, send: Any) -> None:
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        body, again = await whole(receive)
        asked = json.loads(body) if body else {}
        who, given = await self.caller(headers)
        lacks = set(self.state.needs.get(asked.get("params", {}).get("name"), "").split()) - set(given.split())
        if not who:
            await answer(send, 401, "{}", self.challenge('error="invalid_token"' if "authorization" in headers else ""))
        elif asked.get("method") == "tools/call" and lacks:
            missing = f'error="insufficient_scope", scope="{" ".join(sorted(lacks))}"'
            await answer(send, 403, "{}", self.challenge(missing))
        else:
            credential = headers.get("x-key") or headers.get("authorization", "")
            self.state.calls.append([who, credential, headers.get("mcp-session-id", "")])
            self.state.open.append(who)
            try:
                known = {**scope, "headers": [*scope["headers"], (b"x-who", who.encode())]}
                await self.inner(known, again, send)
            finally:
                self.state.open.remove(who)

    async def caller(self, headers: dict[str, str]) -> tuple[str, str]:
        """Who it is, and his scopes."""
        if not self.state.authority:
            return self.state.keys.get(headers.get("x-key", ""), ""), ""
        token = headers.get("authorization", "").removeprefix("Bearer ")
        id, secret = map(quote_plus, self.state.client)
        proof = base64.b64encode(f"{id}:{secret}".encode()).decode()
        async with httpx2.AsyncClient(headers={"authorization": f"Basic {proof}"}) as http:
            said = (await http.post(f"{self.state.authority}/token/introspection", data={"token": token})).json()
        known = said.get("active") and said.get("aud") == (self.state.resource or self.state.url)
        return (said["sub"], said.get("scope", "")) if known else ("", "")

    def challenge(self, more: str) -> str:
        place = f'resource_metadata="http://127.0.0.1:{self.state.port}{RESOURCE}"'
        return f"Bearer {', '.join(filter(None, (place, more)))}" if self.state.authority else ""

    def metadata(self) -> str:
        servers = [self.state.authority]
        return json.dumps(
            {"resource": self.state.url, "authorization_servers": servers, "scopes_supported": ["tools:read"]}
        )


async def whole(receive: Any) -> tuple[bytes, Any]:
    """The body, and what gives it once more."""
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    given = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def again() -> Any:
        return next(given, None) or await receive()

    return body, again


async def answer(send: Any, status: int, body: str, challenge: str = "") -> None:
    headers = [(b"content-type", b"application/json")]
    if challenge:
        headers.append((b"www-authenticate", challenge.encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body.encode()})


async def serve() -> None:
    states = [State(**json.loads(described)) for described in sys.argv[1:]]
    await asyncio.gather(*(listener(Guarded(state), state.port).serve() for state in states))


if __name__ == "__main__":
    asyncio.run(serve())
