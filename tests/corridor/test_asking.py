"""Servers ask, real clients answer, whatever era and transport either has; and what broke off is fetched."""

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.clients.talking import MATRIX, PROGRAMS, converse
from tests.corridor.house import EVERYTHING, House, connects, free_port, result_of, until
from tests.corridor.several import STANDING, standing
from tests.corridor.test_isolation import INITIALIZE, legacy
from tests.corridor.test_streams import following

POLICY = """\
p, role:user, *, self, *, read, , allow
p, role:user, *, self, *, rate:fast, , allow
p, role:security, main, system, gateway/policy, manage, , allow
"""
LIMITS = '[[class]]\nname = "fast"\ncalls = 1000000\nwindow_s = 60\n'
HTTP = """\
[upstreams.{name}]
url = "http://127.0.0.1:{port}/{path}"
transport = "{transport}"
private_hosts = ["127.0.0.1:{port}"]
tools = {{ "*" = "read" }}
"""
CHILD = """\
[upstreams.child]
command = ["{python}", "{everything}", "--transport", "stdio", "--era", "legacy"]
sharing = "principal"
tools = {{ "*" = "read" }}
"""
SERVERS = {
    "new": ("http", "mcp", "modern"),
    "past": ("http", "mcp", "legacy"),
    "oldest": ("sse", "sse", "legacy"),
}
"""Transport, path and era of each upstream; ``child`` speaks over standard input and output."""

ANSWERS: dict[str, Any] = {
    "form": {"action": "accept", "content": {"name": "Ann"}},
    "url": {"action": "accept"},
    "sampling": {"role": "assistant", "content": {"type": "text", "text": "a word"}, "model": "none"},
    "roots": {"roots": [{"uri": "file:///home/ann"}]},
}
CAPABILITIES = {"elicitation": {"form": {}, "url": {}}, "sampling": {}, "roots": {}}


