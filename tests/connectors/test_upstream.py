"""One server behind us as a connector: whose session it is, how it starts, crashes, comes back and ends."""

import asyncio
import contextlib
import json
import os
import signal
import sys
import tempfile
from pathlib import Path

import pytest

from connectors.base import QUIET, Change, Event, Secret, Sharing, Unasked, UpstreamError, UpstreamSpec
from connectors.egress import Egress
from connectors.line import Pace
from connectors.upstream import Upstream
from gateway.errors import NotConnected, UpstreamFailed
from gateway.mcp.terms import Era, Kind
from tests.connectors.raw_http import TLS, answer, http_spec
from tests.upstreams.starting import CLIENT, HERE, raw

QUICK = Pace(first=0.05, most=0.2, retry=0.05)
PRINCIPAL = Sharing.PRINCIPAL


@contextlib.asynccontextmanager
async def up(spec, *, pace=QUICK, **given):
    egress = Egress(tls=TLS)
    upstream = Upstream(spec, egress, client=CLIENT, pace=pace, **given)
    try:
        yield upstream
    finally:
        async with asyncio.timeout(15):
            await upstream.close()
        await egress.close()


async def call(upstream, tool, arguments=None, *, who="user:a", caller=QUIET, meta=None):
    """What a tool of the raw server said."""
    connection = await upstream.open(who, upstream.owners(who)[0])
    params = {"name": tool, "arguments": arguments or {}} | ({"_meta": meta} if meta else {})
    async with asyncio.timeout(20):
        result = await connection.send("tools/call", params, caller)
    return json.loads(result["content"][0]["text"])


async def pid(upstream, who="user:a"):
    return (await call(upstream, "echo", who=who))["pid"]


async def until(condition):
    async with asyncio.timeout(10):
        while True:
            found = condition()
            if found := (await found if asyncio.iscoroutine(found) else found):
                return found
            await asyncio.sleep(0.005)


async def heard_of(upstream, method):
    """The raw server's record of what it was told by this method."""
    return [each for each in await call(upstream, "heard") if each["method"] == method]


def gone(pid):
    return not Path(f"/proc/{pid}").exists()


async def back(upstream, **given):
    """The id of the process that serves, once one does."""

    async def again():
        with contextlib.suppress(UpstreamFailed):
            return await pid(upstream, **given)

    return await until(again)


async def test_the_unknown_fields_of_results_and_definitions_pass_through():
    async with up(raw()) as upstream:
        found = await upstream.catalogue("user:a")
        assert found.items[Kind.TOOL][0].definition["x-vendor"] == {"kept": "echo"}
        connection = await upstream.open("user:a", "user:a")
        result = await connection.send("tools/call", {"name": "odd", "arguments": {}}, QUIET)
    assert result["x-result"] == {"deep": [1]}
    assert result["content"] == [{"type": "text", "text": "odd", "x-block": 1}]
    assert result["_meta"] == {"vendor/x": True}


async def test_a_thousand_calls_at_once_on_one_session_each_get_their_own_answer():
    async with up(raw()) as upstream:
        holding = [asyncio.create_task(call(upstream, "hold", {"n": n}, who=f"user:{n}")) for n in range(500)]
        echoing = [asyncio.create_task(call(upstream, "echo", {"n": n}, who=f"user:{n}")) for n in range(500)]
        echoes = await asyncio.gather(*echoing)
        assert await call(upstream, "release") == "released"
        assert await asyncio.gather(*holding) == [{"n": n} for n in range(500)]
    assert [each["arguments"] for each in echoes] == [{"n": n} for n in range(500)]
    assert len({each["pid"] for each in echoes}) == 1


async def test_foreign_ids_and_second_answers_reach_nobody():
    async with up(raw()) as upstream:
        said = [await call(upstream, tool) for tool in ("stray", "twice", "stray", "echo")]
    assert said[:3] == ["yours", "first", "yours"]


