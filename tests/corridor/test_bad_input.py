"""Bad input: a clear JSON error, no stack trace, one audit entry, and the gateway goes on."""

import json
import os
import secrets
import socket
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.corridor.house import ON_SQLITE, House, modern, until

pytestmark = ON_SQLITE

KEY = "{key}"
PING = {"jsonrpc": "2.0", "id": 7, "method": "tools/list", "params": {}}


def body(text: str | bytes) -> dict[str, Any]:
    return {"content": text}


def nested(depth: int) -> str:
    return (
        '{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"x","arguments":'
        + '{"a":' * depth
        + "1"
        + "}" * depth
        + "}}"
    )


CASES: dict[str, tuple[int, str, dict[str, Any]]] = {
    "no key": (401, "Missing apiKey", {"json": PING, "headers": {"x-apikey": ""}}),
    "a key that nobody has": (401, "Invalid apiKey", {"json": PING, "headers": {"x-apikey": "ost_" + "x" * 43}}),
    "a key twice in the query": (401, "Invalid apiKey", {"json": PING, "path": "/mcp?apiKey={key}&apiKey={key}"}),
    "a nested key in the query": (401, "Invalid apiKey", {"json": PING, "path": "/mcp?apiKey[$ne]=1"}),
    "a key list in the query": (401, "Invalid apiKey", {"json": PING, "path": "/mcp?apiKey[]={key}"}),
    "two keys that differ": (401, "Invalid apiKey", {"json": PING, "path": "/mcp?apiKey=other_key_of_somebody"}),
    "no JSON": (400, "", body("hello")),
    "nothing": (400, "", body("")),
    "invalid UTF-8": (400, "", body(b'{"jsonrpc":"2.0","id":7,"method":"\xff\xfe"}')),
    "a byte order mark": (400, "", body(b"\xef\xbb\xbf" + json.dumps(PING).encode())),
    "a duplicate key": (400, "method", body('{"jsonrpc":"2.0","id":7,"method":"ping","method":"tools/call"}')),
    "a key in another case": (400, "Method", body('{"jsonrpc":"2.0","id":7,"method":"ping","Method":"tools/call"}')),
    "a name in two cases": (
        400,
        "Name",
        body('{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"a","Name":"b"}}'),
    ),
    "deep nesting": (400, "64", body(nested(5_000))),
    "not a number": (400, "", body('{"jsonrpc":"2.0","id":7,"method":"ping","params":{"a":NaN}}')),
    "a lone surrogate": (400, "", body('{"jsonrpc":"2.0","id":7,"method":"ping","params":{"a":"\\ud800"}}')),
    "an id that is null": (400, "id", body('{"jsonrpc":"2.0","id":null,"method":"ping"}')),
    "a batch": (400, "batch", {"json": [PING, PING]}),
    "an empty batch": (400, "batch", {"json": []}),
    "an oversized body": (413, "10485760", body(b"x" * 10_485_761)),
    "a wrong content type": (415, "application/json", {"json": PING, "headers": {"content-type": "text/plain"}}),
    "a stream not accepted": (406, "text/event-stream", {"json": PING, "headers": {"accept": "application/json"}}),
    "JSON not accepted": (406, "application/json", {"json": PING, "headers": {"accept": "text/event-stream"}}),
    "a forged host": (421, "Host", {"json": PING, "headers": {"host": "evil.example"}}),
    "a forged origin": (403, "Origin", {"json": PING, "headers": {"origin": "https://evil.example"}}),
    "no session": (400, "No valid session ID provided", {"json": PING}),
    "a session that never was": (404, "session", {"json": PING, "headers": {"mcp-session-id": "x" * 43}}),
    "a server that is not": (404, "server", {"json": PING, "path": "/mcp/nowhere"}),
    "an unknown method": (404, "", modern("tools/destroy")),
    "a method of the other era": (404, "", modern("initialize")),
    "a version not served": (
        400,
        "",
        {**modern("tools/list"), "headers": {"mcp-protocol-version": "2099-01-01", "mcp-method": "tools/list"}},
    ),
    "a header that contradicts the body": (
        400,
        "",
        {**modern("tools/list"), "headers": {"mcp-protocol-version": "2026-07-28", "mcp-method": "tools/call"}},
    ),
    "an envelope without its version": (
        400,
        "",
        {"json": PING, "headers": {"mcp-protocol-version": "2026-07-28", "mcp-method": "tools/list"}},
    ),
}


