"""Actions over the wire: the credential, second tries, pages, failures, and what is offered to whom."""

import asyncio
import json

import pytest

from connectors.base import QUIET, Change, Event, UpstreamError
from connectors.definition.terms import AuthKind, Equals, PageKind, Paging, Retry, Risk, Shown
from connectors.rest.breaker import FAILURES, OPEN_MS
from connectors.rest.connector import RestConnector
from gateway.errors import InvalidArguments, NotConnected, UpstreamFailed
from gateway.mcp.schema import Arguments
from gateway.mcp.terms import Kind
from gateway.policy.terms import SYSTEM, Tool
from tests.connectors.raw_http import until
from tests.connectors.rest.building import ANN, BOB, TOKEN, Wallet, action, body, path, platform, query

READ = action("GET", "/people/{who}", path("who"), query("q"))
WRITE = action("POST", "/people", body("name"), risk=Risk.WRITE)


def texts(result):
    return [each["text"] for each in result["content"]]


def fine(heard):
    return 200, {"target": heard.target, "body": heard.body.decode()}


def in_turn(*answers):
    """Each answer once, the last one ever after."""
    left = list(answers)
    return lambda heard: left.pop(0) if len(left) > 1 else left[0]


# -- one call


async def test_an_action_is_one_request_with_the_credential_on_it(desk, call):
    server, connector, wallet = await desk(fine, READ)
    result = await call(connector, who="a b", q="c&d")
    assert result["structuredContent"]["target"] == "/api/people/a%20b?q=c%26d"
    (heard,) = server.heard
    assert heard.header("authorization") == f"Bearer {TOKEN}"
    assert heard.header("accept") == "application/json"
    assert wallet.opened == [(ANN, "")]


async def test_the_connection_that_was_named_is_the_one_that_is_opened(desk, call):
    _, connector, wallet = await desk(fine, READ, wallet=Wallet({ANN: ("c1", "c2")}))
    await call(connector, who="x", id="c2")
    assert wallet.opened == [(ANN, "c2")]
    for owner, id in ((ANN, "c3"), (BOB, "c1")):
        with pytest.raises(NotConnected, match="`desk` has no such connection"):
            await call(connector, who="x", owner=owner, id=id)


async def test_no_credential_is_opened_before_the_arguments_are_a_request(desk, call):
    server, connector, wallet = await desk(fine, READ)
    for args in ({}, {"who": ".."}, {"who": "x", "extra": 1}):
        with pytest.raises(InvalidArguments):
            await call(connector, **args)
    assert (server.heard, wallet.opened) == ([], [])


async def test_who_has_no_connection_is_told_so_by_the_call_and_not_before(desk, call):
    _, connector, _ = await desk(fine, READ, wallet=Wallet({}))
    await connector.open(ANN, ANN)
    with pytest.raises(NotConnected) as caught:
        await call(connector, who="x")
    assert (caught.value.connector, caught.value.owner) == ("desk", ANN)


async def test_where_no_credential_is_needed_none_is_asked_for(desk, call):
    server, connector, wallet = await desk(lambda _: (401, {}), READ, kind=AuthKind.NONE, wallet=Wallet({}))
    assert (await call(connector, who="x"))["isError"] is True
    assert server.heard[0].header("authorization") is None
    assert (wallet.opened, wallet.renewed, len(server.heard)) == ([], 0, 1)


async def test_only_tools_can_be_called_and_only_those_there_are(desk, call):
    _, connector, _ = await desk(fine, READ)
    connection = await connector.open(ANN, ANN)
    for method, params in (("resources/read", {"uri": "x"}), ("tools/call", {}), ("tools/call", {"name": 1})):
        with pytest.raises(UpstreamError, match="only has tools"):
            await connection.send(method, params, QUIET)
    with pytest.raises(UpstreamError, match="no action of that name"):
        await call(connector, "other")
    with pytest.raises(UpstreamError, match="is not an object"):
        await connection.send("tools/call", {"name": "do", "arguments": [1]}, QUIET)


