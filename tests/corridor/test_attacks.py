"""What has befallen other gateways, tried on a whole one. Each test is named after the class of incident.

The classes that other suites hold: fabricated keys, forged hosts and doubled keys (``test_bad_input``), foreign
sessions and mixed answers (``test_isolation``), stale authority (``test_revocation``), secrets (``test_secrets``).
"""

import json
import queue
import secrets
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, ResponseReceived, StreamEnded
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.corridor.house import House, modern, result_of, until
from tests.corridor.test_isolation import INITIALIZE, legacy
from tests.corridor.test_revocation import works
from tests.corridor.test_streams import following, waits

ENDPOINTS = [("POST", "/mcp"), ("GET", "/mcp"), ("DELETE", "/mcp"), ("POST", "/mcp/demo-only"), ("GET", "/sse")]
ENDPOINTS += [("GET", "/sse/demo-only"), ("POST", "/messages"), ("GET", "/health"), ("GET", "/status")]
LEGACY = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"]


def raw(house: House, *lines: str, body: bytes = b"", wait: float = 5.0) -> bytes:
    """All that comes back for these bytes until the server closes the connection."""
    said = b""
    with socket.create_connection(("127.0.0.1", house.port), timeout=wait) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
        while part := connection.recv(65_536):
            said += part
    return said


def host(house: House) -> str:
    return f"Host: 127.0.0.1:{house.port}"


# -- route and authority confusion


SEGMENTS = ["mcp", "sse", "messages", "MCP", "..", ".", "", "%2e%2e", "%6dcp", "health", "main", "demo-only", "mcp%00"]
SEGMENTS += ["mcp;x", "mcp%2Fmain", "mcp%0d%0aX:", "%ff", "http:", "127.0.0.1", "static", "*", "@", "mcp%3FapiKey=x"]


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    method=st.sampled_from(["GET", "POST", "DELETE", "HEAD", "OPTIONS", "TRACE", "PUT", "CONNECT"]),
    segments=st.lists(st.sampled_from(SEGMENTS), min_size=1, max_size=4),
    lead=st.sampled_from(["/", "//", "", "http://evil.example/"]),
)
def test_route_confusion_no_form_of_path_or_method_is_served_without_a_key(
    house: House, method: str, segments: list[str], lead: str
):
    target = lead + "/".join(segments)
    answer = raw(house, f"{method} {target or '/'} HTTP/1.1", host(house), "Connection: close")
    status = int(answer.split(b" ", 2)[1])
    pages = ("/health", "/status", "//health", "//status", "health")
    assert 400 <= status < 500 or target in pages, (target, answer)
    assert b"jsonrpc" not in answer or b'"error"' in answer


@pytest.mark.parametrize(
    "name", ["evil#@{}", "{}#@evil", "{}@evil", "user@{}", "{}.", "evil, {}", "[{}]", "{}/mcp", ""]
)
def test_authority_confusion_only_our_own_name_is_our_name(house: House, user_key: str, name: str):
    forged = name.format(f"127.0.0.1:{house.port}")
    answer = raw(house, "GET /mcp HTTP/1.1", f"Host: {forged}", f"x-apikey: {user_key}", "Connection: close")
    assert int(answer.split(b" ", 2)[1]) == 421


# -- DNS rebinding


@pytest.mark.parametrize(("method", "path"), ENDPOINTS)
def test_dns_rebinding_host_and_origin_are_checked_before_the_key_on_every_endpoint(
    house: House, user_key: str, method: str, path: str
):
    for forged, status in (
        ({"host": "rebound.example"}, 421),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
    ):
        with house.client(user_key) as known, house.client() as unknown:
            answers = [client.request(method, path, headers=forged) for client in (known, unknown)]
        assert [answer.status_code for answer in answers] == [status] * 2
        assert answers[0].text == answers[1].text


def test_dns_rebinding_a_forged_authority_is_refused_over_http_2(house: House):
    assert h2_status(house, "rebound.example") == 421
    assert h2_status(house, f"127.0.0.1:{house.port}") == 401


