"""One call of a package: bounded in time, its faults told without their traces, its progress passed on.

Foreign code runs here, in a task of its own: nothing that it raises goes further, and nothing that it is given is ours
to lose: arguments and configuration are copies.
"""

import asyncio
import logging
import traceback
from collections.abc import Awaitable
from typing import Final

import msgspec

from connectors.base import Caller
from connectors.packages.package import Context, Package
from gateway.errors import UpstreamFailed
from gateway.mcp.terms import PROGRESS_KEY, Notification, Params
from gateway.policy.terms import Json

LONGEST_MESSAGE: Final = 1_000
"""Characters that a package says of a failure, or of its progress."""

LARGEST: Final = 16 * 2**20
"""Bytes of one result."""

RESULT: Final = ("content", "structuredContent", "isError", "_meta")
"""What an answer that is a result itself (MCP 2025-11-25, CallToolResult) may hold."""

log = logging.getLogger(__name__)


class Running:
    """The tasks of one package. ``name`` is the package's."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._tasks: set[asyncio.Task[object]] = set()

    async def __call__(self, work: Awaitable[object], within: float) -> asyncio.Task[object]:
        """The task that did ``work``, done, with its outcome. What takes longer than ``within`` seconds is cancelled,
        and so is what nobody waits for any more. Raises ``UpstreamFailed``.
        """
        task = asyncio.create_task(_contained(work), name=f"handler package {self._name}")
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        try:
            await asyncio.wait({task}, timeout=within)
        finally:
            task.cancel()  # of one that is done, nothing
        if not task.done():
            raise UpstreamFailed(f"`{self._name}` took longer than {within:.0f} s; whether it was done is not known")
        if task.cancelled():
            raise UpstreamFailed(f"`{self._name}` gave the call up")
        return task

    async def end(self, within: float) -> None:
        """Cancel all that runs, and wait for it at most ``within`` seconds."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait({*self._tasks}, timeout=within)

    def _ended(self, task: asyncio.Task[object]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waited has told it


async def handled(
    package: Package, args: Params, context: Context, config: Params, caller: Caller, params: Params
) -> object:
    """What the package answers to one call, and tells on the way; nothing after it (MCP 2025-11-25, progress)."""
    progress = _Progress(caller, params)
    try:
        return await package.handle(_copied(args), context, _copied(config), progress)
    finally:
        progress.end()


def _copied(value: Params) -> Params:
    """Another object with the same JSON in it."""
    copied: Params = msgspec.json.decode(msgspec.json.encode(value))
    return copied


def fault_of(name: str, task: asyncio.Task[object]) -> str:
    """What went wrong in ``task``, for its caller; ``""``: nothing did. The text of a plain ``ValueError`` is meant for
    him; of anything else he learns no more than that.
    """
    fault = task.exception()
    if type(fault) is ValueError and str(fault):
        return _line(str(fault))
    return f"`{name}` failed; the gateway's log says where" if noted(name, task) else ""


def noted(name: str, task: asyncio.Task[object]) -> bool:
    """Whether something went wrong in ``task``. The log then has the kind and the place, but no words, which may hold
    what is secret.
    """
    fault = task.exception()
    if fault is None:
        return False
    places = traceback.extract_tb(fault.__traceback__)[-1:]
    where = "".join(f" at {each.name}, {each.filename}:{each.lineno}" for each in places)
    log.error("handler package %s failed: %s%s", name, type(fault).__qualname__, where)
    return True


def failed(text: str) -> Params:
    """A result that tells a failure."""
    return {"content": [{"type": "text", "text": f"Error: {text}"}], "isError": True}


def result_of(name: str, value: object) -> Params:
    """What the package answered as a result: one that is a result already, else a text, or JSON in one (and as
    structure, where it is an object).
    """
    if isinstance(value, str):
        value = {"content": [{"type": "text", "text": value}]}
    try:
        encoded = msgspec.json.encode(value)
        plain: Json = msgspec.json.decode(encoded)
    except (TypeError, ValueError, RecursionError, OverflowError):
        return failed(f"`{name}` answered what is no JSON")
    if len(encoded) > LARGEST:
        return failed(f"`{name}` answered more than {LARGEST} bytes")
    if _is_result(plain) and isinstance(plain, dict):
        return {key: plain[key] for key in RESULT if key in plain}
    shown: Params = {"content": [{"type": "text", "text": encoded.decode()}]}
    return {**shown, "structuredContent": plain} if isinstance(plain, dict) else shown


def _is_result(value: Json) -> bool:
    content = value.get("content") if isinstance(value, dict) else None
    return isinstance(content, list) and all(
        isinstance(each, dict) and isinstance(each.get("type"), str) for each in content
    )


class _Progress:
    """What a package says how far it is with; nobody hears it unless the client asked for it."""

    def __init__(self, caller: Caller, params: Params) -> None:
        meta = params.get("_meta")
        self._token = meta.get(PROGRESS_KEY) if isinstance(meta, dict) else None
        self._caller = caller
        self._ended = False

    def end(self) -> None:
        """From here on nothing is told."""
        self._ended = True

    def __call__(self, current: float, total: float | None = None, message: str = "") -> None:
        """Tell that ``current`` of ``total`` is done."""
        if self._token is None or self._ended:
            return
        told: Params = {"progressToken": self._token, "progress": float(current)}
        told |= {} if total is None else {"total": float(total)}
        told |= {"message": _line(str(message))} if message else {}
        self._caller.tell(Notification("notifications/progress", told))


def _line(text: str) -> str:
    plain = "".join(each if each.isprintable() else " " for each in text)
    return plain if len(plain) <= LONGEST_MESSAGE else plain[:LONGEST_MESSAGE] + " …"


async def _contained(work: Awaitable[object]) -> object:
    try:
        return await work
    except SystemExit:  # which would end the gateway
        raise RuntimeError("it wanted to end the process") from None
