"""``/api/servers`` through the whole gateway: what is told, how often a token is shown, and what no body gets past."""

import json
import re
from datetime import UTC, datetime, timedelta

import pytest

from tests.web.api.whole import ANN, BOB, SEC, whole

ALL = "/api/servers"
SECRET = "a secret of at least thirty-two bytes"
HS = {"issuer": "https://app.example.com", "algorithm": "HS256", "secret": SECRET}
ONLY = {"users": {"mode": "allowlist", "allowedIds": ["u1"]}}
TOLD = {
    *("serverId", "owner", "name", "description", "instructions", "mode", "upstream", "isPublic", "restrictions"),
    *("hasRestrictions", "redirectUris", "jwt", "shaping", "cacheSeconds", "url", "accessUrl", "accessToken"),
    *("tokenExpiresAt", "createdAt", "updatedAt", "rev", "warnings"),
}


@pytest.fixture
async def api(tmp_path):
    async with whole(tmp_path) as house:
        yield house


async def made(api, **wish):
    answer = await api("POST", ALL, ANN, body={"name": "Desk", **wish})
    assert answer.status == 201, answer.raw
    return answer.json


async def test_a_server_tells_its_token_once_and_is_read_listed_and_deleted(api):
    answer = await api("POST", ALL, ANN, body={"name": "My Desk", "description": "d", "instructions": "Be kind."})
    told = answer.json
    etag = f'"{told["rev"]}"'
    assert (answer.status, answer.headers["etag"], answer.headers["cache-control"]) == (201, etag, "no-store")
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert set(told) == TOLD
    id, token = told["serverId"], told["accessToken"]
    assert re.fullmatch(r"my-desk-[0-9a-f]{8}", id)
    assert re.fullmatch(r"mcp_token_[\w-]{43}", token)
    assert told["url"] == f"https://gateway.example.com/mcp/{id}"
    assert told["accessUrl"] == f"{told['url']}/{token}"
    left = datetime.fromisoformat(told["tokenExpiresAt"]) - datetime.now(UTC)
    assert timedelta(days=89, hours=23) < left <= timedelta(days=90)
    assert (told["isPublic"], told["mode"], told["hasRestrictions"], told["warnings"]) == (
        False,
        "connectivity",
        False,
        [],
    )

    masked = {**told, "accessToken": f"{token[:12]}…", "accessUrl": f"{told['url']}/{token[:12]}…"}
    read = await api("GET", f"{ALL}/{id}", ANN)
    assert (read.json, read.headers["etag"]) == (masked, etag)
    listed = (await api("GET", ALL, ANN)).json
    assert listed == {"total": 1, "limit": 25, "offset": 0, "hasMore": False, "count": 1, "servers": [masked]}

    ended = await api("DELETE", f"{ALL}/{id}", ANN)
    assert (ended.status, ended.json) == (200, {"message": "Server deleted", "serverId": id})
    assert (await api("GET", f"{ALL}/{id}", ANN)).code == "NOT_FOUND"


async def test_lists_are_told_in_parts_in_order_of_name(api):
    for name in ("b", "C", "a"):
        await made(api, name=name)

    async def part(query):
        told = (await api("GET", f"{ALL}?{query}", ANN)).json
        return [each["name"] for each in told["servers"]], told["total"], told["hasMore"]

    assert await part("limit=2") == (["a", "b"], 3, True)
    assert await part("limit=2&offset=2") == (["C"], 3, False)
    assert await part("offset=3") == ([], 3, False)
    assert await part("offset=1000000000") == ([], 3, False)
    for query in ("limit=0", "limit=101", "offset=-1", "offset=1e1", "limit=1&limit=2", "limit=", "size=3", "owner=x"):
        answer = await api("GET", f"{ALL}?{query}", ANN)
        assert (answer.status, answer.code) == (400, "INVALID_REQUEST")