def send(house: House, key: str, case: dict[str, Any], client_name: str) -> httpx2.Response:
    parts = dict(case)
    path = parts.pop("path", "/mcp").replace(KEY, key)
    headers = parts.pop("headers", {})
    wanted = None if headers.get("x-apikey") == "" or "[" in path else key
    with house.client(wanted, **{"user-agent": client_name}) as client:
        return client.post(path, headers={name: value for name, value in headers.items() if value}, **parts)


def added(house: House, count: Callable[[], int], before: int) -> int:
    until(lambda: count() > before, wait=5)
    return count() - before


@pytest.mark.parametrize("name", CASES)
def test_it_gets_a_clear_json_error_and_one_audit_entry(house: House, user_key: str, name: str):
    status, words, case = CASES[name]
    mark = secrets.token_hex(4)
    answer = send(house, user_key, case, mark)
    assert answer.status_code == status, answer.text
    told = answer.json()
    assert words in json.dumps(told), told
    if case.get("path", "/mcp").startswith("/mcp/"):
        assert told["error"]["code"] == "NOT_FOUND"
    elif status != 401:
        assert told["jsonrpc"] == "2.0"
        assert isinstance(told["error"]["code"], int)
    assert "Traceback" not in answer.text
    found = until(lambda: [entry for entry in house.entries() if entry.client == mark], wait=5)
    assert len(found) == 1


def test_the_id_is_echoed_when_it_could_be_read(house: House, user_key: str):
    with house.client(user_key) as client:
        for id in (7, "seven"):
            answer = client.post("/mcp", content=json.dumps({"jsonrpc": "2.0", "id": id, "method": "a", "Method": "b"}))
            assert answer.json()["id"] == id


def test_every_bearer_of_every_shape_is_refused_on_every_route(house: House):
    shapes = [
        "x",
        "null",
        "undefined",
        "ost_",
        "Bearer",
        "eyJhbGciOiJub25lIn0.e30.",
        "a" * 5_000,
        "${env:KEY}",
        "' OR 1=1 --",
    ]
    with house.client() as client:
        for shape in shapes:
            for headers in ({"authorization": f"Bearer {shape}"}, {"x-apikey": shape}, {"apikey": shape}):
                for method, path in [
                    ("POST", "/mcp"),
                    ("GET", "/mcp"),
                    ("DELETE", "/mcp"),
                    ("GET", "/sse"),
                    ("POST", "/mcp/demo"),
                ]:
                    answer = client.request(method, path, headers=headers, content=b"{}" if method == "POST" else None)
                    assert answer.status_code == 401, (shape, path)
                    assert "www-authenticate" in answer.headers


def test_media_types_are_compared_without_regard_to_case_or_parameters(house: House, user_key: str):
    question = modern("tools/list")
    headers = {
        **question["headers"],
        "accept": "Application/JSON;q=0.9,TEXT/Event-Stream",
        "content-type": "Application/Json; Charset=UTF-8",
    }
    with house.client(user_key) as client:
        assert client.post("/mcp", content=json.dumps(question["json"]), headers=headers).status_code == 200


def test_a_raw_connection_with_garbage_does_not_disturb_the_next_one(house: House, user_key: str):
    for noise in (
        b"\x00\xff" * 50,
        b"GET /mcp\r\n\r\n",
        b"POST /mcp HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{",
    ):
        with socket.create_connection(("127.0.0.1", house.port), timeout=5) as raw:
            raw.sendall(noise)
    with house.client(user_key) as client:
        assert client.post("/mcp", **modern("tools/list")).status_code == 200


@settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "60")), suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(noise=st.one_of(st.binary(max_size=300), st.text(max_size=300).map(str.encode)), modern_era=st.booleans())
def test_arbitrary_bytes_never_crash_it(house: House, user_key: str, noise: bytes, modern_era: bool):
    headers = {"mcp-protocol-version": "2026-07-28", "mcp-method": "tools/call"} if modern_era else {}
    with house.client(user_key) as client:
        answer = client.post("/mcp", content=noise, headers=headers)
        assert 400 <= answer.status_code < 500
        assert "error" in answer.json()


def test_after_all_this_the_log_has_no_stack_trace(house: House):
    assert "Traceback" not in house.log
