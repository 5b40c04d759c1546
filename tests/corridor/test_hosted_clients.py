"""Clients that were written for Alloy's hosted servers, against a whole gateway: what they send, and what they leave
out. A server is made by the API, and used by its URL alone, with a key, over ``/sse`` and for end users.
"""

import json
import sys
import time
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from tests.clients.npm import NODE
from tests.clients.talking import HERE, PROGRAMS, converse
from tests.corridor.house import EVERYTHING, House, free_port, running, until, write
from tests.proofs.signing import ISSUER, SECRET, changed

POLICY = """\
p, user:*, main, self, *, connect, , allow
p, role:dev, main, self, demo/*, write, , allow
p, role:dev, main, self, stripe/*, write, , allow
p, role:dev, main, self, gateway/servers, manage, , allow
p, role:dev, main, self, gateway/end-users, act-as, , allow
p, role:dev, main, self, gateway/end-users, manage, , allow
p, *, *, self, *, revoke, , allow
p, role:security, main, system, gateway/policy, manage, , allow
"""
META_TOOLS = {
    "list_connectors", "get_connector_resources", "get_action_details", "execute_action",
    "create_credential", "get_credentials", "get_credential_metadata", "discover_action_path",
}  # fmt: skip
ACCEPT = {"accept": "application/json,text/event-stream", "content-type": "application/json"}
HELLO = {"protocolVersion": "2024-11-05", "capabilities": {}, "clientInfo": {"name": "hosted", "version": "1.0.0"}}
SIGNED = [{"issuer": ISSUER, "algorithm": "HS256", "secret": SECRET.decode()}]
ECHO = {"connectorId": "demo", "actionId": "echo", "parameters": {"text": "hi"}}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("hosted")
    command = json.dumps([sys.executable, str(EVERYTHING), "--transport", "stdio"])
    demo = f'[upstreams.demo]\ncommand = {command}\nsharing = "all"\ntrust = true\n'
    write(folder, policy=POLICY, limits="", upstreams=demo, settings="[server]\n")
    connectors = folder / "config" / "connectors.toml"
    connectors.write_text("[connectors.stripe]\n")
    connectors.chmod(0o600)
    with running(House(folder, free_port(), str(folder / "var" / "ostiary.db"))) as started:
        yield started


@pytest.fixture(scope="module")
def key(house: House) -> str:
    return house.add_user("ann@example.com", "dev")


def api(house: House, key: str, method: str, path: str, body: Any = None) -> httpx2.Response:
    with house.client(authorization=f"Bearer {key}") as client:
        return client.request(method, path, json=body)


def offered(house: House, key: str, name: str, **wish: Any) -> dict[str, Any]:
    made = api(house, key, "POST", "/api/servers", {"name": name, **wish})
    assert made.status_code == 201, made.text
    told: dict[str, Any] = made.json()
    return told


def send(url: str, method: str = "tools/list", headers: dict[str, str] | None = None, **params: Any) -> httpx2.Response:
    """One request as they send it: for itself, without a session."""
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    return httpx2.post(url, json=body, headers={**ACCEPT, **(headers or {})}, timeout=20)


def ask(url: str, method: str = "tools/list", headers: dict[str, str] | None = None, **params: Any) -> Any:
    """The result, read as they read it: the first ``data: `` line of a stream, or plain JSON."""
    answer = send(url, method, headers, **params)
    assert answer.status_code == 200, answer.text
    assert (answer.headers["cache-control"], answer.headers["referrer-policy"]) == ("no-store", "no-referrer")
    lines = (line[6:] for line in answer.text.splitlines() if line.startswith("data: "))
    told = json.loads(next(lines, answer.text))
    assert told["id"] == 1
    assert "error" not in told, told
    return told["result"]


def call(url: str, tool: str, headers: dict[str, str] | None = None, /, **arguments: Any) -> Any:
    """The JSON in the one text that a meta tool answers with."""
    result = ask(url, "tools/call", headers, name=tool, arguments=arguments)
    (text,) = result["content"]
    assert not result.get("isError"), text["text"]
    return json.loads(text["text"])


def names(result: Any) -> set[str]:
    return {each["name"] for each in result["tools"]}


def test_a_client_with_nothing_but_the_url_says_hello_and_goes_on(house: House, key: str):
    url = offered(house, key, "Url")["accessUrl"]
    assert ask(url, "initialize", **HELLO)["protocolVersion"] == "2024-11-05"
    assert names(ask(url)) >= META_TOOLS
    assert "demo" in {each["id"] for each in call(url, "list_connectors_alloy")["connectors"]}