def h2_status(house: House, authority: str) -> int:
    """The status of ``GET /mcp`` over HTTP/2 in the clear."""
    client = H2Connection(H2Configuration(client_side=True))
    client.initiate_connection()
    pseudo = {":method": "GET", ":scheme": "http", ":path": "/mcp", ":authority": authority}
    client.send_headers(1, list(pseudo.items()), end_stream=True)
    status = 0
    with socket.create_connection(("127.0.0.1", house.port), timeout=10) as connection:
        while True:
            connection.sendall(client.data_to_send())
            for event in client.receive_data(connection.recv(65_536)):
                if isinstance(event, ResponseReceived):
                    status = int(dict(event.headers)[b":status"])
                if isinstance(event, DataReceived | StreamEnded):
                    return status


# -- request smuggling


def test_smuggling_a_request_with_two_lengths_is_refused_and_what_follows_is_not_read(house: House, user_key: str):
    hidden = f"GET /health HTTP/1.1\r\n{host(house)}\r\n\r\n".encode()
    head = [
        "POST /mcp HTTP/1.1",
        host(house),
        f"x-apikey: {user_key}",
        "Content-Length: 5",
        "Transfer-Encoding: chunked",
    ]
    answers: list[bytes] = []
    assert recorded(house, user_key, lambda: answers.append(raw(house, *head, body=b"0\r\n\r\n" + hidden)), 1) == [
        "malformed"
    ]
    assert answers[0].startswith(b"HTTP/1.1 400")
    assert answers[0].count(b"HTTP/1.1 ") == 1


# -- policy checked in one protocol version only


@contextmanager
def event_stream(house: House, key: str, path: str = "/sse") -> Iterator[Any]:
    """Yields a function that posts a message over HTTP+SSE and gives its answer."""
    with house.client(key) as client, following(house, key, "GET", path) as heard:
        place = heard()

        def ask(method: str, **params: Any) -> Any:
            assert client.post(place, json=legacy(method, **params)).status_code == 202
            return heard()

        ask.place = place
        yield ask


@contextmanager
def road(house: House, key: str, name: str) -> Iterator[Any]:
    """Yields a function that asks over one revision and transport."""
    if name.startswith("/sse"):
        with event_stream(house, key, name) as ask:
            yield ask
        return
    with house.client(key) as client:
        if name == "2026-07-28":
            yield lambda method, **params: result_of(client.post("/mcp", **modern(method, **params)))
            return
        version, _, batch = name.partition(" ")
        hello = {**INITIALIZE, "params": {**INITIALIZE["params"], "protocolVersion": version}}
        opened = client.post("/mcp", json=hello)
        assert result_of(opened)["result"]["protocolVersion"] == version
        headers = {"mcp-session-id": opened.headers["mcp-session-id"], "mcp-protocol-version": version}

        def ask(method: str, **params: Any) -> Any:
            asked = legacy(method, **params)
            answer = result_of(client.post("/mcp", json=[asked] if batch else asked, headers=headers))
            return answer[0] if batch else answer

        yield ask


@pytest.mark.parametrize("name", [*LEGACY, "2025-03-26 batch", "2026-07-28", "/sse"])
def test_policy_in_one_version_only_every_revision_and_transport_asks_the_same_policy(
    house: House, user_key: str, name: str
):
    with road(house, user_key, name) as ask:
        listed = {tool["name"] for tool in ask("tools/list")["result"]["tools"]}
        assert "demo__echo" in listed
        assert "demo__destroy" not in listed
        hidden = ask("tools/call", name="demo__destroy", arguments={})
        assert hidden["error"]["message"] == "unknown tool: `demo__destroy`"
        denied = ask("tools/call", name="demo__echo", arguments={"text": "forbidden"})["result"]
        assert denied["isError"] is True
        assert denied["content"][0]["text"].startswith("denied by policy")
        allowed = ask("tools/call", name="demo__echo", arguments={"text": "fine"})["result"]
        assert json.loads(allowed["content"][0]["text"])["arguments"] == {"text": "fine"}
        assert ask("tools/destroy")["error"]["code"] == -32601


# -- sessions of others, and answers that reach the wrong client


