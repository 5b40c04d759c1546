"""The questions of servers that the client of one session was asked and has not answered.

A question ends once: with its answer, when it is withdrawn, or when nobody waits for it any longer. Its id is ours
and cannot be guessed, so that only who was asked can answer.
"""

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from gateway.errors import Limited
from gateway.mcp.terms import Message, Notification, Params, Request, Response

OPEN: Final = 64
"""Questions that one session may have open."""

PATIENCE_S: Final = 600.0
"""How long a client may think about a question."""

ENDED: Final = -32603
"""The code by which a server learns that its question got no answer (JSON-RPC: internal error)."""


@dataclass(frozen=True, slots=True)
class _Question:
    answer: "asyncio.Future[Response]"
    say: Callable[[Message], None]


class Questions:
    """What one client has yet to answer, by id. It may think about each for ``patience`` seconds."""

    def __init__(self, patience: float = PATIENCE_S) -> None:
        self.patience = patience
        self._open: dict[str, _Question] = {}

    async def ask(
        self, method: str, params: Params, say: Callable[[Message], None], *, asked: set[str] | None = None
    ) -> Response:
        """The client's answer to a question that ``say`` puts to it, or an error that says why there is none.
        ``asked`` holds its id as long as it is open. When nobody waits for it any longer, the client is told.
        Raises ``Limited``.
        """
        if len(self._open) >= OPEN:
            raise Limited("the client has too many questions open", retry_after=1)
        id = f"ask-{secrets.token_urlsafe(18)}"
        question = self._open[id] = _Question(asyncio.get_running_loop().create_future(), say)
        ours = set() if asked is None else asked
        ours.add(id)
        say(Request(id, method, params))
        try:
            async with asyncio.timeout(self.patience):
                return await question.answer
        except TimeoutError:
            return _unanswered("the client did not answer in time")
        finally:
            ours.discard(id)
            self.withdraw(id, "nobody waits for the answer any longer")

    def settle(self, response: Response) -> bool:
        """Take an answer in; False when nothing of this session has that id or waits for it any longer."""
        question = self._open.pop(response.id, None) if isinstance(response.id, str) else None
        if question is None or question.answer.done():
            return False
        question.answer.set_result(response)
        return True

    def withdraw(self, id: str, reason: str) -> None:
        """Take a question back that is still open: its client is told, and whoever waits for it gets an error."""
        if (question := self._open.pop(id, None)) is None:
            return
        question.say(Notification("notifications/cancelled", {"requestId": id, "reason": reason}))
        if not question.answer.done():
            question.answer.set_result(_unanswered(reason))


def _unanswered(why: str) -> Response:
    return Response(None, error={"code": ENDED, "message": why})
