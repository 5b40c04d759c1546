"""The gateway's own tools at the door: found by name on the main server, judged as the operations that they do.

What such a tool does asks the policy itself, before it acts; what does not ask is a fault. This file knows none of
them by name.
"""

import asyncio
from collections.abc import Iterable
from operator import attrgetter
from typing import cast

import msgspec

from gateway.builtins.terms import Answer, Builtin
from gateway.errors import InvalidArguments, Refusal
from gateway.mcp.terms import Kind, Params
from gateway.pipeline import answers
from gateway.pipeline.administer import Asking
from gateway.pipeline.shown import Shown
from gateway.pipeline.task_steps import refuse_task
from gateway.pipeline.way import Way
from gateway.policy.terms import MAIN


class BuiltinTools:
    """All of them."""

    def __init__(self, builtins: Iterable[Builtin]) -> None:
        self._tools = {each.name: each for each in sorted(builtins, key=attrgetter("name"))}
        self._acting: set[asyncio.Task[object] | None] = set()

    def of(self, domain: str) -> tuple[Builtin, ...]:
        """Those that a server offers, in order of name."""
        return tuple(self._tools.values()) if domain == MAIN else ()

    def find(self, domain: str, name: str) -> Builtin | None:
        return self._tools.get(name) if domain == MAIN else None

    def acts(self, task: "asyncio.Task[object]") -> bool:
        """Whether such a tool is under way in ``task``: it may have ended the very credential of its caller, who is
        still to hear of it.
        """
        return task in self._acting

    async def take(self, tool: Builtin, way: Way, shown: Shown, asking: Asking) -> Params:
        """The result, in no era yet. Raises ``Refusal``."""
        way.passage.kind, way.passage.object = Kind.TOOL, tool.name
        if not shown.sees(tool):
            raise answers.unknown(way.call)
        refuse_task(way, shown.view, tool.name)
        task = asyncio.current_task()
        self._acting.add(task)
        try:
            answer = await tool.does(asking, _arguments(tool, way))
        except Refusal as refusal:
            raise answers.of_our_own(refusal) from None
        finally:
            self._acting.discard(task)
        if not asking.asked:
            raise RuntimeError(f"`{tool.name}` acted without asking")
        return _told(answer)


def _arguments(tool: Builtin, way: Way) -> Params:
    """What the call says, as far as it fits the schema. Raises ``InvalidArguments``."""
    args = cast("Params", way.request.params.get("arguments", {}))  # an object, as every message was checked
    if problems := tool.arguments.problems(args):
        raise InvalidArguments("; ".join(problems))
    return args


def _told(answer: Answer) -> Params:
    said = {"result": answer.result, "message": answer.message, "nextSteps": answer.next_steps}
    return {"content": [{"type": "text", "text": msgspec.json.encode(said).decode()}]}
