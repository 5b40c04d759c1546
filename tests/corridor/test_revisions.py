"""One policy, asked the same in every revision and over every transport: nothing but the wire may differ.

Gateways have checked rights in the handlers of one protocol version and forgotten those of another. Here one list of
questions goes over each wire, and each time must get the answers, and leave the audit entries, that stand beside them.
"""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import httpx2
import pytest

from gateway.audit import AuditEntry
from tests.corridor.conftest import LIMITS
from tests.corridor.house import EVERYTHING, House, free_port, modern, result_of, running, until, write
from tests.corridor.test_streams import following

UPSTREAMS = "".join(
    f'[upstreams.{id}]\ncommand = ["{sys.executable}", "{EVERYTHING}", "--era", "{era}"]\n'
    f'[upstreams.{id}.tools]\n"*" = "read"\n'
    for id, era in (("new", "modern"), ("old", "legacy"))
)
POLICY = """\
p, role:security, main, system, gateway/policy, manage, , allow
p, role:user, *, self, *, rate:fast, , allow

p, role:user, *, self, new/echo, read, , allow
p, role:user, *, self, old/echo, read, , allow
p, *, *, *, new/echo, read, args.text == 'forbidden', deny
p, *, *, *, old/echo, read, args.text == 'forbidden', deny
p, role:user, *, self, new/structured, read, args.text == 'only this', allow
p, role:user, *, self, old/fail, read, , allow
p, *, *, *, old/fail, read, , deny

p, role:user, *, self, new/prompt:*, read, , allow
p, *, *, *, new/prompt:plain, read, , deny
p, *, *, *, new/prompt:greeting, read, args.who == 'Eve', deny

p, role:user, *, self, new/resource:test://*, read, , allow
p, *, *, *, new/resource:test://binary, read, , deny
p, *, *, *, new/resource:test://item/9, read, , deny
"""


def tool(name: str, **arguments: str) -> tuple[str, dict[str, Any]]:
    return "tools/call", {"name": name, "arguments": arguments}


def prompt(name: str, **arguments: str) -> tuple[str, dict[str, Any]]:
    return "prompts/get", {"name": name, "arguments": arguments}


def resource(uri: str) -> tuple[str, dict[str, Any]]:
    return "resources/read", {"uri": uri}


def completion(type: str, **ref: str) -> tuple[str, dict[str, Any]]:
    return "completion/complete", {"ref": {"type": type, **ref}, "argument": {"name": "who", "value": "a"}}


MATRIX: list[tuple[tuple[str, dict[str, Any]], Any]] = [
    (("tools/list", {}), ["new__echo", "new__structured", "old__echo"]),
    (tool("new__echo", text="hello"), "answered"),
    (tool("new__echo", text="forbidden"), "denied"),
    (tool("old__echo", text="hello"), "answered"),
    (tool("old__echo", text="forbidden"), "denied"),
    (tool("new__structured", text="only this"), "answered"),
    (tool("new__structured", text="something else"), "denied"),
    (tool("old__structured", text="only this"), "unknown"),
    (tool("old__fail"), "unknown"),
    (tool("new__nothing_of_the_kind"), "unknown"),
    (("prompts/list", {}), ["new__greeting"]),
    (prompt("new__greeting", who="Ann"), "answered"),
    (prompt("new__greeting", who="Eve"), "denied"),
    (prompt("new__plain"), "unknown"),
    (prompt("old__plain"), "unknown"),
    (prompt("new__nothing_of_the_kind"), "unknown"),
    (("resources/list", {}), ["test://static"]),
    (("resources/templates/list", {}), ["test://item/{id}"]),
    (resource("test://static"), "answered"),
    (resource("test://item/7"), "answered"),
    (resource("test://item/9"), "unknown"),
    (resource("test://binary"), "unknown"),
    (resource("test://nothing/of/the/kind"), "unknown"),
    (completion("ref/prompt", name="new__greeting"), "answered"),
    (completion("ref/prompt", name="new__plain"), "unknown"),
    (completion("ref/prompt", name="old__greeting"), "unknown"),
    (completion("ref/prompt", name="new__nothing_of_the_kind"), "unknown"),
    (completion("ref/resource", uri="test://item/{id}"), "answered"),
    (completion("ref/resource", uri="test://nothing/{id}"), "unknown"),
]
"""Each question with its answer: what a list names, or how a use of one thing ends."""

Ask = Callable[[list[tuple[str, dict[str, Any]]]], list[Any]]
Wire = Callable[[House, str], AbstractContextManager[Ask]]


def request(id: int, method: str, params: dict[str, Any]) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": id, "method": method, "params": params}