async def test_a_credential_that_does_not_fit_the_definition_is_told_by_name(desk, call):
    _, connector, _ = await desk(fine, READ, headers={"X-Team": "{team.id}"})
    with pytest.raises(UpstreamFailed, match=r"cannot be asked with this connection: there is no value for `team.id`"):
        await call(connector, who="x")


# -- failures


async def test_a_failure_is_a_result_with_status_and_message(desk, call):
    _, connector, _ = await desk(lambda _: (404, {"message": "no such person"}), READ)
    result = await call(connector, who="x")
    assert result == {
        "content": [{"type": "text", "text": "`desk` answered HTTP 404: no such person"}],
        "isError": True,
    }


async def test_a_failure_that_comes_with_status_200_is_one(desk, call):
    answer = {"ok": False, "error": "not_in_channel"}
    _, connector, _ = await desk(lambda _: (200, answer), READ, error_when=Equals("ok", False), error_path="error")
    result = await call(connector, who="x")
    assert (result["isError"], texts(result)) == (True, ["`desk` answered HTTP 200: not_in_channel"])


@pytest.mark.parametrize("status", [200, 400, 401, 500])
async def test_a_credential_that_a_platform_repeats_is_not_told(desk, call, status):
    echo = {"message": f"bad token {TOKEN}", "url": f"/x?t={TOKEN}".replace("/", "%2F")}
    _, connector, _ = await desk(lambda _: (status, echo), READ)
    result = json.dumps(await call(connector, who="x"))
    assert "***" in result
    assert "canary" not in result


async def test_a_platform_that_cannot_be_reached_is_told_without_the_request(desk, call, egress, clock):
    _, connector, _ = await desk(fine, READ, auth={"Authorization": "Bearer {access_token}"})
    gone = platform("http://127.0.0.1:1/api", READ)
    connector = RestConnector(gone, egress=egress, credentials=Wallet(), clock=clock)
    with pytest.raises(UpstreamFailed) as caught:
        await call(connector, who="secret-name", q="secret-query")
    told = f"{caught.value.text} {caught.value.detail}"
    assert "`desk` could not be asked: 127.0.0.1:1: no connection" in told
    assert "secret" not in told
    assert "canary" not in told


async def test_a_change_that_may_have_been_made_is_told_to_be_in_doubt(serve, egress, clock, call):
    async def hang_up(heard, writer):
        writer.close()

    server = await serve(hang_up)
    place = platform(f"http://127.0.0.1:{server.port}", WRITE, action("GET", "/x", id="look"))
    connector = RestConnector(place, egress=egress, credentials=Wallet(), clock=clock)
    with pytest.raises(UpstreamFailed, match="whether it was done is not known"):
        await call(connector, name="x")
    assert len(server.heard) == 1
    with pytest.raises(UpstreamFailed) as caught:
        await call(connector, "look")
    assert "not known" not in caught.value.text


async def test_an_answer_that_redirects_is_not_followed(desk, call):
    server, connector, _ = await desk(lambda _: (302, b"", {"Location": "http://127.0.0.1:1/steal"}), READ)
    with pytest.raises(UpstreamFailed, match="redirects"):
        await call(connector, who="x")
    assert len(server.heard) == 1


# -- second tries


async def test_what_only_reads_is_asked_again_when_the_platform_says(desk, call, clock):
    answers = in_turn((429, {}, {"Retry-After": "7"}), (503, {}), (200, {"ok": 1}))
    server, connector, _ = await desk(answers, READ)
    assert (await call(connector, who="x"))["structuredContent"] == {"ok": 1}
    assert (clock.waits, len(server.heard)) == ([7.0, 2.0], 3)


async def test_what_changes_something_is_asked_once(desk, call, clock):
    server, connector, _ = await desk(lambda _: (503, {"message": "busy"}, {"Retry-After": "1"}), WRITE)
    assert texts(await call(connector, name="x")) == ["`desk` answered HTTP 503: busy", "it asks to wait for 1 s"]
    assert (clock.waits, len(server.heard)) == ([], 1)


