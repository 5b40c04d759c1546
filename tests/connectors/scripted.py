"""A transport whose other end is the test."""

import asyncio

from connectors.conversation import Conversation, Terms
from gateway.mcp.terms import Era, Request, Response

LEGACY = Terms(Era.LEGACY, "2025-11-25", {})
MODERN = Terms(Era.MODERN, "2026-07-28", {})


class Scripted:
    """``answers`` maps a method to what it is answered with: a result, an error ``Response``-to-be, an exception to
    raise from ``send``, or a function of the request. What is not in it stays unanswered. With ``http``, ``send``
    lasts until the answer has been given."""

    def __init__(self, answers=None, *, http=False):
        self.answers = answers or {}
        self.http = http
        self.sent = []
        self.how = []
        self.closed = 0
        self.open_streams = 0
        self.changed = asyncio.Condition()
        self.receive = self.lost = None
        self.streams = {}
        self.listened = False

    async def start(self, receive, lost):
        self.receive, self.lost = receive, lost
        if isinstance(self.answers.get("start"), Exception):
            raise self.answers["start"]

    async def send(self, message, *, version=None, modern=False, name="", repeated=None):
        self.sent.append(message)
        self.how.append({"version": version, "modern": modern, "name": name})
        async with self.changed:
            self.changed.notify_all()
        method = getattr(message, "method", "")
        if method not in self.answers:
            await self._linger(message)
            return
        answer = self.answers[method]
        if callable(answer) and not isinstance(answer, type):
            answer = answer(message)
        if isinstance(answer, BaseException):
            raise answer
        if isinstance(answer, Response):
            self.receive(Response(message.id, answer.result, answer.error))
        elif isinstance(message, Request):
            self.receive(Response(message.id, answer))

    async def _linger(self, message):
        """Over HTTP a POST lasts as long as its answer is outstanding."""
        if not self.http or not isinstance(message, Request):
            return
        stream = self.streams[message.id] = asyncio.Event()
        self.open_streams += 1
        try:
            await stream.wait()
        finally:
            self.open_streams -= 1

    async def listen(self):
        self.listened = True
        await asyncio.Event().wait()

    async def close(self):
        self.closed += 1

    async def until(self, count, method=None):
        """The messages sent (of that method), once there are ``count``."""

        def chosen():
            return [each for each in self.sent if method in (None, getattr(each, "method", ""))]

        async with asyncio.timeout(5), self.changed:
            await self.changed.wait_for(lambda: len(chosen()) >= count)
        return chosen()

    def answer(self, id, result=None, error=None):
        self.receive(Response(id, result, error))
        if id in self.streams:
            self.streams[id].set()


def error(code, message="no", data=None):
    return Response(0, error={"code": code, "message": message} | ({} if data is None else {"data": data}))


async def talking(transport, terms=LEGACY, **given):
    """A conversation after its handshake; ``.told`` and ``.why`` are what it reported."""
    told, why = [], []
    defaults = {"name": "up", "client": {"name": "ours"}, "timeout": 5.0, "http": transport.http, "exclusive": False}
    talk = Conversation(transport, told=told.append, ended=why.append, **(defaults | given))
    await talk.start()
    talk.terms = terms
    talk.test_told, talk.test_why = told, why
    return talk