async def test_an_update_replaces_the_whole_and_warns_of_what_it_opens(api):
    id = (await made(api, description="d", restrictions=ONLY, jwt=[HS]))["serverId"]
    path = f"{ALL}/{id}"
    read = await api("GET", path, ANN)
    assert (read.json["restrictions"], read.json["hasRestrictions"]) == (
        {"connectors": None, "actions": None, "permissions": None, "users": {**ONLY["users"], "blockedIds": None}},
        True,
    )
    assert set(read.json["jwt"][0]) == {"id", "issuer", "algorithm", "jwksUrl"}
    again = await api("PUT", path, ANN, body={"restrictions": read.json["restrictions"]}, if_match=read.headers["etag"])
    assert (again.status, again.json["warnings"], again.json["hasRestrictions"]) == (200, [], True)
    assert (again.json["name"], again.json["description"], again.json["jwt"]) == ("Desk", "", [])
    opened = await api("PUT", path, ANN, body={}, if_match=again.headers["etag"])
    assert opened.json["warnings"] == ["`restrictions.users`: everybody whom the server knows is let in now"]
    assert (opened.json["restrictions"], opened.json["hasRestrictions"]) == (None, False)
    assert opened.headers["etag"] == f'"{opened.json["rev"]}"' != again.headers["etag"]


async def test_who_read_an_older_state_changes_and_deletes_nothing(api):
    first = await made(api)
    path, old = f"{ALL}/{first['serverId']}", f'"{first["rev"]}"'
    now = (await api("PUT", path, ANN, body={"description": "newer"}, if_match=old)).headers["etag"]
    for tag in (old, f"W/{now}", now.strip('"'), "", f'{old}, "0"', '"\u00b2"'):
        for verb, body in (("PUT", {}), ("DELETE", None)):
            refused = await api(verb, path, ANN, body=body, if_match=tag)
            assert (refused.status, refused.code) == (412, "CONFLICT")
    assert (await api("GET", path, ANN)).json["description"] == "newer"
    for tag in (f"{old}, {now}", "*"):
        changed = await api("PUT", path, ANN, body={"description": "newest"}, if_match=tag)
        assert (changed.status, changed.json["description"]) == (200, "newest")
    assert (await api("DELETE", path, ANN, if_match=changed.headers["etag"])).status == 200


async def test_a_token_is_made_anew_with_a_grace_and_revoked(api):
    first = await made(api, tokenExpiresInDays=None)
    path = f"{ALL}/{first['serverId']}"
    assert first["tokenExpiresAt"] is None
    renewed = await api("POST", f"{path}/regenerate-token", ANN, body={"graceSeconds": 60, "tokenExpiresInDays": 1})
    told = renewed.json
    assert (renewed.status, told["accessUrl"]) == (200, f"{told['url']}/{told['accessToken']}")
    assert told["accessToken"] != first["accessToken"]
    assert told["tokenExpiresAt"] is not None

    async def comes(token):
        hello = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
        accept = "application/json,text/event-stream"
        return (await api("POST", f"/mcp/{first['serverId']}/{token}", key="", body=hello, accept=accept)).status

    assert [await comes(each["accessToken"]) for each in (first, told)] == [200, 200]
    last = (await api("POST", f"{path}/regenerate-token", ANN)).json
    assert [await comes(each["accessToken"]) for each in (first, told, last)] == [401, 401, 200]
    revoked = (await api("DELETE", f"{path}/token", ANN)).json
    assert (revoked["accessToken"], revoked["accessUrl"], revoked["tokenExpiresAt"]) == (None, None, None)
    assert await comes(last["accessToken"]) == 401
    for body in ({"graceSeconds": 604_801}, {"graceSeconds": -1}, {"graceSeconds": True}, {"tokenExpiresInDays": 366}):
        assert (await api("POST", f"{path}/regenerate-token", ANN, body=body)).code == "INVALID_REQUEST"