def test_the_javascript_clients_do_the_same(house: House, key: str):
    told = offered(house, key, "Script")
    steps = [["list_connectors_alloy", {}], ["execute_action_alloy", ECHO]]
    by_url = {"url": told["accessUrl"], "headers": {}}
    by_key = {"url": told["url"], "headers": {"Authorization": f"Bearer {key}", "x-alloy-userid": "u-1"}}
    for way in (by_url, by_key):
        seen = converse((NODE, HERE / "hosted.mjs"), {**way, "steps": steps})
        assert seen["version"] == "2024-11-05"
        connectors, echoed = (each["content"][0]["text"] for each in seen["answers"])
        assert "demo" in {each["id"] for each in json.loads(connectors)["connectors"]}
        assert '"hi"' in echoed.replace("\\", "")


def test_the_client_of_the_sdk_needs_nothing_but_the_url(house: House, key: str):
    url = offered(house, key, "Sdk", mode="direct")["accessUrl"]
    plan = {"url": url, "headers": {}, "transport": "http", "mode": "legacy", "steps": [["tools"]]}
    (listed,) = converse(PROGRAMS["typescript-v1"], plan)["answers"]
    assert "demo__echo" in names(listed)


def test_a_key_comes_in_by_every_spelling_and_as_an_end_user(house: House, key: str):
    told = offered(house, key, "Key", mode="direct")
    bearer = {"authorization": f"Bearer {key}"}
    for user in ("x-alloy-userid", "x-user-id"):
        assert "demo__echo" in names(ask(told["url"], headers={**bearer, user: "u-1"}))
    entered = {**bearer, "x-mcp-server-id": told["serverId"], "x-user-id": "u-2"}
    assert "demo__echo" in names(ask(f"{house.url}/mcp", headers=entered))
    id = told["serverId"]
    until(lambda: {f"end:{id}/u-1", f"end:{id}/u-2"} <= {each.subject for each in house.entries()})
    assert send(told["accessUrl"], headers={"x-alloy-userid": "u-1"}).status_code == 403
    assert send(told["url"]).status_code == 401


def test_a_server_is_there_over_sse_as_well(house: House, key: str):
    told = offered(house, key, "Sse", mode="direct")
    url = told["accessUrl"].replace("/mcp/", "/sse/")
    for way, headers in ((url, {}), (f"{house.url}/sse/{told['serverId']}", {"x-apikey": key})):
        plan = {"url": way, "headers": headers, "transport": "sse", "mode": "legacy", "steps": [["tools"]]}
        (listed,) = converse(PROGRAMS["typescript-v1"], plan)["answers"]
        assert "demo__echo" in names(listed)


def test_a_signed_token_is_its_user_there_and_nobody_elsewhere(house: House, key: str):
    told, other = (offered(house, key, name, jwt=SIGNED) for name in ("Signed", "Signed too"))
    id, now = told["serverId"], int(time.time())
    one, two = (
        {name: changed(aud=id, sub=user, iat=now, exp=now + 300)}
        for name, user in (("x-alloy-user-token", "one"), ("x-user-token", "two"))
    )
    for headers in (one, two):
        assert call(told["accessUrl"], "list_connectors", headers)["count"] >= 1
        assert call(told["url"], "list_connectors", headers)["count"] >= 1
        assert send(other["url"], headers=headers).status_code == 401
    until(lambda: {f"end:{id}/one", f"end:{id}/two"} <= {each.subject for each in house.entries()})
    late = {"x-alloy-user-token": changed(aud=id, iat=now - 900, exp=now - 600)}
    assert send(told["accessUrl"], headers=late).status_code == 401


def test_a_token_of_the_gateways_own_is_its_end_user_there_and_nobody_elsewhere(house: House, key: str):
    told, other = offered(house, key, "Issued"), offered(house, key, "Issued too")
    made = api(house, key, "POST", "/users", {"username": "u-9"}).json()
    issued = api(house, key, "POST", f"/users/{made['userId']}/token", {"servers": [told["serverId"]]})
    assert issued.status_code == 201, issued.text
    headers = {"x-user-token": issued.json()["token"]}
    assert call(told["url"], "list_connectors", headers)["count"] >= 1
    until(lambda: f"end:{told['serverId']}/{made['userId']}" in {each.subject for each in house.entries()})
    assert send(other["url"], headers=headers).status_code == 401


