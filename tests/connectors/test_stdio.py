"""The child process behind the stdio transport: how it starts, what it hears, how it always ends."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import pytest

from connectors.base import Secret
from connectors.stdio import STDERR_LINES, StdioTransport
from connectors.transport import TransportLost
from gateway.mcp.terms import Notification, Request, Response

RAW = (sys.executable, "-S", str(Path(__file__).parents[1] / "upstreams" / "raw.py"))


class Ear:
    """What a transport handed on, and how it was lost."""

    def __init__(self):
        self.messages = asyncio.Queue()
        self.lost = asyncio.get_running_loop().create_future()

    async def next(self):
        async with asyncio.timeout(10):
            return await self.messages.get()

    async def end(self):
        async with asyncio.timeout(10):
            return await asyncio.shield(self.lost)


async def started(*command, **given):
    transport = StdioTransport(command or RAW, **({"env": {}, "grace": 1.0} | given))
    ear = Ear()
    await transport.start(ear.messages.put_nowait, ear.lost.set_result)
    return transport, ear


async def call(transport, ear, tool, **arguments):
    await transport.send(Request(7, "tools/call", {"name": tool, "arguments": arguments}))
    return await ear.next()


def gone(pid):
    """Whether no process, not even a zombie, has this id."""
    return not Path(f"/proc/{pid}").exists()


def text(answer):
    return answer.result["content"][0]["text"]


async def until(condition):
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


async def test_a_line_in_each_direction_is_a_message():
    transport, ear = await started()
    answer = await call(transport, ear, "echo", word="hé\u2028llo\n")
    assert isinstance(answer, Response)
    assert answer.id == 7
    assert '"word": "h\\u00e9\\u2028llo\\n"' in text(answer)
    await transport.close()


async def test_a_notification_reaches_the_child():
    transport, ear = await started()
    await transport.send(Notification("notifications/initialized"))
    assert "notifications/initialized" in text(await call(transport, ear, "heard"))
    await transport.close()


async def test_the_environment_is_path_home_and_lang_and_what_the_operator_gave():
    environ = {"PATH": os.environ["PATH"], "HOME": "/h", "LANG": "C.UTF-8", "MCP_SECRET": "ours", "LD_PRELOAD": "x"}
    transport, ear = await started(environ=environ, env={"TOKEN": Secret("theirs"), "HOME": Secret("/other")}, cwd="/")
    seen = json.loads(text(await call(transport, ear, "environ")))
    given = {key: value for key, value in seen["environ"].items() if not key.startswith("LC_")}
    assert given == {"PATH": os.environ["PATH"], "HOME": "/other", "LANG": "C.UTF-8", "TOKEN": "theirs"}
    assert seen["cwd"] == "/"
    await transport.close()


async def test_no_shell_reads_the_command():
    _, ear = await started(sys.executable, "-c", "import sys; print(sys.argv)", "$HOME; echo *", "a b")
    lost = await ear.end()
    assert ear.messages.empty()
    assert isinstance(lost, TransportLost)


@pytest.mark.parametrize(
    ("command", "given"),
    [(("no-such-program-anywhere",), {}), (("/",), {}), ((sys.executable,), {"cwd": "/no/such/place"})],
)
async def test_a_command_that_cannot_start_is_a_typed_error(command, given):
    with pytest.raises(TransportLost, match="cannot be started") as caught:
        await started(*command, **given)
    assert caught.value.sent is False


async def test_a_secret_is_not_in_the_error_of_a_failed_start():
    with pytest.raises(TransportLost) as caught:
        await started("no-such-program", env={"TOKEN": Secret("hunter2")})
    assert "hunter2" not in repr(caught.value) + str(caught.value)


async def test_what_a_child_prints_on_standard_error_is_kept_apart_and_is_no_failure():
    transport, ear = await started()
    assert text(await call(transport, ear, "whisper")) == '"fine"'
    await until(lambda: transport.stderr)
    assert transport.stderr == ("Traceback: something that only looks bad",)
    assert text(await call(transport, ear, "whisper")) == '"fine"'
    await transport.close()


async def test_only_the_last_and_the_first_part_of_lines_on_standard_error_are_kept():
    code = "import sys; sys.stderr.write('x' * 9_000_000 + '\\n'); [print(n, file=sys.stderr) for n in range(500)]"
    transport, ear = await started(sys.executable, "-c", code)
    await ear.end()
    assert len(transport.stderr) == STDERR_LINES
    assert transport.stderr[-1] == "499"
    assert max(map(len, transport.stderr)) <= 2_000


async def test_a_line_that_is_no_json_is_passed_over():
    transport, ear = await started()
    answer = await call(transport, ear, "garbage")
    assert answer.id == 7
    assert answer.error is None
    await transport.close()


async def test_a_malformed_answer_fails_the_request_that_it_names():
    transport, ear = await started()
    answer = await call(transport, ear, "broken")
    assert (answer.id, answer.result, answer.error["code"]) == (7, None, -32700)
    await transport.close()


async def test_a_line_of_exactly_the_bound_is_read_and_one_byte_more_ends_the_child():
    line = b'{"jsonrpc":"2.0","id":1,"result":{"pad":"%s"}}'
    for extra in (0, 1):
        pad = 100_000 - len(line) + 2 + extra
        code = f"import sys; print('{line.decode()}' % ('x' * {pad}), flush=True); sys.stdin.read()"
        transport, ear = await started(sys.executable, "-c", code, max_line=100_000)
        if extra:
            assert "longer than 100000 bytes" in str(await ear.end())
            assert ear.messages.empty()
        else:
            assert (await ear.next()).id == 1
        pid = transport.pid
        await transport.close()
        assert gone(pid)


async def test_a_line_without_an_end_cannot_fill_our_memory():
    transport, ear = await started(max_line=100_000)
    await transport.send(Request(1, "tools/call", {"name": "huge", "arguments": {"bytes": 50_000_000}}))
    lost = await ear.end()
    assert "longer than 100000 bytes" in str(lost)
    assert lost.sent is True
    assert gone(transport.pid)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_a_killed_child_is_noticed_and_reaped(number):
    transport, ear = await started()
    await call(transport, ear, "echo")
    os.kill(transport.pid, number)
    lost = await ear.end()
    assert f"status {-number}" in str(lost)
    assert gone(transport.pid)
    with pytest.raises(TransportLost) as caught:
        await transport.send(Request(1, "ping"))
    assert caught.value.sent is False


async def test_a_killed_child_is_noticed_although_its_own_child_holds_the_pipe():
    transport, ear = await started()
    grandchild = int(text(await call(transport, ear, "spawn")))
    os.kill(transport.pid, signal.SIGKILL)
    assert "status -9" in str(await ear.end())
    assert gone(transport.pid)
    await until(lambda: _dead(grandchild))


async def test_closing_ends_also_what_the_child_started():
    transport, ear = await started()
    grandchild = int(text(await call(transport, ear, "spawn")))
    await transport.close()
    assert gone(transport.pid)
    await until(lambda: _dead(grandchild))
    assert ear.lost.result() is None


async def test_a_child_that_only_closes_its_output_is_ended():
    transport, ear = await started()
    await transport.send(Request(1, "tools/call", {"name": "close_stdout"}))
    assert isinstance(await ear.end(), TransportLost)
    assert gone(transport.pid)


async def test_a_child_gets_time_to_end_by_itself():
    code = 'import sys; print(\'{"jsonrpc":"2.0","method":"up"}\', flush=True); sys.stdin.read(); print(\'bye\', file=sys.stderr)'
    transport, ear = await started(sys.executable, "-c", code, grace=10.0)
    assert await ear.next() == Notification("up")
    await transport.close()
    assert transport.stderr == ("bye",)
    assert await ear.end() is None


async def test_a_child_that_ignores_everything_is_killed():
    code = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        'print(\'{"jsonrpc":"2.0","method":"up"}\', flush=True); time.sleep(600)'
    )
    transport, ear = await started(sys.executable, "-c", code, grace=0.1)
    await ear.next()
    async with asyncio.timeout(5):
        await transport.close()
    assert gone(transport.pid)


async def test_closing_twice_and_before_the_start_is_harmless():
    transport = StdioTransport(RAW, env={})
    await transport.close()
    transport, _ear = await started()
    await asyncio.gather(transport.close(), transport.close())
    await transport.close()
    assert gone(transport.pid)


async def test_nothing_can_be_sent_before_the_start():
    with pytest.raises(TransportLost) as caught:
        await StdioTransport(RAW, env={}).send(Request(1, "ping"))
    assert caught.value.sent is False


async def test_while_the_pipe_is_full_senders_wait_nothing_is_heaped_up_and_all_are_let_go_when_the_child_ends():
    transport, _ear = await started(sys.executable, "-c", "import time; time.sleep(600)", grace=0.1)
    big = Request(1, "tools/call", {"x": "x" * 1_000_000})
    async with asyncio.timeout(5):
        await transport.send(big)
    waiting = [asyncio.create_task(transport.send(big)) for _ in range(9)]
    done, _ = await asyncio.wait(waiting, timeout=0.1)
    assert not done
    assert transport._process.get_pipe_transport(0).get_write_buffer_size() < 1_100_000
    os.kill(transport.pid, signal.SIGKILL)
    for sending in waiting:
        with pytest.raises(TransportLost) as caught:
            async with asyncio.timeout(5):
                await sending
        assert caught.value.sent is False
    await transport.close()


async def test_senders_who_waited_go_on_in_turn_when_the_child_reads_again():
    code = "import json, sys; sys.stdin.readline(); [print(json.dumps({'jsonrpc': '2.0', 'id': json.loads(line)['id'], 'result': {}}), flush=True) for line in sys.stdin]"
    transport, ear = await started(sys.executable, "-c", code)
    pad = {"x": "x" * 300_000}
    async with asyncio.timeout(10):
        await asyncio.gather(*(transport.send(Request(n, "tools/call", pad)) for n in range(9)))
    assert [(await ear.next()).id for _ in range(8)] == [1, 2, 3, 4, 5, 6, 7, 8]
    await transport.close()


async def test_the_last_words_before_the_end_are_still_heard():
    code = 'print(\'{"jsonrpc":"2.0","id":1,"result":{}}\\n\' * 1000)'
    _, ear = await started(sys.executable, "-c", code)
    await ear.end()
    assert ear.messages.qsize() == 1000


async def test_a_child_does_not_outlive_a_gateway_that_was_killed():
    code = (
        "import asyncio\n"
        "from connectors.stdio import StdioTransport\n"
        "async def main():\n"
        f"    transport = StdioTransport({RAW!r}, env={{}})\n"
        "    await transport.start(print, print)\n"
        "    print(transport.pid, flush=True)\n"
        "    await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    root = Path(__file__).parents[2]
    gateway = await asyncio.create_subprocess_exec(sys.executable, "-c", code, cwd=root, stdout=asyncio.subprocess.PIPE)
    child = int(await gateway.stdout.readline())
    assert not _dead(child)
    gateway.kill()
    await gateway.wait()
    await until(lambda: _dead(child))


def _dead(pid):
    """Whether the process has ended (it may wait for a parent outside of ours to be told)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True
