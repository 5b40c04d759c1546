"""What comes without being asked for: list changes, updates, progress; and what stops when it is cancelled."""

import json
import queue
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.corridor.house import META, ON_SQLITE, House, modern, result_of, until
from tests.corridor.test_isolation import INITIALIZE, legacy


@contextmanager
def following(house: House, key: str, method: str, path: str, **request: Any) -> Iterator[Callable[..., Any]]:
    """Yields a function that gives the next message of a stream, or raises ``queue.Empty`` after ``wait`` seconds. The
    last one is an exception: how the stream ended.
    """
    heard: queue.Queue[Any] = queue.Queue()
    ready = threading.Event()
    client = house.client(key)

    def follow() -> None:
        try:
            with client.stream(method, path, timeout=60, **request) as stream:
                assert stream.status_code == 200, stream.read()
                ready.set()
                for line in stream.iter_lines():
                    if line.startswith("data: ") and len(line) > 6:  # the first event may be empty
                        heard.put(json.loads(line[6:]) if line[6] == "{" else line[6:])
            heard.put(EOFError("the stream has ended"))
        except Exception as error:  # noqa: BLE001 - told to the test below
            heard.put(error)

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    assert ready.wait(20)
    try:
        yield lambda wait=20: heard.get(timeout=wait)
    finally:
        client.close()


def test_a_legacy_session_hears_that_lists_have_changed(own_house: House):
    key = own_house.add_user("ann@example.com", "user", "fast")
    with own_house.client(key) as client:
        headers = {"mcp-session-id": client.post("/mcp", json=INITIALIZE).headers["mcp-session-id"]}
        client.post("/mcp", json=legacy("tools/list"), headers=headers)
        with following(own_house, key, "GET", "/mcp", headers=headers) as heard:
            client.post("/mcp", json=legacy("tools/call", name="demo__grow", arguments={}), headers=headers)
            methods = {heard()["method"] for _ in range(3)}
        assert methods == {f"notifications/{kind}/list_changed" for kind in ("tools", "prompts", "resources")}
        tools = result_of(client.post("/mcp", json=legacy("tools/list"), headers=headers))["result"]["tools"]
        assert any(tool["name"].startswith("demo__grown") for tool in tools)


def test_who_may_see_nothing_of_it_hears_nothing(own_house: House):
    user, nobody = own_house.add_user("ann@example.com", "user", "fast"), own_house.add_user("eve@example.com")
    with own_house.client(user) as client, own_house.client(nobody) as outsider:
        headers = {"mcp-session-id": outsider.post("/mcp", json=INITIALIZE).headers["mcp-session-id"]}
        mine = {"mcp-session-id": client.post("/mcp", json=INITIALIZE).headers["mcp-session-id"]}
        with (
            following(own_house, user, "GET", "/mcp", headers=mine) as heard,
            following(own_house, nobody, "GET", "/mcp", headers=headers) as unheard,
        ):
            client.post("/mcp", json=legacy("tools/call", name="demo__grow", arguments={}), headers=mine)
            heard()
            outsider.delete("/mcp", headers=headers)
            try:
                said = unheard()
            except queue.Empty:
                said = None
            assert said is None or isinstance(said, Exception)


def test_a_listening_modern_client_gets_what_it_asked_for_tagged_with_its_request(own_house: House):
    key = own_house.add_user("ann@example.com", "user", "fast")
    wish = {"toolsListChanged": True, "resourceSubscriptions": ["test://static", "test://secret-of-nobody"]}
    with own_house.client(key) as client:
        until(lambda: "demo__echo" in client.post("/mcp", **modern("tools/list")).text)
        with following(
            own_house, key, "POST", "/mcp", **modern("subscriptions/listen", id="L1", notifications=wish)
        ) as heard:
            first = heard()
            assert first["method"] == "notifications/subscriptions/acknowledged"
            assert first["params"]["notifications"]["toolsListChanged"] is True
            client.post("/mcp", **modern("tools/call", name="demo__touch", arguments={"uri": "test://static"}))
            updated = heard()
            assert updated["method"] == "notifications/resources/updated"
            assert updated["params"]["uri"] == "test://static"
            client.post("/mcp", **modern("tools/call", name="demo__grow", arguments={}))
            changed = heard()
            assert changed["method"] == "notifications/tools/list_changed"
            for message in (first, updated, changed):
                assert message["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"] == "L1"


@ON_SQLITE
def test_progress_arrives_before_the_answer_in_one_stream(house: House, user_key: str):
    meta = {**META, "progressToken": "p1"}
    question = modern("tools/call", name="demo__slow", arguments={"steps": 3})
    question["json"]["params"]["_meta"] = meta
    with house.client(user_key) as client:
        answer = client.post("/mcp", **question)
    assert answer.headers["content-type"].startswith("text/event-stream")
    data = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]
    assert [each["params"]["progress"] for each in data[:-1]] == [1, 2, 3]
    assert {each["params"]["progressToken"] for each in data[:-1]} == {"p1"}
    assert data[-1]["result"]["content"][0]["text"] == "3"


def waits(house: House, key: str) -> dict[str, str]:
    with house.client(key) as client:
        answer = result_of(client.post("/mcp", **modern("tools/call", name="demo__waits", arguments={})))
        return json.loads(answer["result"]["content"][0]["text"])


@ON_SQLITE
def test_a_cancelled_legacy_request_is_cancelled_behind_us(house: House, user_key: str):
    with house.client(user_key) as client:
        headers = {"mcp-session-id": client.post("/mcp", json=INITIALIZE).headers["mcp-session-id"]}
        name = f"legacy-{house.store[:7]}"
        outcome: list[Any] = []
        call = legacy("tools/call", id="c1", name="demo__wait", arguments={"name": name})
        thread = threading.Thread(target=lambda: outcome.append(client.post("/mcp", json=call, headers=headers)))
        thread.start()
        until(lambda: waits(house, user_key).get(name) == "running")
        notice = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "c1"}}
        assert client.post("/mcp", json=notice, headers=headers).status_code == 202
        until(lambda: waits(house, user_key).get(name) == "cancelled")
        thread.join(20)
        assert "error" in result_of(outcome[0])


@ON_SQLITE
def test_closing_the_answer_of_a_modern_request_cancels_it(house: House, user_key: str):
    name = f"modern-{house.store[:7]}"
    question = modern("tools/call", name="demo__wait", arguments={"name": name})
    body = json.dumps(question["json"])
    headers = {
        "host": f"127.0.0.1:{house.port}",
        "accept": "application/json, text/event-stream",
        "content-type": "application/json",
        "content-length": str(len(body)),
        "x-apikey": user_key,
        **question["headers"],
    }
    lines = "".join(f"{key}: {value}\r\n" for key, value in headers.items())
    with socket.create_connection(("127.0.0.1", house.port), timeout=20) as raw:
        raw.sendall(f"POST /mcp HTTP/1.1\r\n{lines}\r\n{body}".encode())
        until(lambda: waits(house, user_key).get(name) == "running")
    until(lambda: waits(house, user_key).get(name) == "cancelled")
    until(lambda: any(entry.outcome == "cancelled" and entry.object == "demo/wait" for entry in house.entries()))
