"""Requests of tools made at run time over the wire: where they go, whose secrets they carry, how they end."""

import asyncio
import json
import logging

import pytest

from connectors.addresses import Exceptions, parse
from connectors.base import QUIET, Secret, UpstreamError
from connectors.http_calls.connector import AT_ONCE, HttpCalls
from connectors.http_calls.plan import HttpPlan, read_plan
from connectors.http_calls.secrets import NamedSecret, Secrets
from gateway.errors import InvalidArguments, NotConnected, UpstreamFailed
from gateway.mcp.terms import Era, Kind
from gateway.policy.mapping import ArgumentMapping, read_mapping
from gateway.policy.terms import SYSTEM, Tool
from tests.connectors.raw_http import until

ANN, BOB = "user:ann@example.com", "user:bob@example.com"
TOOL = "ann@example.com:report"
CANARY = "canary-s3cret/tok+en"


def answering(status=200, body=b"", **headers):
    async def reply(heard, writer):
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        told = {"Content-Type": "application/json", "Content-Length": str(len(content)), **headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in told.items())
        writer.write(f"HTTP/1.1 {status} X\r\n{head}\r\n".encode() + content)

    return reply


@pytest.fixture
async def hanging(serve):
    """A server that answers nothing until the test is over."""
    over = asyncio.Event()

    async def reply(heard, writer):
        await over.wait()

    yield await serve(reply)
    over.set()


@pytest.fixture
def calls(egress):
    """``calls(*secrets, private=…, timeout=…)``: what all requests have in common."""

    def make(*secrets, private=("api.test",), timeout=10.0):
        allow = parse(private)
        assert isinstance(allow, Exceptions)
        return HttpCalls(egress, lambda: 1_800_000_000_000, secrets=Secrets.of(secrets), private=allow, timeout=timeout)

    return make


def connector(calls, config, tool=TOOL):
    plan = read_plan(config)
    assert isinstance(plan, HttpPlan), plan
    return calls.connector(plan, tool), plan


async def call(calls, config, who=ANN, tool=TOOL, **args):
    found, plan = connector(calls, config, tool)
    mapping = read_mapping(plan.templates, args.keys())
    assert isinstance(mapping, ArgumentMapping), mapping
    connection = await found.open(who, found.owners(who)[0])
    return await connection.send("tools/call", {"name": plan.host, "arguments": mapping.filled(args)}, QUIET)


def url(server, rest="", host="api.test"):
    return f"http://{host}:{server.port}{rest}"


def secret(server, name="TOKEN", host="api.test", tools=(TOOL,)):
    return NamedSecret(name, Secret(CANARY), frozenset([f"{host}:{server.port}"]), frozenset(tools))


# -- one request


async def test_a_call_is_one_request_and_its_answer(serve, calls):
    server = await serve(answering(body={"id": 7}))
    config = {"url": url(server, "/v1/{{id}}?q={{q}}"), "method": "POST", "body": {"a": "{{a}}"}}
    result = await call(calls(), {**config, "headers": {"X-Kind": "k-{{q}}"}}, id="a b", q="c&d", a=[1])
    assert result["structuredContent"] == {"id": 7}
    (heard,) = server.heard
    assert (heard.method, heard.target, json.loads(heard.body)) == ("POST", "/v1/a%20b?q=c%26d", {"a": [1]})
    assert heard.header("host") == f"api.test:{server.port}"
    assert heard.header("x-kind") == "k-c&d"
    assert heard.header("accept") == heard.header("content-type") == "application/json"
    assert heard.header("user-agent") == "ostiary"
    assert heard.header("cookie") is None


async def test_a_tool_says_what_it_accepts_and_of_what_type_its_body_is(serve, calls):
    server = await serve(answering())
    headers = {"ACCEPT": "text/csv", "content-type": "application/vnd.x+json"}
    await call(calls(), {"url": url(server), "method": "PUT", "headers": headers, "body": {}})
    (heard,) = server.heard
    assert [value for name, value in heard.headers if name.lower() in ("accept", "content-type")] == [
        "text/csv",
        "application/vnd.x+json",
    ]


async def test_a_failure_is_told_with_the_words_of_the_other_side(serve, calls):
    server = await serve(answering(422, {"message": "no such thing"}))
    result = await call(calls(), {"url": url(server)})
    assert result["isError"] is True
    assert result["content"][0]["text"] == f"`api.test:{server.port}` answered HTTP 422: no such thing"


async def test_a_redirect_is_never_followed(serve, calls):
    target = await serve(answering())
    server = await serve(answering(302, Location=url(target, host="other.test")))
    with pytest.raises(UpstreamFailed, match=r"redirects to `other\.test`"):
        await call(calls(private=("api.test", "other.test")), {"url": url(server)})
    assert not target.heard


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "internal.test", "169.254.169.254", "[::1]", "10.0.0.7"])
async def test_a_host_that_is_not_public_is_out_of_reach_unless_it_is_listed(serve, calls, host):
    server = await serve(answering())
    for scheme in ("http", "https"):
        with pytest.raises(UpstreamFailed, match="could not be asked"):
            await call(calls(private=()), {"url": f"{scheme}://{host}:{server.port}/"})
    assert not server.connections


