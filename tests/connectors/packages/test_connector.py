"""Calls of handler packages: what they are told, what comes of their answers and their faults, and when they end."""

import asyncio
import json
import logging

import pytest

from connectors.base import Unasked, UpstreamError
from connectors.packages.calling import LARGEST, LONGEST_MESSAGE
from gateway.errors import UpstreamFailed
from gateway.mcp.terms import Era, Kind
from tests.connectors.packages.building import ANN, FORECAST, call, echo, offered, package, texts
from tests.connectors.raw_http import until

CANARY = "canary-s3cret"


def answering(value):
    async def handle(args, context, config, progress):
        return value

    return handle


def raising(fault):
    async def handle(args, context, config, progress):
        raise fault

    return handle


# -- what it is told


async def test_a_package_is_told_the_arguments_who_calls_and_which_of_its_tools():
    result = await call(offered(), {"city": "Ulm"})
    assert result["structuredContent"] == {
        "args": {"city": "Ulm"},
        "email": "ann@example.com",
        "config": {"action": "forecast"},
    }
    assert json.loads(texts(result)[0]) == result["structuredContent"]


async def test_a_package_learns_nothing_else_of_its_caller():
    seen = []

    async def handle(args, context, config, progress):
        seen.append((context, args, config, progress))

    connector = offered(handle)
    await call(connector, _meta={"progressToken": CANARY, "vendor/key": CANARY})
    await call(connector, who="end:shop/7")
    (first, *_), (second, *_) = seen
    assert (first.subject, first.email) == (ANN, "ann@example.com")
    assert (second.subject, second.email) == ("end:shop/7", "")
    assert first.call != second.call
    assert {each for each in dir(first) if not each.startswith("_")} == {"subject", "email", "call"}
    assert CANARY not in repr(seen)


async def test_what_a_package_does_to_its_arguments_stays_with_it():
    async def handle(args, context, config, progress):
        args["list"].append(1)
        config["more"]["x"] = 1

    args, config = {"list": []}, {"more": {}}
    await call(offered(handle).configured(config), args)
    assert (args, config) == ({"list": []}, {"more": {}})


async def test_the_configuration_of_a_tool_made_at_run_time_never_overrides_the_packages_own():
    tool = {**FORECAST, "handler": {"config": {"unit": "C"}}}
    connector = offered(echo, tool)
    result = await call(connector.configured({"unit": "F", "action": "other", "days": 3}))
    assert result["structuredContent"]["config"] == {"unit": "C", "action": "forecast", "days": 3}
    assert (await call(connector))["structuredContent"]["config"] == {"unit": "C", "action": "forecast"}


# -- what it answers


@pytest.mark.parametrize(
    ("value", "result"),
    [
        ("sunny", {"content": [{"type": "text", "text": "sunny"}]}),
        (None, {"content": [{"type": "text", "text": "null"}]}),
        ([1, "a"], {"content": [{"type": "text", "text": '[1,"a"]'}]}),
        ((1, 2), {"content": [{"type": "text", "text": "[1,2]"}]}),
        ({"a": 1}, {"content": [{"type": "text", "text": '{"a":1}'}], "structuredContent": {"a": 1}}),
        (
            {"content": [{"type": "image", "data": "", "mimeType": "image/png"}], "isError": True, "extra": 1},
            {"content": [{"type": "image", "data": "", "mimeType": "image/png"}], "isError": True},
        ),
        (
            {"content": "text"},
            {"content": [{"type": "text", "text": '{"content":"text"}'}], "structuredContent": {"content": "text"}},
        ),
    ],
)
async def test_an_answer_becomes_a_result(value, result):
    assert await call(offered(answering(value))) == result


@pytest.mark.parametrize(
    ("value", "why"), [(object(), "is no JSON"), ("\ud800", "is no JSON"), ("a" * LARGEST, "more than")]
)
async def test_an_answer_that_cannot_be_told_is_a_failure(value, why):
    result = await call(offered(answering(value)))
    assert result["isError"] is True
    assert why in texts(result)[0]


# -- faults


async def test_a_value_error_is_the_packages_word_to_its_caller():
    result = await call(offered(raising(ValueError("there is no city\n`Ulm`" + "." * LONGEST_MESSAGE))))
    assert result["isError"] is True
    assert texts(result)[0].startswith("Error: there is no city `Ulm`..")
    assert len(texts(result)[0]) < LONGEST_MESSAGE + 20


@pytest.mark.parametrize(
    "fault", [KeyError(CANARY), RuntimeError(CANARY), OSError(CANARY), ValueError(), SystemExit(CANARY)]
)
async def test_any_other_fault_tells_nobody_its_words(fault, caplog):
    connector = offered(raising(fault))
    with caplog.at_level(logging.DEBUG):
        result = await call(connector)
    assert result == {
        "content": [{"type": "text", "text": "Error: `weather` failed; the gateway's log says where"}],
        "isError": True,
    }
    (told,) = [each.getMessage() for each in caplog.records if each.name.startswith("connectors")]
    assert "weather failed" in told
    assert "test_connector.py" in told or "calling.py" in told
    assert CANARY not in caplog.text
    assert not (await call(offered(echo))).get("isError")


async def test_a_package_that_gives_up_ends_the_call_and_not_the_gateway():
    with pytest.raises(UpstreamFailed, match="`weather` gave the call up"):
        await call(offered(raising(asyncio.CancelledError())))


# -- time


class Hanging:
    """A handle that waits to be cancelled; ``stubborn``: it does not care."""

    def __init__(self, *, stubborn=False):
        self.begun, self.ended, self.stubborn, self.over = 0, 0, stubborn, asyncio.Event()

    async def __call__(self, args, context, config, progress):
        self.begun += 1
        try:
            await self.over.wait()
        except asyncio.CancelledError:
            self.ended += 1
            if not self.stubborn:
                raise
            await self.over.wait()

    @property
    def handle(self):
        async def handle(*args):
            return await self(*args)

        return handle


