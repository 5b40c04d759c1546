"""``ostiary serve`` as a child process: the first start, the second, and a graceful end."""

import asyncio
import json
import os
import re
import shlex
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from contextlib import closing
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def free_port() -> int:
    """A port below 32768 that nobody listens on."""
    for port in range(20_000 + os.getpid() % 10_000, 32_000):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no free port")


class Child:
    """A process whose output is read as it comes; it ends with the test."""

    def __init__(self, *words, **environ):
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith(("MONGODB", "MCP_", "OSTIARY"))
        }
        self.process = subprocess.Popen(
            [sys.executable, *words],
            cwd=ROOT,
            env={**inherited, "PYTHONPATH": f"{ROOT}:{os.environ.get('PYTHONPATH', '')}", **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.out, self.err = [], []
        self._readers = [
            threading.Thread(target=lambda: self.out.extend(self.process.stdout)),
            threading.Thread(target=lambda: self.err.extend(self.process.stderr)),
        ]
        for reader in self._readers:
            reader.start()

    def until(self, what, within=30.0):
        deadline = time.monotonic() + within
        while not (found := what()):
            assert time.monotonic() < deadline, self.out + self.err
            assert self.process.poll() is None, self.out + self.err
            time.sleep(0.03)
        return found

    def said(self, text):
        return lambda: any(text in line for line in self.out + self.err)

    def end(self, how=signal.SIGTERM, within=30.0) -> int:
        self.process.send_signal(how)
        return self.wait(within)

    def wait(self, within=30.0) -> int:
        code = self.process.wait(within)
        for reader in self._readers:
            reader.join(within)
        return code

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.wait()
        self.process.stdout.close()
        self.process.stderr.close()


@pytest.fixture
def children():
    started = []

    def start(*words, **environ):
        started.append(Child(*words, **environ))
        return started[-1]

    yield start
    for child in started:
        child.kill()


def get(port, path) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
        return answer.read().decode()


def answers(port, path="/health"):
    try:
        return get(port, path)
    except (OSError, urllib.error.URLError):
        return None


def ask(port, key) -> tuple[int, dict]:
    body = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
    }
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/mcp",
        data=json.dumps(body).encode(),
        headers={"x-apikey": key, "content-type": "application/json", "accept": "application/json, text/event-stream"},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.loads(answer.read().split(b"data: ")[-1])
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


# -- the whole program


def serve(children, site, port, **environ):
    child = children("-m", "gateway.cli", "--config", str(site.root / "config"), "serve", PORT=str(port), **environ)
    child.until(lambda: answers(port))
    return child


def test_the_first_start_shows_a_key_that_works_and_the_second_shows_none(children, site):
    port = free_port()
    first = serve(children, site, port, MCP_ADMIN_EMAIL="Root@example.com")
    text = "".join(first.out)
    assert "Created the administrator root@example.com" in text
    key = re.search(r"shown this once:  (ost_\S+)", text)[1]
    config = json.loads(text[text.index("{\n") : text.index("\n}\n") + 2])
    assert config["mcpServers"]["ostiary"] == {
        "type": "http",
        "url": f"http://127.0.0.1:{port}/mcp",
        "headers": {"x-apikey": key},
    }
    assert ask(port, key)[0] == 200
    assert ask(port, "ost_nobody")[0] == 401
    curl = shlex.split(next(line for line in text.splitlines() if line.startswith("curl ")))
    listed = json.loads(subprocess.run(curl, capture_output=True, text=True, timeout=30, check=True).stdout)
    assert listed["id"] == 1
    assert isinstance(listed["result"]["tools"], list)
    assert "upstream `git`: there is no `nowhere/mcp-server-git`" in "".join(first.err)
    assert first.end() == 0
    assert key not in "".join(first.err)

    site.write("config/ostiary.toml", '[audit]\njsonl = "stdout"\n')
    second = serve(children, site, port)
    assert ask(port, key)[0] == 200
    second.until(lambda: second.out)
    assert second.end(signal.SIGINT) == 0
    assert "ost_" not in "".join(second.out + second.err)
    assert "users reset-key EMAIL" in "".join(second.err)
    assert all(json.loads(line)["id"] for line in second.out), "standard output is for audit entries alone"


def test_the_first_key_stands_in_the_log_only_where_that_is_set_and_warned_about(children, site):
    site.write("config/ostiary.toml", "[admin]\nlog_new_keys = true\n")
    first = serve(children, site, free_port(), MCP_ADMIN_EMAIL="root@example.com")
    assert first.end() == 0
    key = re.search(r"shown this once:  (ost_\S+)", "".join(first.out))[1]
    logged = [line for line in first.err if key in line]
    assert [line.rpartition("gateway.letters: ")[2] for line in logged] == [f"new API key of root@example.com: {key}\n"]
    assert any(line.startswith("warning: `admin.log_new_keys` is on") for line in first.err)


def test_a_port_in_use_is_one_clean_line_and_costs_no_key(site):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", free_port()))
        taken.listen()
        port = taken.getsockname()[1]
        assert (
            site.wrong("serve", PORT=str(port)) == f"error: cannot listen on 127.0.0.1:{port}: address already in use\n"
        )
    assert not (site.root / "var" / "ostiary.db").exists()


def test_the_first_key_is_shown_even_when_the_start_fails_right_after(site):
    site.fine("users", "list")
    with closing(sqlite3.connect(site.root / "var" / "ostiary.db")) as connection, connection:
        connection.execute("DROP TABLE audit")
    result = site.ostiary("serve", PORT=str(free_port()))
    assert result.exit_code == 1
    assert "shown this once:  ost_" in result.stdout


# -- the end, on a twin


@pytest.fixture
def twin(children):
    port = free_port()
    child = children(str(Path(__file__).with_name("twin.py")), str(port))
    child.until(lambda: answers(port, "/"))
    return child, port


async def test_calls_in_flight_finish_streams_end_and_nothing_new_is_accepted_once_told_to_stop(twin):
    child, port = twin
    waiting = [asyncio.create_task(asyncio.to_thread(get, port, path)) for path in ("/slow", "/stream")]
    await asyncio.to_thread(child.until, lambda: child.said("/slow")() and child.said("/stream")())
    child.process.terminate()
    await asyncio.to_thread(child.until, child.said("end streams"))
    assert await asyncio.to_thread(answers, port, "/") is None
    assert [await each for each in waiting] == ["last", "first last"]
    assert await asyncio.to_thread(child.wait) == 0
    order = [line.strip() for line in child.out if "asked" not in line]
    assert order == ["start", "end streams", "stop"]
    assert "Traceback" not in "".join(child.err)


async def test_a_second_signal_ends_at_once(twin):
    child, port = twin
    stuck = asyncio.create_task(asyncio.to_thread(answers, port, "/stuck"))
    await asyncio.to_thread(child.until, child.said("/stuck"))
    child.process.terminate()
    await asyncio.to_thread(child.until, child.said("end streams"))
    assert await asyncio.to_thread(child.end, signal.SIGTERM, 5) == -signal.SIGTERM
    assert await stuck is None
