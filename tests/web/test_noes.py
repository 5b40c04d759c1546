"""What a no looks like: every row of the table in ``docs/clients.md``, in both eras; and that hidden things answer
like missing ones, byte for byte.
"""

import json
from typing import Any

import pytest

from gateway.mcp.tasks import EXTENSION
from gateway.mcp.terms import CAPABILITIES_KEY, Era
from tests.builders import AMY, Door
from tests.documents import table
from tests.fakes import FakeConnector, prompt, resource, template, tool
from tests.web.plane import MODERN, MODERN_META, Front, message, until

ROWS = f"""
p, user:{AMY}, main, self, c/seen, write, args.n == 1, allow
p, user:{AMY}, main, self, c/prompt:seen, read, args.n == '1', allow
p, user:{AMY}, main, self, c/resource:seen://*, read, , allow
"""
OFFERED = [
    *(tool("seen"), tool("hidden"), prompt("seen", "n"), prompt("hidden", "n")),
    *(resource("seen://1"), resource("hidden://1"), template("seen://{x}"), template("hidden://{x}")),
]
ARGUMENT = {"name": "n", "value": ""}


def of_prompt(name: str, **known: str) -> dict[str, Any]:
    context = {"context": {"arguments": known}} if known else {}
    return {"ref": {"type": "ref/prompt", "name": name}, "argument": ARGUMENT, **context}


def of_resource(uri: str) -> dict[str, Any]:
    return {"ref": {"type": "ref/resource", "uri": uri}, "argument": ARGUMENT}


def follows(uri: str) -> dict[str, Any]:
    return {"notifications": {"resourceSubscriptions": [uri]}}


NAMES, URIS = ("c__hidden", "c__absent"), ("hidden://1", "absent://1")
BEYOND, BELOW = ("hidden://2", "absent://2"), ("hidden://{x}", "absent://{x}")
ASKED: dict[tuple[str, str], list[tuple[str, dict[str, Any]]]] = {
    ("a list", "hidden"): [(f"{kind}/list", {}) for kind in ("tools", "prompts", "resources", "resources/templates")],
    ("`tools/call`", "missing or hidden"): [("tools/call", {"name": name, "arguments": {"n": 1}}) for name in NAMES],
    ("`tools/call`", "denied"): [("tools/call", {"name": "c__seen", "arguments": {"n": 2}})],
    ("`prompts/get`", "missing or hidden"): [("prompts/get", {"name": name}) for name in NAMES],
    ("`prompts/get`", "denied"): [("prompts/get", {"name": "c__seen", "arguments": {"n": "2"}})],
    ("`resources/read`", "missing or hidden"): [("resources/read", {"uri": uri}) for uri in (*URIS, *BEYOND)],
    ("`resources/subscribe`", "missing or hidden"): [("resources/subscribe", {"uri": uri}) for uri in URIS],
    ("`resources/unsubscribe`", "missing or hidden"): [("resources/unsubscribe", {"uri": uri}) for uri in URIS],
    ("`subscriptions/listen`", "missing or hidden"): [("subscriptions/listen", follows(uri)) for uri in URIS],
    ("`completion/complete` of a prompt", "missing or hidden"): [
        ("completion/complete", of_prompt(name)) for name in NAMES
    ],
    ("`completion/complete` of a prompt", "denied"): [("completion/complete", of_prompt("c__seen", n="2"))],
    ("`completion/complete` of a resource or template", "missing or hidden"): [
        ("completion/complete", of_resource(uri)) for uri in (*URIS, *BELOW)
    ],
    ("`tasks/get`", "missing"): [("tasks/get", {"taskId": id}) for id in ("task", "none")],
    ("a method", "missing"): [(method, {}) for method in ("tools/none", "resources/hidden")],
}
NO = table("clients.md", "What a no looks like")


def looks(status: int, body: dict[str, Any]) -> str:
    """An answer in the words of the table."""
    if "notifications/subscriptions/acknowledged" in json.dumps(body):
        return "left out" if body["params"]["notifications"] == {"resourceSubscriptions": []} else "told"
    reference = " and a reference" if "reference" in json.dumps(body) else ""
    if "error" in body:
        return f"{body['error']['code']}{reference}, HTTP {status}"
    if body["result"].get("isError"):
        return f"`isError`{reference}, HTTP {status}"
    lists = [each for each in body["result"].values() if isinstance(each, list)]
    if lists:
        return "told" if "hidden" in json.dumps(lists) else "left out"
    return f"done, HTTP {status}"


async def asked(front: Front, era: Era, method: str, params: dict[str, Any]) -> tuple[int, str]:
    """Status and body of an answer; of a stream, its first message."""
    if era is Era.LEGACY:
        exchange = front.post(method, session=await front.session(), **params)
    else:
        name = params.get("name") or params.get("uri") or params.get("taskId")
        body = message(method, _meta={**MODERN_META, CAPABILITIES_KEY: EXTENSION}, **params)
        exchange = front.open("POST", "/mcp", body, **MODERN, mcp_method=method, mcp_name=name)
    if method == "subscriptions/listen" and era is Era.MODERN:
        await until(lambda: exchange.messages)
        exchange.leave()
        return exchange.status, json.dumps(exchange.messages[0])
    await exchange.done()
    return exchange.status, exchange.text


def test_every_row_of_the_table_is_asked():
    assert set(ASKED) == {(row[0], row[1]) for row in NO.rows}


@pytest.mark.parametrize(("era", "column"), [(Era.LEGACY, 2), (Era.MODERN, 3)], ids=str)
@pytest.mark.parametrize("row", NO.rows, ids=lambda row: f"{row[0]} {row[1]}")
async def test_a_no_looks_as_the_table_says_and_tells_nothing_more(row: tuple[str, ...], era: Era, column: int):
    front = Front(Door(ROWS, [connector := FakeConnector("c", OFFERED), FakeConnector("d", [resource("d://1")])]))
    answers = set()
    for method, params in ASKED[row[0], row[1]]:
        status, text = await asked(front, era, method, params)
        assert looks(status, json.loads(text)) == row[column], text
        answers.add((status, text.replace("hidden", "absent").replace("task", "none")))
    if "hidden" in row[1] and row[0] != "a list":
        kinds = {text.replace("://2", "://1").replace("{x}", "1") for _, text in answers}
        assert len(kinds) == 1, "what is hidden answers otherwise than what is missing"
    assert connector.sent == []