async def test_a_change_with_an_idempotency_key_is_asked_again_with_the_same_key(desk, call):
    one = action("POST", "/people", body("name"), risk=Risk.WRITE, idempotency_header="Idempotency-Key")
    server, connector, _ = await desk(in_turn((503, {}), (200, {})), one)
    await call(connector, name="x")
    await call(connector, name="x")
    keys = [heard.header("idempotency-key") for heard in server.heard]
    assert len(keys) == 3
    assert keys[0] == keys[1] != keys[2]
    assert len(keys[0] or "") == 32


async def test_nobody_waits_longer_than_the_action_may_take(desk, call, clock):
    server, connector, _ = await desk(lambda _: (429, {}, {"Retry-After": "3600"}), READ, timeout_s=30.0)
    assert "it asks to wait for 3600 s" in texts(await call(connector, who="x"))
    assert (clock.waits, len(server.heard)) == ([], 1)


async def test_a_platform_that_stays_busy_is_asked_four_times(desk, call):
    server, connector, _ = await desk(lambda _: (429, {"message": "slow down"}), READ)
    assert (await call(connector, who="x"))["isError"] is True
    assert len(server.heard) == 4


async def test_other_failures_are_not_asked_again(desk, call):
    server, connector, _ = await desk(lambda _: (500, {}), READ, retry=Retry((429,)))
    await call(connector, who="x")
    assert len(server.heard) == 1


@pytest.mark.parametrize("one", [READ, WRITE], ids=["read", "write"])
async def test_after_a_401_the_credential_is_renewed_and_the_request_made_once_more(desk, call, one):
    def answers(heard):
        return (200, {"ok": 1}) if heard.header("authorization") == "Bearer newer-token" else (401, {})

    server, connector, wallet = await desk(answers, one, wallet=Wallet(newer="newer-token"))
    args = {"who": "x"} if one is READ else {"name": "x"}
    assert (await call(connector, **args))["structuredContent"] == {"ok": 1}
    assert (wallet.renewed, len(server.heard)) == (1, 2)


async def test_a_second_401_is_told_and_not_renewed_again(desk, call):
    server, connector, wallet = await desk(
        lambda _: (401, {"message": "revoked"}), READ, wallet=Wallet(newer="newer-token")
    )
    told = texts(await call(connector, who="x"))
    assert told == [
        "`desk` answered HTTP 401: revoked",
        "the account's access was refused; if this stays so, connect the account again",
    ]
    assert (wallet.renewed, len(server.heard)) == (1, 2)


async def test_without_a_newer_credential_a_401_is_told_at_once(desk, call):
    server, connector, wallet = await desk(lambda _: (401, {}), READ)
    assert (await call(connector, who="x"))["isError"] is True
    assert (wallet.renewed, len(server.heard)) == (1, 1)


# -- the circuit


async def test_a_host_that_does_not_answer_is_left_alone_for_a_while(desk, call, clock):
    state = {"status": 503}
    server, connector, _ = await desk(lambda _: (state["status"], {}), WRITE)
    for _ in range(FAILURES):
        await call(connector, name="x")
    with pytest.raises(
        UpstreamFailed, match="`desk` did not answer several times, so it is left alone; try again in 10 s"
    ):
        await call(connector, name="x")
    assert len(server.heard) == FAILURES
    state["status"], clock.now = 200, clock.now + OPEN_MS
    for _ in range(3):
        assert "isError" not in await call(connector, name="x")


async def test_a_try_whose_caller_went_away_leaves_the_try_to_the_next(serve, egress, clock, call):
    state = {"hangs": False}

    async def reply(heard, writer):
        if state["hangs"]:
            await writer.wait_closed()
        writer.write(b"HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n")

    server = await serve(reply)
    place = platform(f"http://127.0.0.1:{server.port}", WRITE)
    connector = RestConnector(place, egress=egress, credentials=Wallet(), clock=clock)
    for _ in range(FAILURES):
        await call(connector, name="x")
    state["hangs"], clock.now = True, clock.now + OPEN_MS
    first = asyncio.create_task(call(connector, name="x"))
    await server.until(FAILURES + 1)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    state["hangs"] = False
    assert (await call(connector, name="x"))["isError"] is True


