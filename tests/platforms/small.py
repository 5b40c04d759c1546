"""A platform as small as a test needs it, for what no emulator answers: it says what the test lays down, and remembers
what it heard. All hosts of a definition are folders of this one server.
"""

import json
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode

from aiohttp import web

from connectors.definition.terms import Definition
from tests.upstreams.starting import free_port

_ORIGIN = re.compile(r"https://([^/]+)")


@dataclass(frozen=True)
class Heard:
    method: str
    path: str
    query: dict[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True, strict_parsing=True))


@dataclass(frozen=True)
class Reply:
    value: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


Answer = Callable[[Heard], Reply]


@dataclass
class Small:
    """``url`` is where it stands; ``heard`` all that it was asked."""

    url: str
    heard: list[Heard] = field(default_factory=list)
    _answers: dict[tuple[str, str], list[Answer | Reply]] = field(default_factory=dict)

    @property
    def host(self) -> str:
        return self.url.removeprefix("http://")

    def says(self, request: str, *answers: Any) -> None:
        """To ``GET /host/path`` these, one after the other, the last for ever: values, ``Reply``s, or functions."""
        method, _, path = request.partition(" ")
        self._answers[method, path] = [
            each if isinstance(each, Reply) or callable(each) else Reply(each) for each in answers
        ]

    def lets_in(self, authorize: str, token: str, *answers: Any, **callback: str) -> None:
        """OAuth: whoever comes is sent back with a code (and ``callback``); the token endpoint gives ``answers``."""

        def back(heard: Heard) -> Reply:
            query = {"code": "code-of-a-test", "state": heard.query["state"], **callback}
            return Reply(status=302, headers={"Location": f"{heard.query['redirect_uri']}?{urlencode(query)}"})

        self.says(f"GET {authorize}", back)
        self.says(f"POST {token}", *answers)

    def asked(self, request: str) -> list[Heard]:
        """All that was heard of ``GET /host/path``."""
        return [heard for heard in self.heard if f"{heard.method} {heard.path}" == request]

    def at(self, definition: Definition) -> dict[str, str]:
        """Where each host of the definition is to be found: a folder of its own name."""
        oauth = definition.auth.oauth
        legs = (oauth.authorize_url, oauth.token_url, oauth.refresh_url, oauth.revoke_url) if oauth else ()
        urls = (definition.api.base_url, definition.identity.url if definition.identity else "", *legs)
        return {found[0]: f"{self.url}/{found[1]}" for url in urls if (found := _ORIGIN.match(url))}

    async def answer(self, request: web.Request) -> web.Response:
        heard = Heard(request.method, request.path, dict(request.query), request.headers, await request.read())
        self.heard.append(heard)
        answers = self._answers.get((heard.method, heard.path))
        if not answers:
            return web.json_response({"message": f"nothing at {heard.method} {heard.path}"}, status=404)
        chosen = answers.pop(0) if len(answers) > 1 else answers[0]
        reply = chosen if isinstance(chosen, Reply) else chosen(heard)
        if isinstance(reply.value, bytes) or reply.value is None:
            return web.Response(body=reply.value, status=reply.status, headers=reply.headers)
        return web.json_response(reply.value, status=reply.status, headers=reply.headers)


@asynccontextmanager
async def smalls() -> AsyncIterator[Small]:
    """One of them, listening."""
    port = free_port()
    small = Small(f"http://127.0.0.1:{port}")
    application = web.Application()
    application.router.add_route("*", "/{rest:.*}", small.answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield small
    finally:
        await runner.cleanup()