@pytest.mark.parametrize("tool", ["garbage", "whisper", "strangers"])
async def test_noise_harms_nothing(tool):
    async with up(raw()) as upstream:
        await call(upstream, tool)
        assert await call(upstream, "twice") == "first"


@pytest.mark.parametrize("tool", ["broken", "bare"])
async def test_an_answer_that_is_none_fails_that_call_alone(tool):
    async with up(raw()) as upstream:
        before = await pid(upstream)
        with pytest.raises(UpstreamFailed):
            await call(upstream, tool)
        assert await pid(upstream) == before


async def test_an_error_of_the_server_is_told_as_it_is():
    async with up(raw()) as upstream:
        with pytest.raises(UpstreamError) as caught:
            await call(upstream, "fail", {"code": -32099, "message": "no", "data": {"x": 1}})
    assert (caught.value.code, caught.value.message, caught.value.data) == (-32099, "no", {"x": 1})


@pytest.mark.parametrize("method", ["sampling/createMessage", "elicitation/create", "roots/list"])
async def test_the_server_may_ask_for_nothing_but_a_sign_of_life(method):
    async with up(raw("--era", "legacy")) as upstream:
        assert (await call(upstream, "ask", {"method": method}))["error"]["code"] == -32601
        assert await call(upstream, "ask", {"method": "ping"}) == {"result": {}}


async def test_a_result_that_requires_input_comes_back_as_it_is():
    async with up(raw()) as upstream:
        connection = await upstream.open("user:a", "user:a")
        result = await connection.send("tools/call", {"name": "input", "arguments": {}}, QUIET)
    assert result == {"resultType": "input_required", "requestState": "x"}


async def test_a_call_that_times_out_is_withdrawn_and_harms_no_other():
    async with up(raw(timeout=0.2)) as upstream:
        before = await pid(upstream)
        with pytest.raises(UpstreamFailed, match="`up` did not answer in time"):
            await call(upstream, "never")
        await until(lambda: heard_of(upstream, "notifications/cancelled"))
        assert await pid(upstream) == before


async def test_a_cancelled_call_is_cancelled_behind_us():
    async with up(raw("--era", "legacy")) as upstream:
        await pid(upstream)
        task = asyncio.create_task(call(upstream, "never"))
        done, _ = await asyncio.wait([task], timeout=0.1)
        assert not done
        task.cancel()
        await asyncio.wait([task])
        (heard,) = await until(lambda: heard_of(upstream, "notifications/cancelled"))
    assert set(heard["params"]) == {"requestId", "reason"}


async def test_progress_comes_with_the_clients_own_token():
    async with up(raw()) as upstream:
        heard = []
        token = await call(
            upstream, "progress", {"steps": 3}, caller=Unasked(heard.append), meta={"progressToken": "mine"}
        )
        assert token != "mine"
        assert [each.params for each in heard] == [{"progressToken": "mine", "progress": step} for step in range(3)]


@pytest.mark.parametrize(("sharing", "shown"), [(PRINCIPAL, ["mine"]), (Sharing.ALL, [])])
async def test_a_log_line_is_never_shown_to_whom_it_may_not_concern(sharing, shown):
    async with up(raw(sharing=sharing)) as upstream:
        heard = []
        await call(upstream, "log", {"data": "mine"}, caller=Unasked(heard.append))
    assert [each.params["data"] for each in heard] == shown


async def test_a_child_killed_in_the_middle_of_a_call_is_a_typed_error_and_comes_back():
    async with up(raw()) as upstream:
        first = await pid(upstream)
        waiting = [asyncio.create_task(call(upstream, "never")) for _ in range(3)]
        await pid(upstream)
        os.kill(first, signal.SIGKILL)
        for task in waiting:
            with pytest.raises(UpstreamFailed, match="`up` broke off the connection"):
                await task
        assert gone(first)
        assert await back(upstream) != first