async def test_failures_of_the_callers_own_making_open_no_circuit(desk, call):
    server, connector, _ = await desk(lambda _: (500, {}), WRITE)
    for _ in range(FAILURES + 3):
        await call(connector, name="x")
    assert len(server.heard) == FAILURES + 3


# -- pages


def pages(*lists):
    def answers(heard):
        at = int(heard.target.partition("cursor=")[2].partition("&")[0] or 0)
        return 200, {"items": lists[at], "next": str(at + 1) if at + 1 < len(lists) else ""}

    return answers


def paged(most, *parameters, **more):
    paging = Paging(PageKind.CURSOR, "cursor", "next", "", "items", "limit", 2, most)
    return action("GET", "/things", *parameters, paging=paging, **more)


async def test_pages_are_put_together_up_to_a_bound_and_the_rest_is_told(desk, call):
    server, connector, _ = await desk(pages([1, 2], [3, 4], [5]), paged(5, shown=Shown("items")))
    assert texts(await call(connector)) == ["[1,2,3,4,5]"]
    assert [heard.target.partition("?")[2] for heard in server.heard] == [
        "limit=2",
        "limit=2&cursor=1",
        "limit=2&cursor=2",
    ]
    _, connector, _ = await desk(pages([1, 2], [3, 4], [5]), paged(2, query("after", wire="cursor")))
    result = await call(connector)
    assert result["structuredContent"] == {"items": [1, 2, 3, 4], "next": "2"}
    assert texts(result)[1] == "there is more: ask again with `after`: 2"
    assert (await call(connector, after="2"))["structuredContent"] == {"items": [5], "next": ""}


async def test_a_page_that_fails_ends_what_is_shown_and_says_so(desk, call):
    answers = in_turn((200, {"items": [1], "next": "1"}), (400, {"message": "bad cursor"}))
    _, connector, _ = await desk(answers, paged(5))
    result = await call(connector)
    assert json.loads(texts(result)[0]) == {"items": [1], "next": "1"}
    assert texts(result)[1] == "page 2 could not be read (HTTP 400); what is shown ends before it"


async def test_links_are_followed_on_the_same_origin_alone(desk, call):
    ports = {}

    def answers(heard):
        page = int(heard.target.partition("page=")[2] or 1)
        away = "http://127.0.0.1:1" if page == 2 else f"http://127.0.0.1:{ports['own']}"
        return 200, [page], {"Link": f'<{away}/api/things?page={page + 1}>; rel="next"'}

    one = action("GET", "/things", query("page"), paging=Paging(PageKind.LINK, "page", most=5))
    server, connector, _ = await desk(answers, one)
    ports["own"] = server.port
    result = await call(connector)
    assert texts(result) == ["[1,2]", "there is more, but on another host than this, which was not asked"]
    assert [heard.header("authorization") for heard in server.heard] == [f"Bearer {TOKEN}"] * 2


async def test_a_credential_renewed_between_pages_serves_the_rest(desk, call):
    def answers(heard):
        newer = heard.header("authorization") == "Bearer newer-token"
        return pages([1], [2], [3])(heard) if newer or "cursor" not in heard.target else (401, {})

    _, connector, wallet = await desk(answers, paged(5, shown=Shown("items")), wallet=Wallet(newer="newer-token"))
    assert texts(await call(connector)) == ["[1,2,3]"]
    assert wallet.renewed == 1


async def test_one_call_renews_once_however_many_pages_it_has(desk, call):
    def answers(heard):
        return (
            (401, {})
            if "cursor=2" in heard.target
            or (heard.header("authorization") != "Bearer newer-token" and "cursor" in heard.target)
            else pages([1], [2], [3])(heard)
        )

    _, connector, wallet = await desk(answers, paged(5, shown=Shown("items")), wallet=Wallet(newer="newer-token"))
    assert texts(await call(connector)) == [
        "[1,2]",
        "page 3 could not be read (HTTP 401); what is shown ends before it",
    ]
    assert wallet.renewed == 1


