"""What all steps of one request share, and how the server behind us meets its client meanwhile.

This file knows what a client may hear and be asked; it must not know who asks him, nor how he is reached.
"""

from dataclasses import dataclass

from connectors.base import NOT_ASKED, Caller, UpstreamError
from gateway.identity import Identities
from gateway.mcp import eras
from gateway.mcp.input_required import Question, lacking, question
from gateway.mcp.terms import PROGRESS_KEY, Call, Era, Notification, Params, Request
from gateway.pipeline.judge import Judge
from gateway.pipeline.passage import Passage
from gateway.policy.terms import Json, Subject
from gateway.records import Server


@dataclass(frozen=True, slots=True)
class Way:
    """One request under way; itself the caller of whatever is sent on for it. ``identities`` are the accounts as its
    judge's snapshot has them, ``server`` is what it comes in by, if a user offers that.
    """

    call: Call
    request: Request
    subject: Subject
    caller: Caller
    judge: Judge
    passage: Passage
    identities: Identities
    server: Server | None = None

    @property
    def capabilities(self) -> Params:
        """What the client declared; extensions are the modern era's alone."""
        declared = self.caller.capabilities
        if self.call.era is Era.MODERN or "extensions" not in declared:
            return declared
        return {name: value for name, value in declared.items() if name != "extensions"}

    @property
    def token(self) -> Json:
        """By which the client wants to hear of progress, if at all."""
        meta = self.request.params.get("_meta")
        return meta.get(PROGRESS_KEY) if isinstance(meta, dict) else None

    def tell(self, notification: Notification) -> None:
        """Pass on what the server behind us says meanwhile, as far as this call may hear it."""
        if eras.may_say(notification, self.call):
            self.caller.tell(notification)

    async def ask(self, method: str, params: Params) -> Params:
        asked = askable(method, params, self.capabilities)
        return await self.caller.ask(asked.method, asked.params)


def askable(method: str, params: Params, capabilities: Params) -> Question:
    """The question, if a client with these capabilities can be asked it. Raises ``UpstreamError`` for the server."""
    try:
        asked = question(method, params)
    except ValueError as unreadable:
        raise UpstreamError(NOT_ASKED, str(unreadable)) from None
    if missing := lacking([asked], capabilities):
        text = f"the client did not declare the capability `{'.'.join(_path(missing))}`"
        raise UpstreamError(NOT_ASKED, text, {"requiredCapabilities": missing})
    return asked


def _path(missing: Params) -> list[str]:
    """``{"elicitation": {"url": {}}}`` as ``elicitation``, ``url``."""
    name, parts = next(iter(missing.items()))
    return [name, *(_path(parts) if isinstance(parts, dict) and parts else ())]
