"""A client that can be asked: it answers as the test says, and remembers what reached it."""

import asyncio
from dataclasses import dataclass, field

from connectors.base import UpstreamError
from gateway.mcp.terms import Notification, Params

EVERYTHING = {"roots": {}, "sampling": {"tools": {}, "context": {}}, "elicitation": {"form": {}, "url": {}}}

SAMPLE = {"role": "assistant", "model": "mind", "content": {"type": "text", "text": "word"}, "x-vendor": 1}
FILLED = {"action": "accept", "content": {"name": "Ann"}}
ROOTS = {"roots": [{"uri": "file:///ann", "name": "hers"}]}
ANSWERS = {"sampling/createMessage": SAMPLE, "elicitation/create": FILLED, "roots/list": ROOTS}


@dataclass
class Client:
    """``answers`` maps a method to a result, an error to raise, or ``None`` for never. ``taken_back`` counts the
    questions that were cancelled.
    """

    capabilities: Params = field(default_factory=lambda: dict(EVERYTHING))
    answers: Params = field(default_factory=lambda: dict(ANSWERS))
    heard: list[Notification] = field(default_factory=list)
    asked: list[tuple[str, Params]] = field(default_factory=list)
    taken_back: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def tell(self, notification):
        self.heard.append(notification)
        self.changed.set()

    async def ask(self, method, params):
        self.asked.append((method, params))
        self.changed.set()
        answer = self.answers[method]
        try:
            await (asyncio.sleep(0) if answer is not None else asyncio.Event().wait())
        except asyncio.CancelledError:
            self.taken_back += 1
            self.changed.set()
            raise
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def until(self, true):
        async with asyncio.timeout(10):
            while not true(self):
                self.changed.clear()
                await self.changed.wait()


DECLINED = {"action": "decline"}
REFUSED = UpstreamError(-1, "the user rejected sampling", {"why": "no"})