async def test_nobody_touches_a_server_of_somebody_else(api):
    first = await made(api)
    path = f"{ALL}/{first['serverId']}"
    steps = (
        *(("GET", path, None), ("PUT", path, {"isPublic": True}), ("DELETE", path, None), ("DELETE", f"{path}/token", None)),
        ("POST", f"{path}/regenerate-token", {}),
    )  # fmt: skip
    for who, status, code in ((BOB, 403, "FORBIDDEN"), (SEC, 403, "FORBIDDEN"), ("", 401, "UNAUTHORIZED")):
        for verb, place, body in steps:
            refused = await api(verb, place, who, body=body)
            assert (refused.status, refused.code) == (status, code)
    assert (await api("GET", f"{ALL}?owner={ANN}", BOB)).code == "FORBIDDEN"
    assert (await api("POST", ALL, BOB, body={"name": "Desk"})).code == "FORBIDDEN"
    assert (await api("GET", path, ANN)).json["rev"] == first["rev"]


async def test_nobody_acts_as_somebody_else_over_the_api(api):
    await made(api)
    assert (await api("GET", ALL, ANN, x_alloy_userid=ANN)).json["total"] == 1
    for header in ("x_alloy_userid", "x_user_id"):
        assert (await api("GET", ALL, ANN, **{header: BOB})).code == "FORBIDDEN"


async def test_a_name_is_taken_once_by_one_owner(api):
    await made(api, name="Straße")
    refused = await api("POST", ALL, ANN, body={"name": "STRASSE"})
    assert (refused.status, refused.code) == (409, "CONFLICT")
    for name in ("", " a", "a ", "a\u0000", "a\u202eb", "x" * 101):
        refused = await api("POST", ALL, ANN, body={"name": name})
        assert (refused.status, refused.code) == (400, "INVALID_REQUEST")
    assert (await api("GET", ALL, ANN)).json["total"] == 1


STRANGE = [
    ({"connectors": {"mode": "blocklist", "blockedIds": ["slakc"]}}, "there is no connector `slakc`"),
    ({"connectors": {"mode": "blocklist", "blockedIds": ["Custom"]}}, "there is no connector `Custom`"),
    ({"actions": {"mode": "blocklist", "blockedActions": ["no_such"]}}, "`no_such`"),
    ({"permissions": [{"connector": "slakc"}]}, "there is no connector `slakc`"),
    ({"connectors": {"mode": "allowlist"}}, "`restrictions.connectors.allowedIds`: it is missing"),
    ({"actions": {"mode": "blocklist", "blockedActions": ["a*b"]}}, "one `*` may begin the name or end it"),
]


async def test_what_restrictions_name_and_nothing_has_is_refused(api):
    for restrictions, said in STRANGE:
        refused = await api("POST", ALL, ANN, body={"name": "Desk", "restrictions": restrictions})
        assert (refused.status, refused.code) == (400, "INVALID_REQUEST")
        assert said in refused.json["detail"]
    assert (await api("GET", ALL, ANN)).json["total"] == 0


def named(**more):
    return json.dumps({"name": "x", **more}).encode()


BODIES = {
    "a key twice": b'{"name": "a", "name": "b"}',
    "a key twice further in": b'{"name": "a", "restrictions": {"users": null, "users": null}}',
    "half a character": b'{"name": "\\ud800"}',
    "a name that is true": b'{"name": true}',
    "days that are true": named(tokenExpiresInDays=True),
    "days with a fraction": named(tokenExpiresInDays=1.5),
    "more days than fit": named(tokenExpiresInDays=366),
    "a number without end": b'{"name": "x", "tokenExpiresInDays": ' + b"9" * 5_000 + b"}",
    "a number for a bool": named(shaping=1),
    "a text for a bool": named(isPublic="false"),
    "nothing for a text": named(description=None),
    "no number": b'{"name": "x", "cacheSeconds": NaN}',
    "an unknown field": named(owner="user:bob@example.com"),
    "its own id": named(serverId="main"),
    "deep arrays": b"[" * 100_000,
    "deep objects": b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
    "an array": b"[]",
    "null": b"null",
    "no JSON": b"name=x",
    "other letters": '{"name": "x"}'.encode("utf-16"),
    "nothing": b"",
    "more entries than fit": named(restrictions={"users": {"mode": "blocklist", "blockedIds": ["u"] * 1_001}}),
}


