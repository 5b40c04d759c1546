"""Real servers that ask: over every transport, in every revision, each question reaches the caller it belongs to."""

import asyncio
import json
import secrets
from dataclasses import replace

import pytest
import pytest_asyncio

from connectors.base import QUIET, Sharing, UpstreamError
from connectors.egress import Egress
from connectors.upstream import Upstream
from gateway.mcp.questions import TASKS
from gateway.mcp.terms import Era
from tests.connectors.asked import DECLINED, FILLED, REFUSED, ROOTS, SAMPLE, Client
from tests.connectors.raw_http import TLS
from tests.upstreams.starting import CLIENT, all_served, piped, reached

pytestmark = pytest.mark.asyncio(loop_scope="module")

REVISIONS = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
LEGACY = {
    **{f"http-{revision}": ("http", revision) for revision in REVISIONS},
    "http-resume": ("http", "legacy", "resume"),
    **{f"sse-{revision}": ("sse", revision) for revision in REVISIONS},
}
PIPED = {"stdio-2024-11-05": "2024-11-05", "stdio-2025-11-25": "2025-11-25"}
KINDS = ["sampling", "form", "url", "roots", "tools"]


@pytest.fixture(scope="module")
def ports():
    with all_served({**LEGACY, "http-modern": ("http", "modern")}) as found:
        yield found


@pytest_asyncio.fixture(loop_scope="module", scope="module", params=[*LEGACY, *PIPED], name="legacy")
async def legacy_upstream(request, ports):
    """A legacy server of each transport and revision, with a session for each principal."""
    if request.param in PIPED:
        spec = replace(piped(PIPED[request.param], sharing=Sharing.PRINCIPAL), era=Era.LEGACY)
    else:
        spec = reached(LEGACY[request.param][0], ports[request.param], sharing=Sharing.PRINCIPAL, era=Era.LEGACY)
    async for upstream in served(spec):
        yield upstream


@pytest_asyncio.fixture(loop_scope="module", scope="module", params=["http", "stdio"], name="modern")
async def modern_upstream(request, ports):
    piping = request.param == "stdio"
    spec = piped("auto", sharing=Sharing.ALL) if piping else reached("http", ports["http-modern"])
    async for upstream in served(spec):
        yield upstream


async def served(spec):
    egress = Egress(tls=TLS)
    upstream = Upstream(spec, egress, client=CLIENT)
    yield upstream
    async with asyncio.timeout(15):
        await upstream.close()
    await egress.close()


async def result(upstream, tool, arguments=None, *, caller=QUIET, who="user:a", **more):
    connection = await upstream.open(who, who, caller.capabilities)
    async with asyncio.timeout(20):
        return await connection.send("tools/call", {"name": tool, "arguments": arguments or {}, **more}, caller)


async def call(*given, **named):
    text = (await result(*given, **named))["content"][0]["text"]
    return json.loads(text) if text[0] in '["' else text


async def test_each_kind_of_question_is_answered_by_the_caller(legacy):
    client = Client()
    ((sampled, filled, _, roots, tools),) = await call(legacy, "ask", {"kinds": KINDS}, caller=client)
    assert (sampled["content"]["text"], filled, roots) == ("word", FILLED, ROOTS)
    assert tools["model"] == "mind"
    assert sorted(method for method, _ in client.asked) == sorted(
        ["sampling/createMessage", "elicitation/create", "elicitation/create", "roots/list", "sampling/createMessage"]
    )
    assert all("_meta" not in params for _, params in client.asked)


async def test_questions_that_follow_each_other_are_all_asked(legacy):
    client = Client()
    told = await call(legacy, "ask", {"kinds": ["form", "roots"], "turns": 3}, caller=client)
    assert told == [[FILLED, ROOTS]] * 3
    assert len(client.asked) == 6


async def test_a_question_beside_the_stream_of_the_call_is_asked_too(legacy):
    client = Client()
    assert await call(legacy, "ask", {"kinds": ["form"], "aside": True}, caller=client) == [[FILLED]]


async def test_a_client_that_declines_or_fails_is_told_to_the_server_as_it_is(legacy):
    client = Client()
    client.answers |= {"elicitation/create": DECLINED, "sampling/createMessage": REFUSED}
    ((declined, refused),) = await call(legacy, "ask", {"kinds": ["form", "sampling"]}, caller=client)
    assert declined == DECLINED
    assert refused == {"error": {"code": -1, "message": "the user rejected sampling", "data": {"why": "no"}}}