async def test_while_it_is_backing_off_calls_fail_at_once_and_say_when_it_is_tried_again():
    async with up(raw("--start", "3"), pace=Pace(first=60.0, jitter=lambda: 1.0)) as upstream:
        with pytest.raises(UpstreamFailed, match="cannot be reached"):
            await upstream.open("user:a", "user:a")
        with pytest.raises(UpstreamFailed, match=r"tried again in (59|60)\.\d seconds") as caught:
            await upstream.open("user:b", "user:b")
        assert 59 <= caught.value.data["retryAfter"] <= 60


def test_the_waits_double_up_to_a_bound_and_are_never_all_alike():
    pace = Pace(first=0.5, most=60.0, jitter=lambda: 1.0)
    assert [pace.wait(n) for n in (1, 2, 3, 8, 9, 1_000)] == [0.5, 1.0, 2.0, 60.0, 60.0, 60.0]
    assert Pace(first=0.5, jitter=lambda: 0.0).wait(1) == 0.25


async def test_many_who_open_at_once_start_one_child():
    async with up(raw()) as upstream:
        assert len(set(await asyncio.gather(*(pid(upstream, who=f"user:{n}") for n in range(50))))) == 1


async def test_who_gives_up_while_it_opens_leaves_the_others_alone():
    async with up(raw()) as upstream:
        tasks = [asyncio.create_task(pid(upstream)) for _ in range(3)]
        await asyncio.sleep(0)
        tasks[0].cancel()
        first, second = await asyncio.gather(*tasks[1:])
        assert first == second
        with pytest.raises(asyncio.CancelledError):
            await tasks[0]


async def test_principals_do_not_share_a_session():
    async with up(raw(sharing=PRINCIPAL)) as upstream:
        ids = [await pid(upstream, who=who) for who in ("user:a", "user:b", "user:a")]
        assert ids[0] == ids[2] != ids[1]


async def test_at_the_cap_the_idlest_session_ends():
    async with up(raw(sharing=PRINCIPAL, max_processes=2)) as upstream:
        ids = {who: await pid(upstream, who=who) for who in ("user:a", "user:b")}
        await pid(upstream, who="user:a")
        await pid(upstream, who="user:c")
        assert gone(ids["user:b"])
        assert await pid(upstream, who="user:a") == ids["user:a"]


async def test_at_the_cap_with_all_busy_a_new_principal_is_refused_and_nobody_is_ended():
    async with up(raw(sharing=PRINCIPAL, max_processes=2)) as upstream:
        for who in ("user:a", "user:b"):
            await pid(upstream, who=who)
        held = [asyncio.create_task(call(upstream, "hold", {"w": who}, who=who)) for who in ("user:a", "user:b")]
        await asyncio.sleep(0)
        with pytest.raises(UpstreamFailed, match="all 2 sessions of upstream `up` are busy"):
            await pid(upstream, who="user:c")
        for who in ("user:a", "user:b"):
            await call(upstream, "release", who=who)
        assert await asyncio.gather(*held) == [{"w": "user:a"}, {"w": "user:b"}]
        await pid(upstream, who="user:c")


async def test_principals_beyond_the_cap_who_come_at_once_never_run_more_children_than_allowed():
    async with up(raw(sharing=PRINCIPAL, max_processes=3)) as upstream:
        answers = await asyncio.gather(*(pid(upstream, who=f"user:{n}") for n in range(8)), return_exceptions=True)
        assert all(isinstance(each, int | UpstreamFailed) for each in answers)
        running = [each for each in answers if isinstance(each, int) and not gone(each)]
        assert 1 <= len(running) <= 3


async def test_an_idle_session_of_one_principal_is_stopped_and_comes_back():
    async with up(raw(sharing=PRINCIPAL, idle_after=0.05)) as upstream:
        first = await pid(upstream)
        await until(lambda: gone(first))
        found = await upstream.catalogue("user:a")
        assert found.items[Kind.TOOL]
        assert await pid(upstream) != first


