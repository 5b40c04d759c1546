"""The client of one request, as a tool of the suite's server meets it, and the words that tools answer in.

What a tool needs to know from the client it asks in the way of the era it is called in: by a request, or by a result
that wants input.
"""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import anyio
import mcp_types as types
from everything import MODERN
from mcp.shared.exceptions import MCPError
from mcp.shared.message import ServerMessageMetadata

SHAPES: dict[str, tuple[Any, Any]] = {
    "elicitation/create": (types.ElicitRequest, types.ElicitResult),
    "sampling/createMessage": (types.CreateMessageRequest, types.CreateMessageResult),
    "roots/list": (types.ListRootsRequest, types.ListRootsResult),
}
Params = dict[str, Any]


class Unanswered(Exception):
    """The client has to be asked first; ``result`` asks it."""

    def __init__(self, result: Params) -> None:
        self.result = result


@dataclass
class Client:
    """The client of one request, as its tool meets it."""

    ctx: Any
    arguments: Params
    known: Params = field(default_factory=dict)

    @property
    def modern(self) -> bool:
        return bool(self.ctx.protocol_version == MODERN)

    @property
    def can(self) -> Params:
        declared = self.ctx.session.client_capabilities
        return {} if declared is None else declared.model_dump(by_alias=True, exclude_none=True)

    def lacks(self, **capability: Params) -> Params:
        """The answer to a client that should have ``capability``: an error where its era has one, else a tool error."""
        if self.modern:
            data = {"requiredCapabilities": capability}
            raise MCPError(code=-32021, message=f"needs a client with {', '.join(capability)}", data=data)
        return says(f"This tool needs a client with {', '.join(capability)}.", isError=True)

    async def ask(self, questions: Params, *, state: bool = True) -> Params:
        """What the client answers to (method, params) by name; with ``state``, a modern one also carries the rest."""
        if not self.modern:
            answers: Params = {}
            async with anyio.create_task_group() as together:
                for name, question in questions.items():
                    together.start_soon(self._request, answers, name, *question)
            return answers
        given = self.ctx.params.get("inputResponses") or {}
        self.known |= json.loads(self.ctx.params.get("requestState") or "{}")
        self.known |= {name: answer for name, answer in given.items() if name in questions}
        if questions.keys() <= self.known.keys():
            return {name: self.known[name] for name in questions}
        asked = {name: {"method": method, "params": params} for name, (method, params) in questions.items()}
        memory = {"requestState": json.dumps(self.known)} if state else {}
        raise Unanswered({"resultType": "input_required", "inputRequests": asked, **memory})

    async def _request(self, answers: Params, name: str, method: str, params: Params) -> None:
        question, answer = SHAPES[method]
        request = question.model_validate({"method": method, "params": params})
        metadata = ServerMessageMetadata(related_request_id=self.ctx.request_id)
        result = await self.ctx.session.send_request(request, answer, metadata=metadata)
        answers[name] = result.model_dump(by_alias=True, exclude_none=True, mode="json")

    async def log(self, *lines: str) -> None:
        for line in lines:
            await self.ctx.session.send_log_message("info", line, related_request_id=self.ctx.request_id)
            await anyio.sleep(0.02)


Tool = Callable[[Client], Awaitable[Params]]


def takes(**properties: Params) -> Params:
    return {"type": "object", "properties": properties}


def says(*blocks: str | Params, **more: Any) -> Params:
    return {"content": [text(each) if isinstance(each, str) else each for each in blocks], **more}


def text(words: str) -> Params:
    return {"type": "text", "text": words}


def form(message: str, **properties: Params) -> tuple[str, Params]:
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    return "elicitation/create", {"message": message, "requestedSchema": schema}


def sample(words: str) -> tuple[str, Params]:
    messages = [{"role": "user", "content": text(words)}]
    return "sampling/createMessage", {"messages": messages, "maxTokens": 100}
