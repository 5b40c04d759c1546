"""A bare forwarder: what comes in goes on to one URL, what is answered comes back. No MCP, no policy, nothing.

It runs under the gateway's own server, set up in the same way, with the HTTP client that the gateway uses; so what is
between the two is the gateway. ``python -m benchmarks.calls.forwarder PORT URL [SERVER]``.
"""

import asyncio
import sys
from typing import Any

import aiohttp

from gateway.cli.running import listen, run
from gateway.web.asgi import Receive, Scope, Send


class Forwarder:
    def __init__(self, url: str) -> None:
        self._url = url
        self._client: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        self._client = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())

    async def end_streams(self) -> None:
        pass

    async def stop(self) -> None:
        if self._client is not None:
            await self._client.close()

    async def asgi(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        body = b""
        more = True
        while more:
            event: Any = await receive()
            body += event.get("body", b"")
            more = event.get("more_body", False)
        assert self._client is not None
        headers = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
        async with self._client.post(self._url, data=body, headers=headers) as answer:
            told = await answer.read()
            sent = [(b"content-type", answer.content_type.encode()), (b"content-length", str(len(told)).encode())]
        await send({"type": "http.response.start", "status": answer.status, "headers": sent})
        await send({"type": "http.response.body", "body": told})


def main() -> None:
    port, url = int(sys.argv[1]), sys.argv[2]
    asyncio.run(run(Forwarder(url), listen("127.0.0.1", port), said="forwarding"))


if __name__ == "__main__":
    main()