def test_session_hijack_an_id_is_worth_nothing_on_the_other_transport_or_server(house: House, user_key: str):
    with house.client(user_key) as client, event_stream(house, user_key) as ask:
        stolen = {"mcp-session-id": ask.place.partition("sessionId=")[2]}
        own = client.post("/mcp", json=INITIALIZE).headers["mcp-session-id"]
        assert client.post("/mcp", json=legacy("ping"), headers=stolen).status_code == 404
        assert client.delete("/mcp", headers=stolen).status_code == 404
        assert client.post(f"/messages?sessionId={own}", json=legacy("ping")).status_code == 404
        assert ask("ping", id=9) == {"jsonrpc": "2.0", "id": 9, "result": {}}


def test_response_mixing_nobody_cancels_or_hears_the_request_of_another_under_the_same_id(
    house: House, user_key: str, auditor_key: str
):
    name = f"held-{house.store[:7]}"
    answers: queue.Queue[Any] = queue.Queue()
    notice = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "c1"}}
    with house.client(user_key) as mine, house.client(user_key) as same, house.client(auditor_key) as other:
        sessions = [
            {"mcp-session-id": each.post("/mcp", json=INITIALIZE).headers["mcp-session-id"]}
            for each in (mine, same, other)
        ]
        call = legacy("tools/call", id="c1", name="demo__wait", arguments={"name": name})
        thread = threading.Thread(target=lambda: answers.put(mine.post("/mcp", json=call, headers=sessions[0])))
        thread.start()
        until(lambda: waits(house, user_key).get(name) == "running")
        for client, headers in ((same, sessions[1]), (other, sessions[2])):
            assert client.post("/mcp", json=notice, headers=headers).status_code == 202
        assert other.post("/mcp", json=notice, headers=sessions[0]).status_code == 404
        bare = {"mcp-protocol-version": "2026-07-28"}
        assert same.post("/mcp", json=notice, headers={**bare, **sessions[0]}).status_code == 202
        echo = legacy("tools/call", id="c1", name="demo__echo", arguments={"text": "mine"})
        assert "mine" in same.post("/mcp", json=echo, headers=sessions[1]).text
        assert waits(house, user_key)[name] == "running"
        assert answers.empty()
        mine.post("/mcp", json=notice, headers=sessions[0])
        thread.join(20)
        assert "cancelled" in result_of(answers.get(timeout=20))["error"]["message"]


# -- stale authority


def test_stale_authority_a_listening_stream_ends_with_its_key(house: House):
    email = "listener@example.com"
    key = house.add_user(email, "user")
    until(lambda: works(house, key))
    question = modern("subscriptions/listen", id="L1", notifications={"toolsListChanged": True})
    with following(house, key, "POST", "/mcp", **question) as heard:
        assert heard()["method"] == "notifications/subscriptions/acknowledged"
        house.cli("users", "reset-key", email)
        assert heard() == {
            "jsonrpc": "2.0",
            "id": "L1",
            "result": {"resultType": "complete", "_meta": {"io.modelcontextprotocol/subscriptionId": "L1"}},
        }


# -- the record


@contextmanager
def sending(house: House, key: str, body: bytes, length: int, *more: str) -> Iterator[None]:
    """A connection on which so much of a POST was sent; it is closed at the end."""
    head = ["POST /mcp HTTP/1.1", host(house), f"x-apikey: {key}", "accept: */*", "content-type: application/json"]
    with socket.create_connection(("127.0.0.1", house.port), timeout=5) as connection:
        connection.sendall("\r\n".join([*head, f"content-length: {length}", *more, "", ""]).encode() + body)
        yield


def recorded(house: House, key: str, do: Callable[[], object], count: int) -> list[str]:
    """The outcomes of all entries that ``do`` has left, once there are ``count``; each is written in its turn."""

    def all_before(mark: str) -> set[str]:
        with house.client(key) as client:
            client.post("/mcp/demo-only", json=legacy("ping", id=mark))
        until(lambda: any(entry.request_id == mark for entry in house.entries()))
        return {entry.id for entry in house.entries()}

    def new() -> list[str]:
        found = (entry for entry in house.entries() if entry.id not in before)
        ours = ("demo/waits",)
        return sorted(each.outcome for each in found if each.object not in ours and each.request_id != after)

    after = secrets.token_hex(8)
    before = all_before(secrets.token_hex(8))
    do()
    until(lambda: len(new()) >= count)
    all_before(after)
    return new()