def test_two_end_users_have_connections_of_their_own_and_see_no_others(house: House, key: str):
    url = offered(house, key, "Keys")["url"]
    one, two = ({"authorization": f"Bearer {key}", "x-alloy-userid": user} for user in ("c-1", "c-2"))
    wants = call(url, "get_credential_metadata_alloy", one, connectorId="stripe")
    assert "api_key" in json.dumps(wants)
    typed = {"connectorId": "stripe", "authenticationType": "api_key", "fields": {"api_key": "sk_test_0123456789"}}
    made = call(url, "create_credential_alloy", one, **typed)["credentialId"]
    kept = [call(url, "get_credentials_alloy", each, connectorId="stripe")["credentials"] for each in (one, two)]
    assert [[each["credentialId"] for each in own] for own in kept] == [[made], []]
    assert "sk_test" not in json.dumps(kept)
    asked = {"connectorId": "stripe", "actionId": "list_customers", "parameters": {}, "credentialId": made}
    refused = ask(url, "tools/call", two, name="execute_action_alloy", arguments=asked)
    assert refused["isError"] is True
    assert f"unknown connection: `{made}`" in refused["content"][0]["text"]


def test_every_answer_tells_how_it_stands_and_the_hundred_and_first_is_refused_for_its_caller_alone(
    house: House, key: str
):
    told, other = offered(house, key, "Often"), offered(house, key, "Seldom")
    answers = [send(told["accessUrl"]) for _ in range(101)]
    assert [each.status_code for each in answers] == [200] * 100 + [429]
    left = [int(each.headers["ratelimit"].partition("r=")[2].partition(";")[0]) for each in answers]
    assert left == [*range(99, -1, -1), 0]
    assert {each.headers["ratelimit-policy"].partition(";")[2] for each in answers} == {"q=100;w=60"}
    assert 0 < int(answers[-1].headers["retry-after"]) <= 60
    assert send(other["accessUrl"]).status_code == 200


def test_from_the_list_to_the_details_and_the_execution(house: House, key: str):
    told = offered(house, key, "Flow")
    url, headers = told["url"], {"authorization": f"Bearer {key}", "x-alloy-userid": "u-1"}
    assert {"demo", "stripe"} <= {e["id"] for e in call(url, "list_connectors_alloy", headers)["connectors"]}
    resources = call(url, "get_connector_resources_alloy", headers, connectorId="demo")
    assert "echo" in json.dumps(resources)
    details = call(url, "get_action_details_alloy", headers, connectorId="demo", actionId="echo")
    assert [each["name"] for each in details["required"]] == ["text"]
    assert call(url, "execute_action_alloy", headers, **ECHO)["arguments"] == {"text": "hi"}
    unknown = ask(url, "tools/call", headers, name="execute_action", arguments={**ECHO, "actionId": "nothing"})
    assert unknown["isError"] is True, "a refusal of a tool is no fault of HTTP"


def test_a_token_is_changed_with_grace_and_without_and_ends_with_its_server(house: House, key: str):
    told = offered(house, key, "Turn")
    path, first = f"/api/servers/{told['serverId']}", told["accessUrl"]
    second = api(house, key, "POST", f"{path}/regenerate-token", {"graceSeconds": 3600}).json()["accessUrl"]
    assert [send(url).status_code for url in (first, second)] == [200, 200]
    third = api(house, key, "POST", f"{path}/regenerate-token", {"graceSeconds": 0}).json()["accessUrl"]
    assert [send(url).status_code for url in (first, second, third)] == [401, 401, 200]
    assert api(house, key, "DELETE", path).status_code == 200
    assert send(third).status_code == 401


def test_a_token_stands_nowhere_once_it_was_told(house: House, key: str):
    told = offered(house, key, "Quiet")
    id, token = told["serverId"], told["accessToken"]
    assert ask(told["accessUrl"])
    assert send(told["accessUrl"], headers={"x-alloy-userid": "u-1"}).status_code == 403
    entries = until(lambda: (found := house.entries()) and any(e.subject == f"server:{id}" for e in found) and found)
    later = [api(house, key, "GET", path).text for path in ("/api/servers", f"/api/servers/{id}")]
    assert all(id in each for each in later)
    assert token not in "".join([*later, *map(repr, entries), house.log])