async def test_a_client_is_never_asked_what_it_did_not_declare(legacy):
    client = Client(capabilities={"elicitation": {}})
    ((sampled, filled, url, roots),) = await call(
        legacy, "ask", {"kinds": ["sampling", "form", "url", "roots"]}, caller=client
    )
    assert filled == FILLED
    assert [each["error"]["code"] for each in (sampled, url, roots)] == [-32601, -32602, -32601]
    assert [method for method, _ in client.asked] == ["elicitation/create"]


async def test_a_caller_who_cannot_be_asked_gives_the_server_an_error_at_once(legacy):
    ((refused,),) = await call(legacy, "ask", {"kinds": ["form"]})
    assert refused["error"]["code"] == -32601


async def test_callers_of_two_principals_are_each_asked_for_their_own_call(legacy):
    clients = {who: Client() for who in ("user:x", "user:y")}
    for who, client in clients.items():
        client.answers["elicitation/create"] = {"action": "accept", "content": {"name": who}}
    told = await asyncio.gather(
        *(call(legacy, "ask", {"kinds": ["form"]}, caller=client, who=who) for who, client in clients.items())
    )
    assert [answer["content"]["name"] for ((answer,),) in told] == ["user:x", "user:y"]
    assert [len(client.asked) for client in clients.values()] == [1, 1]


async def test_a_call_that_is_cancelled_takes_its_question_back(legacy):
    client = Client(answers={"elicitation/create": None})
    calling = asyncio.create_task(call(legacy, "ask", {"kinds": ["form"]}, caller=client))
    await client.until(lambda client: client.asked)
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    await client.until(lambda client: client.taken_back == 1)
    assert await call(legacy, "ask", {"kinds": ["form"]}, caller=Client()) == [[FILLED]]


async def test_a_server_that_takes_its_question_back_cancels_it_at_the_client(legacy):
    client = Client(answers={"elicitation/create": None})
    assert await call(legacy, "reconsider", caller=client) == "taken back"
    await client.until(lambda client: client.taken_back == 1)


async def test_a_link_that_is_required_is_an_error_and_its_completion_is_told_to_the_same_caller(legacy):
    client, id = Client(), secrets.token_hex(4)
    with pytest.raises(UpstreamError) as caught:
        await call(legacy, "link", {"id": id}, caller=client)
    assert (caught.value.code, caught.value.data["elicitations"][0]["elicitationId"]) == (-32042, id)
    await call(legacy, "arrive", {"id": id}, caller=Client())
    await client.until(lambda client: client.heard)
    assert [(each.method, each.params["elicitationId"]) for each in client.heard] == [
        ("notifications/elicitation/complete", id)
    ]
    assert await call(legacy, "link", {"id": id}, caller=client) == "he was there"


async def test_a_modern_server_gives_back_what_it_requires_and_goes_on_with_the_answers(modern):
    client = Client()
    wanted = await result(modern, "ask", {"kinds": ["form", "sampling"]}, caller=client)
    assert wanted["resultType"] == "input_required"
    assert {key: asked["method"] for key, asked in wanted["inputRequests"].items()} == {
        "form": "elicitation/create",
        "sampling": "sampling/createMessage",
    }
    answers = {"form": FILLED, "sampling": SAMPLE}
    ((filled, sampled),) = await call(
        modern,
        "ask",
        {"kinds": ["form", "sampling"]},
        caller=client,
        inputResponses=answers,
        requestState=wanted["requestState"],
    )
    assert (filled, sampled["content"]["text"]) == (FILLED, "word")
    assert client.asked == []


async def test_a_modern_server_learns_with_each_request_what_its_caller_can_be_asked_for(modern):
    assert await call(modern, "demand", caller=Client()) == "fine"
    with pytest.raises(UpstreamError) as caught:
        await call(modern, "demand", caller=Client(capabilities={"roots": {}, "extensions": {TASKS: {}}}))
    assert (caught.value.code, caught.value.data) == (-32021, {"requiredCapabilities": {"sampling": {}}})
    assert len(modern._lines.of("" if modern._spec.sharing is Sharing.ALL else "user:a")) == 1


async def test_a_server_that_hangs_up_on_a_long_call_is_come_back_to(ports):
    async for upstream in served(reached("http", ports["http-resume"], era=Era.LEGACY)):
        assert await asyncio.gather(*(call(upstream, "doze") for _ in range(5))) == ["came back"] * 5
        client = Client()
        assert await call(upstream, "ask", {"kinds": ["form"], "late": True}, caller=client) == [[FILLED]]
    async for upstream in served(reached("http", ports["http-2025-06-18"], era=Era.LEGACY)):
        assert await call(upstream, "doze") == "stayed"