async def test_a_busy_session_is_not_idle():
    async with up(raw(sharing=PRINCIPAL, idle_after=0.05)) as upstream:
        held = asyncio.create_task(call(upstream, "hold", {"n": 1}))
        done, _ = await asyncio.wait([held], timeout=0.3)
        assert not done
        await call(upstream, "release")
        assert await held == {"n": 1}


async def test_a_shared_session_is_not_stopped_for_being_idle():
    async with up(raw(idle_after=0.02)) as upstream:
        first = await pid(upstream)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.2):
                await until(lambda: gone(first))
        assert await pid(upstream) == first


async def test_closing_ends_every_child_and_every_call():
    async with up(raw(sharing=PRINCIPAL)) as upstream:
        ids = [await pid(upstream, who=f"user:{n}") for n in range(3)]
        waiting = asyncio.create_task(call(upstream, "never", who="user:0"))
        await pid(upstream, who="user:0")
        await upstream.close()
        with pytest.raises(UpstreamFailed):
            await waiting
        assert all(gone(each) for each in ids)
        with pytest.raises(UpstreamFailed, match="is being closed"):
            await upstream.open("user:0", "user:0")


async def test_closing_while_it_opens_ends_the_opening():
    async with up(raw("--discover", "ignore")) as upstream:
        opening = asyncio.create_task(upstream.open("user:a", "user:a"))
        done, _ = await asyncio.wait([opening], timeout=0.2)
        assert not done
        async with asyncio.timeout(8):
            await upstream.close()
        with pytest.raises(UpstreamFailed):
            await opening


@pytest.mark.parametrize(
    ("options", "given", "era"),
    [
        ((), {}, Era.MODERN),
        (("--era", "legacy"), {}, Era.LEGACY),
        (("--era", "modern"), {}, Era.MODERN),
        ((), {"era": Era.LEGACY}, Era.LEGACY),
        (("--era", "legacy", "--discover", "ignore"), {"start_timeout": 1.0}, Era.LEGACY),
        (("--era", "legacy", "--discover", "die"), {}, Era.LEGACY),
        (("--era", "modern", "--discover", "late"), {"start_timeout": 1.0}, Era.MODERN),
        (("--era", "legacy", "--version", "2024-11-05"), {}, Era.LEGACY),
    ],
)
async def test_the_era_is_found_out(options, given, era):
    async with up(raw(*options, **given)) as upstream:
        connection = await upstream.open("user:a", "user:a")
        assert connection.era is era
        assert (await call(upstream, "echo", {"x": 1}))["arguments"] == {"x": 1}


async def test_a_pinned_era_is_not_given_up():
    async with up(raw("--era", "legacy", era=Era.MODERN)) as upstream:
        with pytest.raises(UpstreamFailed, match="cannot be opened in the modern era"):
            await upstream.open("user:a", "user:a")


async def test_a_proven_era_is_asked_for_straight_away_the_next_time():
    async with up(raw("--era", "legacy", sharing=PRINCIPAL)) as upstream:
        await pid(upstream)
        await upstream.open("user:b", "user:b")
        heard = await call(upstream, "heard", who="user:b")
        assert [each["method"] for each in heard] == ["notifications/initialized"]


async def test_a_server_that_does_not_start_in_time_is_given_up():
    async with up(raw("--era", "modern", "--discover", "ignore", start_timeout=0.4)) as upstream:
        with pytest.raises(UpstreamFailed, match="up"):
            async with asyncio.timeout(5):
                await upstream.open("user:a", "user:a")


async def test_a_huge_line_ends_the_child_and_the_call():
    async with up(raw()) as upstream:
        first = await pid(upstream)
        with pytest.raises(UpstreamFailed) as caught:
            await call(upstream, "huge", {"bytes": 17 * 2**20})
        assert "longer than" in caught.value.detail
        assert gone(first)
        assert await back(upstream) != first