async def test_a_call_that_takes_too_long_is_ended_and_told():
    hanging = Hanging()
    with pytest.raises(UpstreamFailed, match="`weather` took longer than 0 s; whether it was done is not known"):
        await call(offered(hanging.handle, timeout=0.05))
    await until(lambda: hanging.ended == 1)


async def test_a_package_that_cannot_be_cancelled_keeps_nobody_waiting():
    hanging = Hanging(stubborn=True)
    async with asyncio.timeout(5):
        with pytest.raises(UpstreamFailed, match="took longer"):
            await call(offered(hanging.handle, timeout=0.05))
    await until(lambda: hanging.ended == 1)
    hanging.over.set()


async def test_a_caller_who_goes_away_ends_the_work_for_him():
    hanging = Hanging()
    task = asyncio.create_task(call(offered(hanging.handle)))
    await until(lambda: hanging.begun == 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: hanging.ended == 1)


# -- progress


async def test_progress_is_told_to_a_client_that_asked_for_it():
    async def handle(args, context, config, progress):
        progress(1, 4, "half\nway")
        progress(2)
        return "done"

    heard = []
    await call(offered(handle), caller=Unasked(heard.append), _meta={"progressToken": 7})
    assert [(each.method, each.params) for each in heard] == [
        ("notifications/progress", {"progressToken": 7, "progress": 1.0, "total": 4.0, "message": "half way"}),
        ("notifications/progress", {"progressToken": 7, "progress": 2.0}),
    ]
    heard.clear()
    assert texts(await call(offered(handle), caller=Unasked(heard.append))) == ["done"]
    assert heard == []


async def test_progress_that_is_no_number_is_the_packages_fault():
    async def handle(args, context, config, progress):
        progress("half")

    result = await call(offered(handle), _meta={"progressToken": 7})
    assert result["isError"] is True


# -- its life


async def test_a_package_is_started_once_before_its_first_use_and_stopped_at_the_end():
    seen = []

    async def start():
        seen.append("start")
        await asyncio.sleep(0)

    async def stop():
        seen.append("stop")

    async def handle(args, context, config, progress):
        seen.append("call")

    connector = offered(handle, start=start, stop=stop)
    assert seen == []
    both = await asyncio.gather(connector.catalogue(ANN), connector.catalogue(ANN))
    assert [each.items[Kind.TOOL][0].name for each in both] == ["forecast", "forecast"]
    await call(connector)
    await connector.close()
    await connector.close()
    assert seen == ["start", "call", "stop"]
    for late in (connector.catalogue(ANN), call(connector)):
        with pytest.raises(UpstreamFailed, match="`weather` is being closed"):
            await late


async def test_a_package_that_does_not_start_offers_nothing_until_it_does(caplog):
    faults = [RuntimeError(CANARY), ValueError(CANARY)]

    async def start():
        if faults:
            raise faults.pop()

    connector = offered(start=start)
    for use in (connector.catalogue(ANN), connector.open(ANN, ANN)):
        with pytest.raises(UpstreamFailed, match="`weather` could not be started") as refused:
            await use
        assert CANARY not in refused.value.text
    assert await connector.catalogue(ANN)
    assert caplog.text.count("handler package weather failed") == 2
    assert CANARY not in caplog.text


async def test_a_package_that_was_never_started_is_not_stopped():
    seen = []

    async def stop():
        seen.append("stop")

    async def start():
        raise RuntimeError

    await offered(start=start, stop=stop).close()
    assert seen == []


async def test_closing_ends_the_calls_under_way():
    hanging = Hanging()
    connector = offered(hanging.handle)
    task = asyncio.create_task(call(connector))
    await until(lambda: hanging.begun == 1)
    await connector.close()
    with pytest.raises(UpstreamFailed):
        await task
    assert hanging.ended == 1


async def test_a_stop_that_fails_is_logged_and_hurts_nobody(caplog):
    async def stop():
        raise RuntimeError(CANARY)

    await offered(stop=stop).close()
    assert "weather failed: RuntimeError" in caplog.text
    assert CANARY not in caplog.text


# -- the seam


async def test_a_package_needs_no_account_and_has_nothing_but_its_tools():
    connector = offered()
    for each in (connector, connector.configured({})):
        assert (each.id, each.owners(ANN), each.holds(""), each.owner("c1")) == ("weather", (ANN,), True, "")
        connection = await each.open(ANN, ANN)
        assert connection.era is Era.LEGACY
        with pytest.raises(UpstreamError):
            await connection.send("prompts/get", {"name": "forecast"}, Unasked())
        for params in ({"name": "other"}, {}, {"name": ["forecast"]}, {"name": "forecast", "arguments": [1]}):
            with pytest.raises(UpstreamError):
                await connection.send("tools/call", params, Unasked())


async def test_closing_what_is_configured_leaves_the_package_alone():
    connector = offered()
    await connector.configured({}).close()
    assert await call(connector)


def test_a_package_prints_none_of_its_functions():
    assert "function" not in repr(package())


async def test_progress_after_the_end_is_not_told():
    heard, kept = [], []

    async def handle(args, context, config, progress):
        kept.append(progress)

    await call(offered(handle), caller=Unasked(heard.append), _meta={"progressToken": 1})
    kept[0](1)
    assert heard == []


async def test_what_a_library_says_in_a_fault_of_its_own_is_not_told():
    class Broken(ValueError):
        pass

    async def handle(args, context, config, progress):
        raise Broken("https://api.example.com/?key=canary")

    assert "canary" not in texts(await call(offered(handle)))[0]