def test_audit_gaps_every_request_leaves_exactly_one_entry_however_it_ends(house: House, user_key: str):
    name = f"leaver-{house.store[:7]}"
    wait = modern("tools/call", name="demo__wait", arguments={"name": name})
    lines = [f"{name}: {value}" for name, value in wait["headers"].items()]
    whole = json.dumps(wait["json"]).encode()
    batch = [legacy("ping", id=1), legacy("tools/call", id=2, name="no"), legacy("no/method", id=3)]
    with house.client(user_key) as client:
        hello = {**INITIALIZE, "params": {**INITIALIZE["params"], "protocolVersion": "2025-03-26"}}
        session = {"mcp-session-id": client.post("/mcp", json=hello).headers["mcp-session-id"]}

        def leave_waiting() -> None:
            with sending(house, user_key, whole, len(whole), *lines):
                until(lambda: waits(house, user_key).get(name) == "running")

        def leave_sending() -> None:
            with sending(house, user_key, b"{", 100):
                pass

        ways: dict[str, tuple[Callable[[], object], list[str]]] = {
            "another method": (lambda: client.put("/mcp"), ["not_allowed"]),
            "no such path": (lambda: client.post("/mcp/a/b/c"), ["unknown"]),
            "a batch": (lambda: client.post("/mcp", json=batch, headers=session), ["ok", "unknown", "unknown"]),
            "a message without a stream": (lambda: client.post("/messages?sessionId=x", json={}), ["unknown"]),
            "leaving while sending": (leave_sending, ["cut_off"]),
            "leaving while waiting": (leave_waiting, ["cancelled"]),
        }
        for way, (do, outcomes) in ways.items():
            assert recorded(house, user_key, do, len(outcomes)) == outcomes, way


def test_log_injection_no_word_of_a_client_begins_a_line_of_the_log(own_house: House):
    forged = "x\n2026-01-01 00:00:00,000 CRITICAL forged\x1b[31m"
    key = own_house.add_user("ann@example.com", "user")
    with own_house.client(key) as client:
        for method, params in (
            ("tools/call", {"name": "demo__echo", "arguments": {forged: forged}}),
            ("tools/call", {"name": forged}),
            ("resources/read", {"uri": f"test://{forged}"}),
            (forged, {}),
        ):
            question = modern(method, id=forged, **params)["json"]
            encoded = {"mcp-protocol-version": "2026-07-28", "mcp-method": "x", "mcp-name": "x"}
            client.post("/mcp", json=question, headers=encoded)
            client.post("/mcp", json=legacy(method, id=forged, **params))
            client.post("/mcp/demo-only", json=legacy(method, id=forged, **params))
        raw(own_house, "GET /%0a2026%20CRITICAL%20forged HTTP/1.1", "Host: evil", "Connection: close")
    assert own_house.stop() == 0
    assert not [line for line in own_house.log.splitlines() if "CRITICAL" in line]
    assert "\x1b" not in own_house.log


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """A frame of HTTP/2 (RFC 9113 §4.1)."""
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def test_secrets_in_logs_a_key_in_a_request_that_breaks_the_web_server_is_not_logged(own_house: House):
    key = own_house.add_user("ann@example.com")
    fields = {":method": b"GET", ":scheme": b"http", ":path": b"/mcp\xff", ":authority": b"x", "x-apikey": key.encode()}
    literals = [bytes([0, len(name)]) + name.encode() + bytes([len(value)]) + value for name, value in fields.items()]
    opening = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b"")
    with socket.create_connection(("127.0.0.1", own_house.port), timeout=5) as connection:
        connection.sendall(opening + frame(1, 5, 1, b"".join(literals)))
        while connection.recv(65_536):
            pass
    until(lambda: "UnicodeDecodeError" in own_house.log)
    assert key not in own_house.log