def opening(revision: str) -> dict[str, Any]:
    who = {"capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    return request(0, "initialize", {"protocolVersion": revision, **who})


OPENED = {"jsonrpc": "2.0", "method": "notifications/initialized"}


@contextmanager
def session(house: House, key: str, revision: str) -> Iterator[Callable[[Any], httpx2.Response]]:
    """What posts messages on an opened session of ``/mcp``."""
    with house.client(key) as client:
        answer = client.post("/mcp", json=opening(revision))
        assert result_of(answer)["result"]["protocolVersion"] == revision
        headers = {"mcp-session-id": answer.headers["mcp-session-id"]}
        if revision > "2025-03-26":  # older clients know no such header
            headers["mcp-protocol-version"] = revision
        assert client.post("/mcp", json=OPENED, headers=headers).status_code == 202
        yield lambda body: client.post("/mcp", json=body, headers=headers)


def streamable(revision: str) -> Wire:
    @contextmanager
    def opened(house: House, key: str) -> Iterator[Ask]:
        with session(house, key, revision) as post:
            yield lambda questions: [
                result_of(post(request(id, *question))) for id, question in enumerate(questions, 1)
            ]

    return opened


@contextmanager
def batch(house: House, key: str) -> Iterator[Ask]:
    """Everything in one array, as only 2025-03-26 has it."""

    def ask(questions: list[tuple[str, dict[str, Any]]]) -> list[Any]:
        answer = post([request(id, *question) for id, question in enumerate(questions, 1)])
        by_id = {message["id"]: message for message in messages(answer)}
        return [by_id[id] for id in range(1, len(questions) + 1)]

    with session(house, key, "2025-03-26") as post:
        yield ask


def messages(answer: httpx2.Response) -> Iterator[Any]:
    """Each message of an answer to a batch, one by one or in arrays."""
    data = [answer.text]
    if answer.headers["content-type"].startswith("text/event-stream"):
        data = [line[5:] for line in answer.text.splitlines() if line.startswith("data:") and line[5:].strip()]
    for each in map(json.loads, data):
        yield from each if isinstance(each, list) else [each]


def event_stream(revision: str) -> Wire:
    @contextmanager
    def opened(house: House, key: str) -> Iterator[Ask]:
        with following(house, key, "GET", "/sse") as heard, house.client(key) as client:
            path = heard()

            def said(message: dict[str, Any]) -> Any:
                assert client.post(path, json=message).status_code == 202
                while (answer := heard()).get("id") != message["id"]:
                    pass
                return answer

            assert said(opening(revision))["result"]["protocolVersion"] == revision
            assert client.post(path, json=OPENED).status_code == 202
            yield lambda questions: [said(request(id, *question)) for id, question in enumerate(questions, 1)]

    return opened


@contextmanager
def stateless(house: House, key: str) -> Iterator[Ask]:
    """2026-07-28: each request says everything."""
    with house.client(key) as client:
        yield lambda questions: [
            result_of(client.post("/mcp", **modern(method, id, **params)))
            for id, (method, params) in enumerate(questions, 1)
        ]


LEGACY = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
WIRES: dict[str, Wire] = {
    **{f"{revision} /sse": event_stream(revision) for revision in LEGACY},
    **{f"{revision} /mcp": streamable(revision) for revision in LEGACY},
    "2025-03-26 /mcp batch": batch,
    "2026-07-28 /mcp": stateless,
}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A gateway with one upstream of each era."""
    folder = tmp_path_factory.mktemp("revisions")
    write(folder, policy=POLICY, limits=LIMITS, upstreams=UPSTREAMS)
    with running(House(folder, free_port(), str(folder / "var" / "ostiary.db"))) as started:
        yield started


@pytest.fixture(scope="module")
def key(gateway: House) -> str:
    """The key of the user who asks."""
    return gateway.add_user("ann@example.com", "user")


@pytest.fixture(scope="module")
def decisions(gateway: House, key: str) -> list[tuple[str, ...]]:
    """What the audit says once all was asked in the newest revision."""
    _, found = asked(gateway, key, stateless)
    assert len(found) == len(USES)
    return found


@pytest.mark.parametrize("wire", WIRES)
def test_the_policy_answers_alike_in_every_revision_and_over_every_transport(
    gateway: House, key: str, decisions: list[tuple[str, ...]], wire: str
):
    answers, found = asked(gateway, key, WIRES[wire])
    assert [(question, outcome(answer)) for (question, _), answer in zip(MATRIX, answers, strict=True)] == MATRIX
    assert found == decisions


USES = [method for (method, _), expected in MATRIX if isinstance(expected, str)]


def asked(house: House, key: str, wire: Wire) -> tuple[list[Any], list[tuple[str, ...]]]:
    """The answers to the whole matrix over one wire, and the decisions about uses that the audit holds of it."""
    before = {entry.id for entry in house.entries()}

    def entries() -> list[AuditEntry]:
        found = [entry for entry in house.entries() if entry.id not in before and entry.method in USES]
        return found if len(found) >= len(USES) else []

    with wire(house, key) as ask:
        answers = ask([question for question, _ in MATRIX])
    decided = ((each.method, each.object, str(each.allowed), each.reason, each.rule) for each in until(entries))
    return answers, sorted(decided)


def outcome(answer: dict[str, Any]) -> Any:
    """What an answer says, whichever the words of its revision."""
    if "error" in answer:
        return {-31003: "denied", -32602: "unknown", -32002: "unknown"}[answer["error"]["code"]]
    result = answer["result"]
    for kind, name in LISTED.items():
        if kind in result:
            return [each[name] for each in result[kind]]
    if result.get("isError"):
        assert "denied by policy" in result["content"][0]["text"]
        return "denied"
    return "answered"


LISTED = {"tools": "name", "prompts": "name", "resources": "uri", "resourceTemplates": "uriTemplate"}