async def test_a_body_that_is_not_what_it_should_be_makes_nothing(api):
    for what, raw in BODIES.items():
        refused = await api("POST", ALL, ANN, raw=raw)
        assert (what, refused.status, refused.code) == (what, 400, "INVALID_REQUEST")
    assert (await api("GET", ALL, ANN)).json["total"] == 0


async def test_no_list_of_a_body_has_more_than_a_thousand_elements(api):
    asked = {"subject": f"user:{ANN}", "object": "custom/x", "action": "write"}
    for length, status in ((1_000, 200), (1_001, 400)):
        body = {**asked, "args": {"deep": {"list": [0] * length}}}
        assert (await api("POST", "/api/policy/explain", SEC, body=body)).status == status


async def test_a_body_of_more_than_ten_megabytes_is_not_read(api):
    refused = await api("POST", ALL, ANN, raw=b'{"name": "' + b"x" * 10_500_000 + b'"}')
    assert (refused.status, refused.code) == (413, "INVALID_REQUEST")


async def test_ids_of_other_things_and_paths_lead_nowhere(api):
    id = (await made(api))["serverId"]
    key = (await api("GET", "/api/keys", ANN)).json["keys"][0]["id"]
    for strange in ("main", key, ANN, "..", ".", "\u0000", "%2e%2e", "x" * 5_000, id.upper(), f"{id}/.."):
        answer = await api("GET", f"{ALL}/{strange}", ANN)
        assert (answer.status, answer.code) == (404, "NOT_FOUND")
    for path in (f"/users/{id}", "/users/\u0000", f"/api/users/{BOB}x"):
        assert (await api("GET", path, ANN)).status in (403, 404)
    assert (await api("DELETE", f"/api/keys/{id}", ANN)).code == "NOT_FOUND"


async def ping(api, url, **more):
    hello = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    return (await api("POST", url, body=hello, accept="application/json,text/event-stream", **more)).status


async def test_a_key_for_one_server_opens_that_one_and_nothing_of_the_api(api):
    id, other = [(await made(api, name=name))["serverId"] for name in ("Desk", "Other")]
    key = (await api("POST", "/api/keys", ANN, body={"servers": [id]})).json["apiKey"]
    assert [await ping(api, f"/mcp/{each}", key=key) for each in (id, other)] == [200, 401]
    for verb, path in (
        ("GET", ALL),
        ("GET", f"{ALL}/{id}"),
        ("DELETE", f"{ALL}/{id}"),
        ("GET", "/api/keys"),
        ("GET", "/users"),
    ):
        refused = await api(verb, path, key=key)
        assert (refused.status, refused.code) == (401, "UNAUTHORIZED")
    for_main = (await api("POST", "/api/keys", ANN, body={"servers": ["main"]})).json["apiKey"]
    refused = await api("POST", ALL, key=for_main, body={"name": "New"})
    assert (refused.status, refused.code) == (400, "INVALID_REQUEST")
    assert "your key counts on `main` alone" in refused.json["detail"]
    assert (await api("GET", ALL, key=for_main)).json["total"] == 2


async def test_with_its_owner_a_server_is_gone(api):
    told = await made(api)
    id, url = told["serverId"], f"/mcp/{told['serverId']}"
    assert await ping(api, f"{url}/{told['accessToken']}", key="") == 200
    assert (await api("DELETE", f"/api/users/{ANN}")).status == 200
    assert await ping(api, f"{url}/{told['accessToken']}", key="") == 401
    assert (await api("GET", f"{ALL}/{id}", ANN)).code == "UNAUTHORIZED"
    await api.person(ANN, "user")
    assert (await api("GET", f"{ALL}?owner=*", ANN)).json["total"] == 0
    assert await ping(api, f"{url}/{told['accessToken']}", key="") == 401