# -- time and number


async def test_a_call_ends_in_time_and_says_what_is_in_doubt(serve, egress, clock, call):
    async def never(heard, writer):
        await writer.wait_closed()

    server = await serve(never)
    place = platform(f"http://127.0.0.1:{server.port}", WRITE, timeout_s=0.2)
    connector = RestConnector(place, egress=egress, credentials=Wallet(), clock=clock)
    with pytest.raises(UpstreamFailed, match="`desk` took too long; whether it was done is not known"):
        await call(connector, name="x")


async def test_no_more_calls_than_the_definition_allows_are_under_way(serve, egress, clock, call):
    going = asyncio.Event()

    async def later(heard, writer):
        await going.wait()
        writer.write(b"HTTP/1.1 204 X\r\n\r\n")

    server = await serve(later)
    place = platform(f"http://127.0.0.1:{server.port}", WRITE, concurrency=2)
    people = [ANN, BOB, SYSTEM, ANN, BOB]
    wallet = Wallet({each: (each,) for each in people})
    connector = RestConnector(place, egress=egress, credentials=wallet, clock=clock)
    calls = [asyncio.create_task(call(connector, name="x", owner=each)) for each in people]
    await server.until(2)
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(server.heard) == 2
    going.set()
    assert all("isError" not in each for each in await asyncio.gather(*calls))
    assert len(server.heard) == 5


async def test_nobody_takes_all_turns_from_the_others(serve, egress, clock):
    """Whoever can name a server of his own as the platform could let each of his calls wait."""
    going = asyncio.Event()

    async def later(heard, writer):
        if b"slow" in heard.body:
            await going.wait()
        writer.write(b"HTTP/1.1 204 X\r\n\r\n")

    server = await serve(later)
    place = platform(f"http://127.0.0.1:{server.port}", WRITE, concurrency=4)
    connector = RestConnector(place, egress=egress, credentials=Wallet(), clock=clock)

    async def sent(principal: str, name: str):
        connection = await connector.open(principal, ANN)
        return await connection.send("tools/call", {"name": "do", "arguments": {"name": name}}, QUIET)

    slow = [asyncio.create_task(sent("user:mallory@example.com", "slow")) for _ in range(9)]
    await server.until(2)
    assert "isError" not in await asyncio.wait_for(sent(ANN, "quick"), 5)
    assert len(server.heard) == 3
    going.set()
    await asyncio.gather(*slow)


async def test_a_call_that_is_cancelled_gives_its_turn_back(serve, egress, clock, call):
    async def later(heard, writer):
        if b"wait" in heard.body:
            await writer.wait_closed()
        writer.write(b"HTTP/1.1 204 X\r\n\r\n")

    server = await serve(later)
    connector = RestConnector(
        platform(f"http://127.0.0.1:{server.port}", WRITE, concurrency=1),
        egress=egress,
        credentials=Wallet(),
        clock=clock,
    )
    first = asyncio.create_task(call(connector, name="wait"))
    await server.until(1)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert "isError" not in await call(connector, name="go")


async def test_closing_ends_the_calls_under_way(serve, egress, clock, call):
    async def never(heard, writer):
        await writer.wait_closed()

    server = await serve(never)
    connector = RestConnector(
        platform(f"http://127.0.0.1:{server.port}", READ), egress=egress, credentials=Wallet(), clock=clock
    )
    with pytest.raises(NotConnected):
        await call(connector, who="x", owner=BOB)  # has ended, and closing is no business of his
    running = asyncio.create_task(call(connector, who="x"))
    await server.until(1)
    await connector.close()
    with pytest.raises(UpstreamFailed, match="`desk` is being closed"):
        await running
    with pytest.raises(UpstreamFailed, match="`desk` is being closed"):
        await call(connector, who="x")


# -- what is offered, and to whom