async def test_a_dead_server_harms_no_other_and_costs_nothing_before_it_is_used():
    async with up(raw("--start", "1", id="dead")) as dead, up(raw()) as alive:
        dead.watch(lambda change: None)
        assert dead.id == "dead"
        assert await pid(alive)
        with pytest.raises(UpstreamFailed, match="`dead`"):
            await dead.catalogue("user:a")
        assert await pid(alive)


@pytest.mark.parametrize(("options", "shown"), [("broken", ["echo", "garbage"]), ("none", []), ("endless", ["echo"])])
async def test_broken_lists_show_only_what_is_whole(options, shown):
    async with up(raw("--list", options)) as upstream:
        found = await upstream.catalogue("user:a")
    assert [item.name for item in found.items[Kind.TOOL]] == shown


async def test_who_lists_while_the_list_is_read_waits_for_the_same_list():
    async with up(raw()) as upstream:
        found = await asyncio.gather(*(upstream.catalogue(f"user:{n}") for n in range(20)))
        assert all(each is found[0] for each in found)


@pytest.mark.parametrize("era", ["legacy", "modern"])
@pytest.mark.parametrize(("sharing", "principal"), [(PRINCIPAL, "user:a"), (Sharing.ALL, "")])
async def test_a_changed_list_is_read_again_and_told(era, sharing, principal):
    async with up(raw("--era", era, sharing=sharing)) as upstream:
        changes = []
        upstream.watch(changes.append)
        old = await upstream.catalogue("user:a")
        await call(upstream, "grow")
        await until(lambda: changes)
        assert changes == [Change("up", Event.TOOLS, principal)]
        new = await upstream.catalogue("user:a")
        assert {item.name for item in new.items[Kind.TOOL]} - {item.name for item in old.items[Kind.TOOL]} == {"extra0"}


async def test_a_list_is_read_again_after_a_restart():
    async with up(raw("--era", "legacy")) as upstream:
        changes = []
        await upstream.catalogue("user:a")
        await call(upstream, "grow")
        upstream.watch(changes.append)
        await until(lambda: changes)
        os.kill(await pid(upstream), signal.SIGKILL)
        await back(upstream)
        await until(lambda: len(changes) == 2)
        found = await upstream.catalogue("user:a")
        assert "extra0" not in {item.name for item in found.items[Kind.TOOL]}


async def test_a_server_that_comes_up_late_is_listed_without_being_asked_and_told():
    with _switch() as (gate, spec):
        async with up(spec) as upstream:
            changes = []
            upstream.watch(changes.append)
            with pytest.raises(UpstreamFailed):
                await upstream.catalogue("user:a")
            gate.touch()
            await until(lambda: changes)
            assert Change("up", Event.TOOLS) in changes


@contextlib.contextmanager
def _switch():
    """A server that ends at once until its gate exists."""
    with tempfile.TemporaryDirectory() as folder:
        gate = Path(folder) / "gate"
        code = f"import os, runpy, sys; os.path.exists({str(gate)!r}) or sys.exit(1); sys.argv = ['raw.py']; runpy.run_path({str(HERE / 'raw.py')!r}, run_name='__main__')"
        yield gate, raw(command=(sys.executable, "-S", "-c", code))


@pytest.mark.parametrize("era", ["legacy", "modern"])
async def test_a_resource_that_is_subscribed_is_told_when_it_is_updated(era):
    async with up(raw("--era", era)) as upstream:
        changes = []
        upstream.watch(changes.append)
        connection = await upstream.open("user:a", "user:a")
        for _ in range(2):
            assert await connection.send("resources/subscribe", {"uri": "raw://one"}, QUIET) == {}

        async def heard():
            said = await call(upstream, "heard")
            return [each for each in said if "raw://one" in json.dumps(each["params"])]

        (asked,) = await until(heard)
        await call(upstream, "touch", {"uri": "raw://one"})
        await until(lambda: changes)
        assert changes == [Change("up", Event.UPDATED, "", "raw://one")]
        assert asked["method"] == ("resources/subscribe" if era == "legacy" else "subscriptions/listen")


