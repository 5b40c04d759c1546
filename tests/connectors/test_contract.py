"""What every kind of upstream does alike: over pipes, streamable HTTP and event streams, in both eras."""

import asyncio
import json
import secrets

import pytest
import pytest_asyncio

from connectors.base import QUIET, Change, Event, Sharing, Unasked, UpstreamError
from connectors.egress import Egress
from connectors.upstream import Upstream
from gateway.errors import UpstreamFailed
from gateway.mcp.terms import Era, Kind
from tests.connectors.raw_http import TLS
from tests.upstreams.starting import CLIENT, piped, reached

pytestmark = pytest.mark.asyncio(loop_scope="module")

MODERN, LEGACY = Era.MODERN, Era.LEGACY
KINDS = {
    "stdio-both": ("stdio", MODERN),
    "stdio-legacy": ("stdio", LEGACY),
    "http-both": ("http", MODERN),
    "http-legacy": ("http", LEGACY),
    "http-modern": ("http", MODERN),
    "http-json": ("http", LEGACY),
    "sse": ("sse", LEGACY),
}
SHARED = {"sharing": Sharing.ALL, "tools": {"echo": "read", "slow": "write"}, "trust_hints": True}


@pytest_asyncio.fixture(loop_scope="module", scope="module", params=KINDS, name="kind")
async def opened(request, everything):
    """One upstream of each kind, with its era and whether it streams."""
    transport, expected = KINDS[request.param]
    if transport == "stdio":
        spec = piped("legacy" if expected is LEGACY else "auto", **SHARED)
    else:
        spec = reached(transport, everything[request.param], **SHARED)
    egress = Egress(tls=TLS)
    upstream = Upstream(spec, egress, client=CLIENT)
    yield upstream, expected, request.param != "http-json"
    async with asyncio.timeout(15):
        await upstream.close()
    await egress.close()


async def send(kind, method, params, caller=QUIET):
    upstream, _, _ = kind
    connection = await upstream.open("user:a", "user:a")
    async with asyncio.timeout(20):
        return await connection.send(method, params, caller)


async def call(kind, tool, arguments=None, *, caller=QUIET, meta=None):
    params = {"name": tool, "arguments": arguments or {}} | ({"_meta": meta} if meta else {})
    return await send(kind, "tools/call", params, caller)


def text(result):
    return result["content"][0]["text"]


async def until(condition):
    async with asyncio.timeout(10):
        while True:
            found = condition()
            if found := (await found if asyncio.iscoroutine(found) else found):
                return found
            await asyncio.sleep(0.01)


async def test_the_era_is_found_out(kind):
    upstream, expected, _ = kind
    connection = await upstream.open("user:a", "user:a")
    assert connection.era is expected


async def test_everything_is_listed_with_unknown_fields(kind):
    upstream, _, _ = kind
    found = await upstream.catalogue("user:a")
    tools = {item.name: item for item in found.items[Kind.TOOL]}
    assert {"echo", "slow", "wait", "destroy"} <= tools.keys()
    assert len(tools) >= 14
    assert tools["echo"].definition["x-vendor"] == {"kept": True}
    assert [item.name for item in found.items[Kind.PROMPT]][:2] == ["plain", "greeting"]
    assert [item.name for item in found.items[Kind.RESOURCE]][:2] == ["test://static", "test://binary"]
    assert [item.name for item in found.items[Kind.TEMPLATE]] == ["test://item/{id}"]
    assert found.instructions == "Ask for anything."
    assert "completions" in found.capabilities


async def test_tools_are_classified(kind):
    upstream, _, _ = kind
    found = await upstream.catalogue("user:a")
    tools = {item.name: (item.level, item.facts.destructive) for item in found.items[Kind.TOOL]}
    assert (tools["echo"], tools["slow"]) == (("read", False), ("write", False))
    assert (tools["grow"], tools["fail"], tools["destroy"]) == (("write", False), ("write", True), ("write", True))


async def test_a_call_is_answered_with_unknown_fields(kind):
    result = await call(kind, "echo", {"text": "hé"})
    assert json.loads(text(result))["arguments"] == {"text": "hé"}
    assert result["x-vendor"] == "kept"


async def test_many_calls_at_once_each_get_their_own_answer(kind):
    results = await asyncio.gather(*(call(kind, "echo", {"text": str(n)}) for n in range(40)))
    said = [json.loads(text(result)) for result in results]
    assert [each["arguments"]["text"] for each in said] == [str(n) for n in range(40)]
    assert len({each["nonce"] for each in said}) == 40