async def test_each_action_is_a_tool_with_our_own_classification(desk):
    kill = action("DELETE", "/x", id="kill", risk=Risk.DESTRUCTIVE, idempotent=True)
    _, connector, _ = await desk(fine, READ, action("POST", "/x", id="make", risk=Risk.WRITE), kill)
    offered = await connector.catalogue(ANN)
    assert (offered.title, offered.capabilities) == ("Desk", {"tools": {"listChanged": True}})
    items = offered.items[Kind.TOOL]
    assert [(each.connector, each.name, each.level) for each in items] == [
        ("desk", "do", "read"),
        ("desk", "make", "write"),
        ("desk", "kill", "write"),
    ]
    assert [each.facts.destructive for each in items] == [False, False, True]
    assert items[0].facts == Tool("desk", "do", destructive=False, open_world=True, tags=("support",))
    assert items[0].definition == {
        "name": "do",
        "title": "Do",
        "description": "Does.",
        "inputSchema": {
            "type": "object",
            "properties": {"who": {}, "q": {}},
            "required": ["who"],
            "additionalProperties": False,
        },
        "annotations": {
            "title": "Do",
            "readOnlyHint": True,
            "destructiveHint": False,
            "idempotentHint": True,
            "openWorldHint": True,
        },
    }
    assert items[2].definition["annotations"]["destructiveHint"] is True
    assert Arguments(items[0].definition["inputSchema"]).problems({"who": "x", "other": 1}) == ["`other`: is not known"]


async def test_the_operator_lends_his_credential_where_he_has_set_one(desk):
    _, connector, _ = await desk(fine, READ)
    assert connector.owners(BOB) == (BOB,)
    assert (connector.holds(ANN), connector.holds(BOB), connector.holds("")) == (True, False, False)
    assert (connector.owner("c1"), connector.owner("c9")) == (ANN, "")
    _, lending, _ = await desk(fine, READ, wallet=Wallet({SYSTEM: ("system",)}))
    assert lending.owners(BOB) == (BOB, SYSTEM)
    _, open_, _ = await desk(fine, READ, kind=AuthKind.NONE, wallet=Wallet({SYSTEM: ("system",)}))
    assert open_.owners(BOB) == (BOB,)
    assert (open_.holds(BOB), open_.holds(""), open_.owner("system")) == (True, True, "")


async def test_a_new_definition_serves_from_now_on_and_is_told(desk, call):
    server, connector, _ = await desk(fine, READ)
    changes: list[Change] = []
    connector.watch(changes.append)
    base = f"http://127.0.0.1:{server.port}/v2"
    connector.replace(platform(base, READ))
    assert changes == [Change("desk", Event.TOOLS)], "what was read by the old one counts no more"
    connector.replace(platform(base, READ))
    assert len(changes) == 1, "the same again is no news"
    assert (await call(connector, who="x"))["structuredContent"]["target"] == "/v2/people/x"
    connector.replace(platform(base, READ, WRITE))
    assert changes == 2 * [Change("desk", Event.TOOLS)]
    assert connector.platform.definition.actions == (READ, WRITE)
    with pytest.raises(ValueError, match="another platform"):
        connector.replace(type(connector.platform)("other", connector.platform.definition))


async def test_a_call_under_way_ends_by_the_definition_it_began_with(serve, egress, clock, call):
    going = asyncio.Event()

    async def later(heard, writer):
        await going.wait()
        body = b'{"a":{"b":1}}'
        writer.write(
            b"HTTP/1.1 200 X\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        )

    server = await serve(later)
    base = f"http://127.0.0.1:{server.port}"
    connector = RestConnector(
        platform(base, action(shown=Shown("a"))), egress=egress, credentials=Wallet(), clock=clock
    )
    running = asyncio.create_task(call(connector))
    await server.until(1)
    connector.replace(platform(base, action(shown=Shown("a.b"))))
    going.set()
    assert (await running)["structuredContent"] == {"b": 1}
    await until(lambda: running.done())
    assert texts(await call(connector)) == ["1"]