async def test_a_subscription_ends_with_its_last_subscriber_and_survives_a_restart():
    async with up(raw("--era", "legacy")) as upstream:
        connection = await upstream.open("user:a", "user:a")
        for _ in range(2):
            await connection.send("resources/subscribe", {"uri": "raw://one"}, QUIET)
        os.kill(await pid(upstream), signal.SIGKILL)
        await back(upstream)
        for count in (0, 1, 1):
            await connection.send("resources/unsubscribe", {"uri": "raw://one"}, QUIET)
            methods = [each["method"] for each in await call(upstream, "heard")]
            assert methods.count("resources/subscribe") == 1
            assert methods.count("resources/unsubscribe") == count


def test_whose_connection_it_is():
    spec = raw()
    assert Upstream(spec, None, client=CLIENT).owners("user:a") == ("user:a",)
    for given in ({"env": {"TOKEN": Secret("x")}}, {"headers": {"Authorization": Secret("x")}}):
        assert Upstream(raw(**given), None, client=CLIENT).owners("user:a") == ("system",)


async def test_nobody_is_served_on_a_connection_that_is_not_there():
    async with up(raw()) as upstream:
        for owner in ("system", "user:b", ""):
            with pytest.raises(NotConnected):
                await upstream.open("user:a", owner)


def test_an_exception_of_the_address_guard_that_cannot_be_read_is_refused():
    with pytest.raises(ValueError, match="private_hosts"):
        Upstream(raw(private_hosts=("not an address!",)), None, client=CLIENT)


class Forgetful:
    """A legacy server that knows its newest session only, and says to each call in which it came."""

    def __init__(self):
        self.session = 0

    async def __call__(self, heard, writer):
        session = heard.header("mcp-session-id")
        message = json.loads(heard.body) if heard.body else {}
        if message.get("method") == "initialize":
            self.session += 1
            result = {"protocolVersion": "2025-11-25", "capabilities": {}}
            text, more = result, f"Mcp-Session-Id: {self.session}\r\n"
        else:
            text, more = {"content": [{"type": "text", "text": session}]}, ""
        if message.get("method") != "initialize" and session != str(self.session):
            writer.write(answer(b"", status="404 Not Found", kind=None))
        elif "id" in message:
            said = {"jsonrpc": "2.0", "id": message["id"], "result": text}
            writer.write(answer(json.dumps(said).encode(), headers=more))
        else:
            writer.write(answer(b"", status="202 Accepted", kind=None))


async def test_a_server_that_forgot_the_session_gets_a_new_one_and_the_call_is_repeated_once(serve):
    forgetful = Forgetful()
    server = await serve(forgetful)
    async with up(http_spec(server.url, era=Era.LEGACY)) as upstream:

        async def session():
            return await call(upstream, "any")

        assert [await session(), await session()] == [1, 1]
        forgetful.session += 1
        assert await asyncio.gather(*(session() for _ in range(20))) == [3] * 20
    posts = [json.loads(heard.body).get("method") for heard in server.heard if heard.method == "POST"]
    assert posts.count("initialize") == 2
    assert posts.count("tools/call") <= 2 + 2 * 20


async def test_a_server_that_is_not_there_is_a_typed_error_that_names_no_address():
    async with up(http_spec("http://127.0.0.1:1/mcp")) as upstream:
        with pytest.raises(UpstreamFailed, match="`sample` cannot be reached") as caught:
            await upstream.open("user:a", "user:a")
        assert "127.0.0.1" not in caught.value.text


async def test_an_address_that_the_operator_did_not_except_is_not_reached(serve):
    server = await serve(Forgetful())
    for scheme in ("http", "https"):
        spec = UpstreamSpec(id="up", transport="http", url=server.url.replace("http", scheme))
        async with up(spec) as upstream:
            with pytest.raises(UpstreamFailed, match="cannot be reached"):
                await upstream.open("user:a", "user:a")
    assert server.connections == 0
