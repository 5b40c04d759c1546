"""The tools of ``everything.py`` that ask the client something first; the answer they give is what they were told.

``ask`` asks for all of ``kinds`` at once, ``turns`` times; with ``hold`` it does not end by itself. A legacy client is asked on the stream of the call, or
(``aside``) on the stream that stands open beside all calls, or (``late``) after that stream was hung up on and the
client has come back; a modern one by a result that requires input.
"""

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import anyio
import mcp_types as types
from mcp.shared.exceptions import MCPError
from mcp.shared.message import ServerMessageMetadata

MODERN = "2026-07-28"
TEXT = {"type": "string"}
FORM = {"type": "object", "properties": {"name": TEXT}, "required": ["name"]}
KINDS = ("sampling", "tools", "form", "url", "roots")

TOOLS = [
    {
        "name": "ask",
        "description": "what the client answered to each of `kinds`, asked at once, in each of `turns`",
        "inputSchema": {
            "type": "object",
            "properties": {
                "kinds": {"type": "array", "items": {"enum": list(KINDS)}},
                "turns": {"type": "integer"},
                "aside": {"type": "boolean"},
                "late": {"type": "boolean"},
                "name": TEXT,
                "hold": {"type": "boolean"},
            },
        },
    },
    {
        "name": "asks",
        "description": "what became of the calls of `ask` that have a `name`",
        "inputSchema": {"type": "object", "properties": {}},
    },
    {
        "name": "link",
        "description": "nothing before the user was at the link `id`; then says that he was",
        "inputSchema": {"type": "object", "properties": {"id": TEXT}},
    },
    {
        "name": "arrive",
        "description": "the user comes to the link `id`, which the client is told",
        "inputSchema": {"type": "object", "properties": {"id": TEXT}},
    },
    {
        "name": "reconsider",
        "description": "asks with a form, takes the question back, and says so",
        "inputSchema": {"type": "object", "properties": {}},
    },
    {
        "name": "demand",
        "description": "refuses clients that cannot be asked for a sample",
        "inputSchema": {"type": "object", "properties": {}},
    },
]
NAMES = {each["name"] for each in TOOLS}

arrived: set[str] = set()
named: dict[str, str] = {}


def question(kind: str, id: str) -> Any:
    message = {"role": "user", "content": {"type": "text", "text": "Say a word."}}
    match kind:
        case "roots":
            return types.ListRootsRequest()
        case "form":
            params: dict[str, Any] = {"mode": "form", "message": "What is your name?", "requestedSchema": FORM}
            return types.ElicitRequest(params=types.ElicitRequestFormParams.model_validate(params, by_name=False))
        case "url":
            params = {"mode": "url", "message": "Sign in.", "url": f"https://sign.test/in?{id}", "elicitationId": id}
            return types.ElicitRequest(params=types.ElicitRequestURLParams.model_validate(params, by_name=False))
        case _:
            params = {"messages": [message], "maxTokens": 10}
            if kind == "tools":
                params["tools"] = [{"name": "dice", "inputSchema": {"type": "object"}}]
            return types.CreateMessageRequest(
                params=types.CreateMessageRequestParams.model_validate(params, by_name=False)
            )


RESULTS = {
    "roots": types.ListRootsResult,
    "form": types.ElicitResult,
    "url": types.ElicitResult,
    "sampling": types.CreateMessageResult,
    "tools": types.CreateMessageResultWithTools,
}


def plain(model: Any) -> dict[str, Any]:
    return model.model_dump(by_alias=True, mode="json", exclude_none=True)


def words(value: Any) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": json.dumps(value)}]}


def wanted(requests: dict[str, Any], state: Any) -> dict[str, Any]:
    return {"resultType": "input_required", "inputRequests": requests, "requestState": json.dumps(state)}


async def call(ctx: Any, params: Any) -> dict[str, Any]:
    arguments = params.arguments or {}
    modern = ctx.protocol_version == MODERN
    match params.name:
        case "ask":
            kinds, turns = arguments.get("kinds", ["form"]), arguments.get("turns", 1)
            if modern:
                return ask_modern(params, kinds, turns)
            if arguments.get("late"):
                await ctx.close_sse_stream()
            aside = arguments.get("aside", False)
            with recorded(arguments.get("name")):
                told = [await ask(ctx, kinds, aside=aside) for _ in range(turns)]
                if arguments.get("hold"):
                    await anyio.sleep_forever()
            return words(told)
        case "asks":
            return words(named)
        case "link":
            return link_modern(params) if modern else link(arguments.get("id", "link"))
        case "arrive":
            arrived.add(arguments["id"])
            if not modern:
                await ctx.session.send_elicit_complete(arguments["id"])
            return words("there")
        case "demand":
            return demand(ctx)
        case _:
            return await reconsider(ctx)


@contextmanager
def recorded(name: str | None) -> Iterator[None]:
    if name is None:
        yield
        return
    named[name] = "asking"
    try:
        yield
        named[name] = "answered"
    except anyio.get_cancelled_exc_class():
        named[name] = "cancelled"
        raise


async def ask(ctx: Any, kinds: list[str], *, aside: bool) -> list[Any]:
    """The answers, in the order of ``kinds``; what could not be asked answers with its error."""
    answers: list[Any] = [None] * len(kinds)
    related = None if aside else ServerMessageMetadata(related_request_id=ctx.request_id)

    async def one(place: int, kind: str) -> None:
        try:
            request = question(kind, secrets.token_hex(4))
            answers[place] = plain(await ctx.session.send_request(request, RESULTS[kind], metadata=related))
        except MCPError as error:
            answers[place] = {"error": plain(error.error)}

    async with anyio.create_task_group() as group:
        for place, kind in enumerate(kinds):
            group.start_soon(one, place, kind)
    return answers


def ask_modern(params: Any, kinds: list[str], turns: int) -> dict[str, Any]:
    told = json.loads(params.request_state) if params.request_state else []
    if params.request_state:
        given = params.input_responses or {}
        told = [*told, [plain(given[kind]) if kind in given else None for kind in kinds]]
    if len(told) >= turns:
        return words(told)
    return wanted({kind: plain(question(kind, "")) for kind in kinds}, told)


def link(id: str) -> dict[str, Any]:
    if id in arrived:
        arrived.discard(id)
        return words("he was there")
    data = {"elicitations": [plain(question("url", id).params)]}
    raise MCPError(code=types.URL_ELICITATION_REQUIRED, message="sign in first", data=data)


def link_modern(params: Any) -> dict[str, Any]:
    if params.input_responses:
        return words("he was there")
    return wanted({"sign-in": plain(question("url", ""))}, "")


def demand(ctx: Any) -> dict[str, Any]:
    if ctx.session.check_client_capability(types.ClientCapabilities(sampling=types.SamplingCapability())):
        return words("fine")
    data = {"requiredCapabilities": {"sampling": {}}}
    raise MCPError(code=types.MISSING_REQUIRED_CLIENT_CAPABILITY, message="the client cannot be asked", data=data)


async def reconsider(ctx: Any) -> dict[str, Any]:
    related = ServerMessageMetadata(related_request_id=ctx.request_id)
    with anyio.move_on_after(0.2):
        await ctx.session.send_request(question("form", ""), types.ElicitResult, metadata=related)
        return words("answered")
    return words("taken back")
