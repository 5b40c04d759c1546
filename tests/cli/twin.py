"""A child process that serves a twin of the gateway, and writes what happens to it on standard output."""

import asyncio
import sys

from gateway.cli.running import listen, run


def say(what):
    print(what, flush=True)


class Twin:
    """``/slow`` answers half a second after it was asked, ``/stream`` streams until streams end, ``/stuck`` never answers."""

    def __init__(self):
        self.ending = asyncio.Event()

    async def start(self):
        say("start")

    async def end_streams(self):
        say("end streams")
        self.ending.set()

    async def stop(self):
        say("stop")

    async def asgi(self, scope, receive, send):
        if scope["type"] != "http":
            return
        await receive()
        say(f"asked {scope['path']}")
        if scope["path"] == "/slow":
            await self.ending.wait()
            await asyncio.sleep(0.5)
        if scope["path"] == "/stuck":
            await asyncio.Event().wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        if scope["path"] == "/stream":
            await send({"type": "http.response.body", "body": b"first ", "more_body": True})
            await self.ending.wait()
        await send({"type": "http.response.body", "body": b"last"})


asyncio.run(run(Twin(), listen("127.0.0.1", int(sys.argv[1])), said="listening"))