async def test_progress_is_told_with_the_clients_token(kind):
    _, _, streams = kind
    heard = []
    assert (
        text(await call(kind, "slow", {"steps": 3}, caller=Unasked(heard.append), meta={"progressToken": "mine"}))
        == "3"
    )
    assert [(each.params["progressToken"], each.params["progress"]) for each in heard] == (
        [("mine", 1), ("mine", 2), ("mine", 3)] if streams else []
    )


async def test_no_progress_is_told_to_whom_did_not_ask(kind):
    heard = []
    await call(kind, "slow", {"steps": 2}, caller=Unasked(heard.append))
    assert heard == []


async def test_a_cancelled_call_is_cancelled_behind_us(kind):
    name = secrets.token_hex(4)
    waiting = asyncio.create_task(call(kind, "wait", {"name": name}))

    async def state():
        return json.loads(text(await call(kind, "waits"))).get(name)

    await until(state)
    assert await state() == "running"
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting

    async def cancelled():
        return await state() == "cancelled"

    await until(cancelled)


async def test_a_tool_error_is_a_result_and_a_protocol_error_is_an_error(kind):
    result = await call(kind, "fail")
    assert (result["isError"], text(result)) == (True, "it did not work")
    with pytest.raises(UpstreamError) as caught:
        await call(kind, "broken")
    assert (caught.value.code, caught.value.message, caught.value.data) == (
        -32050,
        "broken on purpose",
        {"why": "asked for"},
    )
    with pytest.raises(UpstreamError) as caught:
        await call(kind, "no such tool")
    assert caught.value.code == -32602


async def test_structured_output_and_other_blocks_pass_through(kind):
    assert (await call(kind, "structured", {"text": "a"}))["structuredContent"] == {"text": "a"}
    blocks = (await call(kind, "picture"))["content"]
    assert [block["type"] for block in blocks] == ["image", "resource_link"]


async def test_a_parameter_that_travels_in_a_header_too_is_accepted(kind):
    await kind[0].catalogue("user:a")
    for region in ("eu", "Zürich", " padded "):
        assert json.loads(text(await call(kind, "routed", {"region": region}))) == {"region": region}


async def test_prompts_resources_and_completion(kind):
    prompt = await send(kind, "prompts/get", {"name": "greeting", "arguments": {"who": "Ada"}})
    assert prompt["messages"][0]["content"]["text"] == "Greet Ada."
    read = await send(kind, "resources/read", {"uri": "test://item/7"})
    assert read["contents"][0]["text"] == "the text of test://item/7"
    ref = {"type": "ref/prompt", "name": "greeting"}
    params = {"ref": ref, "argument": {"name": "who", "value": "a"}}
    assert (await send(kind, "completion/complete", params))["completion"]["values"] == ["ada", "alan"]
    with pytest.raises(UpstreamError) as caught:
        await send(kind, "resources/read", {"uri": "test://nothing"})
    assert caught.value.data == {"uri": "test://nothing"}


async def test_an_updated_resource_is_told_after_a_subscription(kind):
    upstream, _, _ = kind
    changes = []
    upstream.watch(changes.append)
    assert await send(kind, "resources/subscribe", {"uri": "test://static"}) == {}

    async def told():
        await call(kind, "touch", {"uri": "test://static"})
        return Change("up", Event.UPDATED, "", "test://static") in changes

    await until(told)
    assert await send(kind, "resources/unsubscribe", {"uri": "test://static"}) == {}


async def test_a_changed_list_is_read_again_and_told(kind):
    upstream, _, _ = kind
    changes = []
    upstream.watch(changes.append)
    await upstream.catalogue("user:a")

    name = text(await call(kind, "grow"))
    events = {Change("up", event) for event in (Event.TOOLS, Event.PROMPTS, Event.RESOURCES)}
    await until(lambda: events <= set(changes))
    found = await upstream.catalogue("user:a")
    assert name in {item.name for item in found.items[Kind.TOOL]}


async def test_an_unknown_method_is_an_error_of_the_server(kind):
    with pytest.raises((UpstreamError, UpstreamFailed)) as caught:
        await send(kind, "nothing/known", {})
    assert isinstance(caught.value, UpstreamError)
    assert caught.value.code == -32601