@pytest.fixture(scope="module", params=STANDING)
def asking(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A gateway in front of servers that ask."""
    folder, ports = tmp_path_factory.mktemp("asking"), []
    upstreams = CHILD.format(python=sys.executable, everything=EVERYTHING)
    offers: list[str] = []
    for name, (transport, path, era) in SERVERS.items():
        ports.append(free_port())
        offers += ["--serve", f"{transport},{ports[-1]},{era}"]
        upstreams += HTTP.format(name=name, port=ports[-1], path=path, transport=transport)
    child = subprocess.Popen([sys.executable, str(EVERYTHING), *offers])
    try:
        for port in ports:
            until(lambda port=port: child.poll() is None and connects("127.0.0.1", port), 30)
        with standing(request.param, folder, policy=POLICY, limits=LIMITS, upstreams=upstreams) as house:
            yield house
    finally:
        child.terminate()
        child.wait(20)


@pytest.fixture(scope="module")
def key(asking: House) -> str:
    return asking.add_user("ann@example.com", "user")


@pytest.mark.parametrize(("client", "transport", "mode", "version"), MATRIX, ids=lambda value: str(value))
def test_a_real_client_answers_what_a_server_asks(
    asking: House, key: str, client: str, transport: str, mode: str, version: str
):
    kinds = list(ANSWERS)
    upstreams = ("new", "past", "oldest", "child")
    plan = {
        "url": f"{asking.url}/{'sse' if transport == 'sse' else 'mcp'}",
        "headers": {"x-apikey": key},
        "transport": transport,
        "mode": mode,
        "answers": True,
        "steps": [["call", f"{name}__ask", {"kinds": kinds, "turns": 2}] for name in upstreams],
    }
    told = converse(PROGRAMS[client], plan)
    assert told["version"] == version
    for upstream, answer in zip(upstreams, told["answers"], strict=True):
        assert not answer.get("isError"), (upstream, answer)
        turns = json.loads(answer["content"][0]["text"])
        assert [dict(zip(kinds, turn, strict=True)) for turn in turns] == [ANSWERS, ANSWERS], upstream


@pytest.mark.parametrize("upstream", ["new", "past", "oldest", "child"])
@pytest.mark.parametrize("client", ["python-v1", "typescript-v2"])
def test_a_real_client_that_declares_nothing_is_asked_for_nothing(asking: House, key: str, client: str, upstream: str):
    plan = {
        "url": f"{asking.url}/mcp",
        "headers": {"x-apikey": key},
        "transport": "http",
        "mode": "legacy",
        "steps": [["call", f"{upstream}__ask", {"kinds": ["form"]}], ["call", f"{upstream}__echo", {"text": "on"}]],
    }
    asked, echo = converse(PROGRAMS[client], plan)["answers"]
    assert "Ann" not in json.dumps(asked)
    assert asked.get("isError") or "error" in asked["content"][0]["text"]
    assert json.loads(echo["content"][0]["text"])["arguments"] == {"text": "on"}


def opened(client: Any, **capabilities: Any) -> dict[str, str]:
    """The headers of a new session."""
    hello = {**INITIALIZE, "params": {**INITIALIZE["params"], "capabilities": capabilities}}
    session = {"mcp-session-id": client.post("/mcp", json=hello).headers["mcp-session-id"]}
    client.post("/mcp", json={"jsonrpc": "2.0", "method": "notifications/initialized"}, headers=session)
    return session


def broken_off(house: House, key: str, session: dict[str, str], body: Any) -> tuple[str, list[Any]]:
    """What came of an answer until the client hung up, after the first message: the last event id, the messages."""
    data = json.dumps(body)
    headers = {
        "host": f"127.0.0.1:{house.port}",
        "accept": "application/json, text/event-stream",
        "content-type": "application/json",
        "content-length": str(len(data)),
        "x-apikey": key,
        **session,
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    last, messages = "", []
    with socket.create_connection(("127.0.0.1", house.port), timeout=20) as raw, raw.makefile("rb") as stream:
        raw.sendall(f"POST /mcp HTTP/1.1\r\n{lines}\r\n{data}".encode())
        for line in stream:
            if line.startswith(b"id: "):
                last = line[4:].strip().decode()
            if line.startswith(b"data: {"):
                messages.append(json.loads(line[6:]))
                return last, messages
    raise AssertionError("the answer ended before anything was said")


@pytest.mark.parametrize("upstream", ["new", "past", "child"])
def test_a_question_is_answered_after_the_connection_broke_off(asking: House, key: str, upstream: str):
    with asking.client(key) as client:
        session = opened(client, **CAPABILITIES)
        call = legacy("tools/call", id="c", name=f"{upstream}__ask", arguments={"kinds": ["form"], "turns": 2})
        last, (question,) = broken_off(asking, key, session, call)
        assert question["method"] == "elicitation/create"
        with following(asking, key, "GET", "/mcp", headers={**session, "last-event-id": last}) as heard:
            for put in (question, None):
                put = put or heard()
                answer = {"jsonrpc": "2.0", "id": put["id"], "result": ANSWERS["form"]}
                assert client.post("/mcp", json=answer, headers=session).status_code == 202
            told = heard()
        assert told["id"] == "c"
        assert json.loads(told["result"]["content"][0]["text"]) == [[ANSWERS["form"]]] * 2
        again = client.get("/mcp", headers={**session, "last-event-id": last})
        assert result_of(again) == told


@pytest.mark.parametrize("upstream", ["new", "past", "child"])
def test_cancelling_a_request_takes_its_question_back(asking: House, key: str, upstream: str):
    with asking.client(key) as client:
        session = opened(client, **CAPABILITIES)
        call = legacy("tools/call", id="c", name=f"{upstream}__ask", arguments={"kinds": ["form"]})
        last, (question,) = broken_off(asking, key, session, call)
        with following(asking, key, "GET", "/mcp", headers={**session, "last-event-id": last}) as heard:
            notice = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "c"}}
            assert client.post("/mcp", json=notice, headers=session).status_code == 202
            withdrawn, told = heard(), heard()
        assert withdrawn["method"] == "notifications/cancelled"
        assert withdrawn["params"]["requestId"] == question["id"]
        assert "error" in told
        echo = legacy("tools/call", name=f"{upstream}__echo", arguments={"text": "on"})
        assert "result" in result_of(client.post("/mcp", json=echo, headers=session))


@pytest.mark.parametrize("upstream", ["past", "child"])
def test_a_question_that_the_server_takes_back_is_taken_back(asking: House, key: str, upstream: str):
    with asking.client(key) as client:
        session = opened(client, **CAPABILITIES)
        call = legacy("tools/call", id="c", name=f"{upstream}__reconsider", arguments={})
        answer = client.post("/mcp", json=call, headers=session)
        data = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: {")]
        assert [each.get("method") for each in data] == ["elicitation/create", "notifications/cancelled", None]
        assert data[1]["params"]["requestId"] == data[0]["id"]
        assert "taken back" in data[2]["result"]["content"][0]["text"]


def test_many_sessions_of_one_user_answer_each_its_own_question(asking: House, key: str):
    outcomes: list[Any] = []

    def one(number: int) -> None:
        with asking.client(key) as client:
            session = opened(client, **CAPABILITIES)
            call = legacy("tools/call", name="past__ask", arguments={"kinds": ["form"]})
            with following(asking, key, "POST", "/mcp", json=call, headers=session) as heard:
                mine = {"action": "accept", "content": {"name": str(number)}}
                client.post("/mcp", json={"jsonrpc": "2.0", "id": heard()["id"], "result": mine}, headers=session)
                told = json.loads(heard()["result"]["content"][0]["text"])
            outcomes.append(told == [[mine]])

    threads = [threading.Thread(target=one, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert outcomes == [True] * 12