async def test_nothing_is_sent_for_arguments_that_leave_their_place(serve, calls):
    server = await serve(answering())
    common = calls(secret(server))
    for config, args in (
        ({"url": url(server, "/{{x}}")}, {"x": ".."}),
        ({"url": url(server), "headers": {"X": "{{x}}"}}, {"x": "a\r\nAuthorization: b"}),
    ):
        with pytest.raises(InvalidArguments):
            await call(common, config, **args)
    assert not server.connections


# -- secrets


async def test_a_secret_goes_out_for_the_tools_and_hosts_it_is_for(serve, calls):
    server = await serve(answering(body={"you sent": CANARY, "and": CANARY.replace("/", "%2F").replace("+", "%2B")}))
    config = {"url": url(server, "/x?a=1&key={{secret.TOKEN}}"), "headers": {"Authorization": "Key {{ secret.TOKEN }}"}}
    result = await call(calls(secret(server)), config)
    (heard,) = server.heard
    assert heard.header("authorization") == f"Key {CANARY}"
    assert heard.target == "/x?a=1&key=canary-s3cret/tok%2Ben"
    assert CANARY not in str(result)
    assert result["structuredContent"] == {"you sent": "***", "and": "***"}


async def test_a_secret_that_is_not_for_this_tool_and_host_is_as_good_as_none(serve, calls):
    server = await serve(answering())
    config = {"url": url(server), "headers": {"X": "{{secret.TOKEN}}"}}
    texts = set()
    for common, tool in (
        (calls(), TOOL),
        (calls(secret(server)), "bob@example.com:report"),
        (calls(secret(server)), "ann@example.com:other"),
        (calls(secret(server, host="other.test")), TOOL),
        (calls(secret(server, name="OTHER")), TOOL),
    ):
        with pytest.raises(NotConnected) as refused:
            await call(common, config, tool=tool)
        assert refused.value.connector == ""
        texts.add(refused.value.text.replace(tool, "TOOL"))
    assert len(texts) == 1
    assert not server.connections


async def test_with_a_secret_it_is_the_operators_own_and_without_the_callers(serve, calls):
    server = await serve(answering())
    plain, _ = connector(calls(), {"url": url(server)})
    keyed, _ = connector(calls(), {"url": url(server, "?k={{secret.TOKEN}}")})
    assert plain.owners(ANN) == (ANN,)
    assert keyed.owners(ANN) == (SYSTEM,)
    assert plain.holds("")
    assert keyed.holds("")
    assert plain.owner("c1") == keyed.owner("c1") == ""
    assert plain.id != keyed.id
    assert CANARY not in repr(calls(secret(server)).secrets)


# -- what the policy sees


@pytest.mark.parametrize(
    ("method", "level", "destructive"),
    [
        ("GET", "read", False),
        ("HEAD", "read", False),
        *((each, "write", True) for each in ("POST", "PUT", "PATCH", "DELETE")),
    ],
)
async def test_reading_is_harmless_and_all_else_the_worst_case(calls, method, level, destructive):
    found, _ = connector(calls(), {"url": "https://api.example.com:8443/x", "method": method})
    assert found.item.level == level
    assert found.item.facts == Tool("http", "api.example.com:8443", destructive=destructive)
    assert found.item.facts.open_world
    assert (await found.catalogue(ANN)).items == {Kind.TOOL: (found.item,)}
    connection = await found.open(ANN, ANN)
    assert connection.era is Era.LEGACY
    with pytest.raises(UpstreamError):
        await connection.send("prompts/get", {}, QUIET)


# -- bounds


async def test_a_host_that_hangs_is_given_up(hanging, calls):
    with pytest.raises(UpstreamFailed, match="took too long; whether it was done is not known"):
        await call(calls(timeout=0.2), {"url": url(hanging), "method": "POST"})


async def test_one_user_cannot_take_all_turns(hanging, calls):
    common = calls(timeout=5.0)
    held = [asyncio.create_task(call(common, {"url": url(hanging)})) for _ in range(AT_ONCE)]
    await until(lambda: len(hanging.heard) == AT_ONCE)
    waiting = asyncio.create_task(call(common, {"url": url(hanging)}))
    other = asyncio.create_task(call(common, {"url": url(hanging)}, who=BOB))
    await until(lambda: len(hanging.heard) == AT_ONCE + 1)
    assert not waiting.done()
    for each in (*held, waiting, other):
        each.cancel()
    await asyncio.gather(*held, waiting, other, return_exceptions=True)


async def test_who_waits_for_a_turn_in_vain_is_told(hanging, calls):
    common = calls(timeout=0.5)
    held = [asyncio.create_task(call(common, {"url": url(hanging)})) for _ in range(AT_ONCE)]
    await until(lambda: len(hanging.heard) == AT_ONCE)
    common.timeout = 0.05
    with pytest.raises(UpstreamFailed, match="of this user are under way; try again"):
        await call(common, {"url": url(hanging)})
    await asyncio.gather(*held, return_exceptions=True)


async def test_nothing_of_a_request_is_logged(serve, calls, caplog):
    server = await serve(answering(500, {"message": "broken"}))
    with caplog.at_level(logging.DEBUG):
        await call(calls(secret(server)), {"url": url(server, "/{{x}}?k={{secret.TOKEN}}")}, x="private")
    told = [each.getMessage() for each in caplog.records if not each.name.startswith("asyncio")]
    assert not any(CANARY in each or "private" in each for each in told)
