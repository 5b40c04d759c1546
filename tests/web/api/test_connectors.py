"""Connectors over plain HTTP: the same questions, limits and entries as for clients of MCP, and for end users too."""

import json

import pytest

from gateway.records import Listing, Restrictions, Stage
from gateway.servers.rows import end_user
from tests.connections.world import BACK, CANARY
from tests.web.api.shop import ANN, DONE, EVE, MEL, Shop

DO = {"parameters": {"name": "x"}}


@pytest.fixture
def shop():
    return Shop()


async def test_a_customer_connects_an_account_and_the_shop_uses_it_for_him(shop):
    id = await shop.linked("u1", "ann")
    (record,) = shop.known
    assert (record.id, record.owner, record.account) == (id, end_user("shop", "u1"), "ann")
    done = await shop("POST", "/connectors/acme/actions/send/execute", json={"userId": "u1", "credentialId": id, **DO})
    assert (done.status, done.body["success"]) == (200, True), done.text
    (sent,) = shop.connectors[0].sent
    assert (sent.principal, sent.owner) == ("end:shop/u1", "end:shop/u1")
    entry = shop.door.last
    assert (entry.subject, entry.domain, entry.object) == ("end:shop/u1", "shop", "acme/send")
    listed = await shop("GET", "/connectors/acme/credentials?userId=u1")
    (credential,) = listed.body["credentials"]
    assert credential["credentialId"] == id
    assert credential["createdAt"] == record.created_at
    assert CANARY not in listed.text


async def test_both_roots_tell_the_same(shop):
    for path in ("/connectors", "/connectors/acme/resources", "/connectors/acme/credentials/metadata"):
        assert (await shop("GET", path)).body == (await shop("GET", f"/api{path}")).body


async def test_what_can_be_used_is_listed_in_parts(shop):
    told = await shop("GET", "/connectors?limit=1")
    assert [each["id"] for each in told.body["connectors"]] == ["acme"]
    assert (told.body["total"], told.body["hasMore"]) == (2, True)
    rest = await shop("GET", "/connectors?limit=1&offset=1")
    assert ([each["id"] for each in rest.body["connectors"]], rest.body["hasMore"]) == (["keyed"], False)
    resources = await shop("GET", "/connectors/acme/resources")
    assert [each["actionId"] for each in resources.body["actions"]] == ["look", "send"]
    details = await shop("GET", "/connectors/acme/actions/look")
    assert [each["name"] for each in details.body["required"]] == ["name"]
    assert details.body["sample"] == {"name": "text"}


async def test_on_main_everything_that_may_be_used_is_there_whatever_names_clients_see(shop):
    assert [each["id"] for each in (await shop("GET", "/api/connectors", on="")).body["connectors"]] == [
        "acme",
        "keyed",
    ]
    shop.door.apply("p, user:ann@example.com, main, self, keyed/look, read, args.n == 3, allow")
    assert [each["id"] for each in (await shop("GET", "/api/connectors", on="")).body["connectors"]] == ["keyed"]
    assert (await shop("GET", "/api/connectors", MEL, on="")).body["connectors"] == []
    actions = (await shop("GET", "/api/connectors/keyed/resources", on="")).body["actions"]
    assert [each["actionId"] for each in actions] == ["look"]


@pytest.mark.parametrize(
    ("verb", "path", "code"),
    [
        ("GET", "/connectors/none/resources", "CONNECTOR_NOT_FOUND"),
        ("GET", "/connectors/ACME/resources", "CONNECTOR_NOT_FOUND"),
        ("GET", "/connectors/acme/actions/none", "ACTION_NOT_FOUND"),
        ("POST", "/connectors/acme/actions/none/execute", "ACTION_NOT_FOUND"),
        ("GET", "/connectors/none/credentials", "CONNECTOR_NOT_FOUND"),
        ("GET", "/connectors/none/credentials/metadata", "CONNECTOR_NOT_FOUND"),
        ("DELETE", "/connectors/acme/credentials/0123456789abcdef01234567", "NOT_FOUND"),
    ],
)
async def test_what_there_is_not_and_what_may_not_be_used_are_the_same_404(shop, verb, path, code):
    options = {"json": DO} if verb == "POST" else {}
    missing = await shop(verb, path, **options)
    assert (missing.status, missing.code) == (404, code), missing.text
    if "none" in path:
        hidden = Shop(restrictions=Restrictions(connectors=Listing(allow=True, names=("keyed",))))
        denied = await hidden(verb, path.replace("/none", "/acme", 1) if "/acme/" not in path else path, **options)
        assert denied.status == 404, denied.text
        assert shop.connectors[0].sent == []


async def test_restrictions_hold_at_every_stage_for_customers_keys_and_tokens():
    shop = Shop(restrictions=Restrictions(actions=Listing(allow=True, names=("acme:look",))))
    for query in ("", "?userId=u1"):
        assert [each["id"] for each in (await shop("GET", f"/connectors{query}")).body["connectors"]] == ["acme"]
        actions = (await shop("GET", f"/connectors/acme/resources{query}")).body["actions"]
        assert [each["actionId"] for each in actions] == ["look"]
        assert (await shop("GET", f"/connectors/acme/actions/send{query}")).code == "ACTION_NOT_FOUND"
        assert (await shop("GET", f"/connectors/keyed/credentials{query}")).code == "CONNECTOR_NOT_FOUND"
    for user in ({}, {"userId": "u1"}):
        no = await shop("POST", "/connectors/acme/actions/send/execute", json={**DO, **user})
        assert (no.status, no.code) == (404, "ACTION_NOT_FOUND")
        no = await shop(
            "POST",
            "/connectors/keyed/credentials",
            json={"authenticationType": "api_key", "data": {"api_key": "key-ann-x", "site": "x"}, **user},
        )
        assert (no.status, no.code) == (404, "CONNECTOR_NOT_FOUND")
    assert all(not each.sent for each in shop.connectors)
    assert not len(shop.known)


async def test_one_customers_connections_are_never_anothers(shop):
    mine, others = await shop.linked("u1", "ann"), await shop.linked("u2", "bob")
    foreign = await shop.linked("u1", "mel", who=MEL, on="other")
    told = []
    for id in (others, foreign, "0123456789abcdef01234567"):
        no = await shop(
            "POST", "/connectors/acme/actions/look/execute", json={"userId": "u1", "credentialId": id, **DO}
        )
        gone = await shop("DELETE", f"/connectors/acme/credentials/{id}?userId=u1")
        assert (no.status, gone.status) == (404, 404)
        told.append((no.code, no.body["error"]["message"].replace(id, "ID"), gone.code, gone.body["error"]["message"]))
    assert len(set(told)) == 1, "a foreign one answers as one that there is not"
    assert shop.connectors[0].sent == []
    assert {each.id for each in shop.known} == {mine, others, foreign}
    listed = (await shop("GET", "/connectors/acme/credentials?userId=u1")).body["credentials"]
    assert [each["credentialId"] for each in listed] == [mine]


async def test_the_owner_uses_none_of_his_customers_connections_for_himself(shop):
    id = await shop.linked("u1", "ann")
    listed = await shop("GET", "/connectors/acme/credentials")
    assert listed.body["credentials"] == []
    for wanted in ({}, {"credentialId": id}):
        no = await shop("POST", "/connectors/acme/actions/look/execute", json={**DO, **wanted})
        assert no.status in (400, 404)
    assert shop.connectors[0].sent == []


async def test_a_customer_ends_his_connection_and_the_platform_forgets_it(shop):
    id = await shop.linked("u1", "ann")
    ended = await shop("DELETE", f"/connectors/acme/credentials/{id}?userId=u1")
    assert (ended.status, ended.body) == (200, {"credentialId": id, "revoked": True})
    assert (shop.provider.forgotten, len(shop.known)) == (["ann"], 0)
    entry = shop.door.last
    assert (entry.subject, entry.domain, entry.object, entry.action) == ("end:shop/u1", "shop", "acme", "revoke")


async def test_a_key_that_is_typed_is_kept_for_the_customer_alone_and_never_told_again(shop):
    metadata = (await shop("GET", "/connectors/keyed/credentials/metadata?userId=u1")).body["metadata"]
    assert metadata[0]["authenticationType"] == "api_key"
    assert set(metadata[0]["inputSchema"]["required"]) <= set(metadata[0]["sampleInput"])
    made = await shop(
        "POST",
        "/connectors/keyed/credentials",
        json={"userId": "u1", "authenticationType": "api_key", "data": {"api_key": "key-ann-secret", "site": "x"}},
    )
    assert (made.status, set(made.body)) == (201, {"connectorId", "credentialId", "message"}), made.text
    assert shop.known.get(made.body["credentialId"]).owner == "end:shop/u1"
    listed = await shop("GET", "/users/u1/credentials", on="")
    assert "key-ann-secret" not in made.text + listed.text + str(shop.door.entries)


async def test_the_arguments_of_all_four_places_are_one_and_none_stands_twice(shop):
    id = await shop.linked("u1", "ann")
    path = "/connectors/acme/actions/look/execute"
    wanted = {"userId": "u1", "credentialId": id, "pathParams": {"name": "x"}, "queryParameters": {"n": 3}}
    assert (await shop("POST", path, json=wanted)).body["success"] is True
    assert shop.connectors[0].sent[-1].params["arguments"] == {"name": "x", "n": 3}
    for twice in ({"requestBody": {"n": 4}}, {"parameters": {"n": 3}}):
        no = await shop("POST", path, json={**wanted, **twice})
        assert (no.status, no.code) == (400, "INVALID_REQUEST")
    headers = await shop("POST", path, json={**wanted, "additionalHeaders": {"x": "y"}})
    assert headers.status == 400
    assert len(shop.connectors[0].sent) == 1


async def test_what_a_platform_answers_is_told_as_it_is_and_its_own_errors_as_such(shop):
    id = await shop.linked("u1", "ann")
    asked = {"userId": "u1", "credentialId": id, **DO}
    for answer, told in (
        ({"content": [{"type": "text", "text": '{"a": 1}'}]}, {"success": True, "result": {"a": 1}}),
        ({"content": [{"type": "text", "text": "plain"}]}, {"success": True, "result": "plain"}),
        ({"content": [], "structuredContent": {"b": 2}}, {"success": True, "result": {"b": 2}}),
        ({"content": [], "isError": True}, {"success": False, "result": []}),
    ):
        shop.connectors[0].answer = lambda _, answer=answer: answer
        done = await shop("POST", "/connectors/acme/actions/look/execute", json=asked)
        assert (done.status, done.body) == (200, told)


async def test_without_a_connection_the_answer_says_so_with_a_link_for_him_alone(shop):
    no = await shop("POST", "/connectors/acme/actions/look/execute", json={"userId": "u1", **DO})
    assert (no.status, no.code) == (400, "CREDENTIAL_NOT_FOUND")
    assert "/connect/" in no.body["error"]["message"]
    (flow,) = shop.store.flows.records.values()
    assert (flow.owner, flow.by, flow.domain, flow.back) == ("end:shop/u1", "end:shop/u1", "shop", DONE)


@pytest.mark.parametrize("where", ["body", "header"])
async def test_the_browser_goes_back_to_no_address_that_the_server_does_not_have(shop, where):
    for wrong in (BACK, "https://evil.example.com", f"{DONE}/x", "javascript:alert(1)"):
        wanted = {"userId": "u1", "authenticationType": "oauth2"}
        headers = {}
        if where == "body":
            wanted["redirectUri"] = wrong
        else:
            headers["x-redirect-uri"] = wrong
        no = await shop("POST", "/connectors/acme/credentials", json=wanted, headers=headers)
        assert (no.status, no.code) == (400, "INVALID_REQUEST")
    assert shop.store.flows.records == {}


# -- who may act as whom


@pytest.mark.parametrize("who", [MEL, EVE])
@pytest.mark.parametrize("place", ["body", "header", "query"])
async def test_nobody_acts_as_a_customer_of_somebody_elses_server(shop, who, place):
    id = await shop.linked("u1", "ann")
    if place == "query":
        no = await shop("GET", "/connectors/acme/credentials?userId=u1", who)
    elif place == "header":
        no = await shop("GET", "/connectors/acme/credentials", who, headers={"x-alloy-userid": "u1"})
    else:
        asked = {"userId": "u1", "credentialId": id, **DO}
        no = await shop("POST", "/connectors/acme/actions/look/execute", who, json=asked)
    assert (no.status, no.code) == (403, "FORBIDDEN"), no.text
    assert id not in no.text
    assert shop.connectors[0].sent == []


async def test_two_names_of_one_request_have_to_agree(shop):
    no = await shop("GET", "/connectors?userId=u1", headers={"x-alloy-userid": "u2"})
    assert (no.status, no.code) == (400, "INVALID_REQUEST")
    assert (await shop("GET", "/connectors?userId=u1", headers={"x-alloy-userid": "u1"})).status == 200


async def test_an_owner_who_is_not_among_the_named_users_still_acts_for_those_who_are():
    shop = Shop(restrictions=Restrictions(users=Listing(allow=True, names=("u1",))))
    assert (await shop("GET", "/connectors")).status == 403
    assert (await shop("GET", "/connectors?userId=u1")).status == 200
    assert (await shop("GET", "/connectors?userId=u2")).status == 403


async def test_a_body_of_nobody_is_not_even_read(shop):
    for path in ("/connectors/acme/actions/look/execute", "/api/connectors/acme/credentials"):
        no = await shop("POST", path, "", data=b"{not json", headers={"content-type": "application/json"})
        assert (no.status, no.code) == (401, "UNAUTHORIZED")


async def test_on_a_server_that_there_is_not_nothing_is_told(shop):
    assert (await shop("GET", "/connectors", on="none")).status == 404
    assert (await shop("GET", "/connectors", "", on="none")).status == 401


async def test_the_policy_is_asked_as_by_a_client_of_mcp_and_a_no_is_a_403(shop):
    id = await shop.linked("u1", "ann")
    shop.door.apply(f"{shop.rows}p, *, *, *, acme/send, write, args.name == 'x', deny\n")
    shop.offer("shop", ANN)
    asked = {"userId": "u1", "credentialId": id}
    no = await shop("POST", "/connectors/acme/actions/send/execute", json={**asked, **DO})
    assert (no.status, no.code) == (403, "FORBIDDEN")
    assert no.body["error"]["details"]["reference"] == shop.door.last.id
    yes = await shop("POST", "/connectors/acme/actions/send/execute", json={**asked, "parameters": {"name": "y"}})
    assert yes.status == 200


# -- whose code it is


async def test_only_who_may_act_as_him_confirms_what_a_customer_connected(shop):
    code = await shop.agreed((await shop.began("u1"))["oauthUrl"], "ann")
    for who in (MEL, EVE):
        no = await shop("POST", f"/api/flows/{code}/confirm", who, on="", json={"userId": "u1"})
        assert (no.status, no.code) == (403, "FORBIDDEN")
    no = await shop("POST", f"/api/flows/{code}/confirm", on="", json={})
    assert (no.status, no.code) == (400, "INVALID_REQUEST")
    done = await shop("POST", f"/api/flows/{code}/confirm", on="", json={"userId": "u1"})
    assert done.body["status"] == "done", "a wrong try of somebody else used nothing up"
    entry = shop.door.last
    assert (entry.subject, entry.object, entry.action) == (f"user:{ANN}", "gateway/end-users", "act-as")


async def test_what_another_customer_connected_by_a_forwarded_link_is_given_back(shop):
    """Mallory forwards his link; the victim agrees, and comes back to the shop as who he is signed in as there."""
    code = await shop.agreed((await shop.began("mallory"))["oauthUrl"], "victim")
    no = await shop("POST", f"/api/flows/{code}/confirm", on="", json={"userId": "victim"})
    assert (no.status, no.code) == (403, "FORBIDDEN")
    assert (len(shop.known), shop.provider.forgotten) == (0, ["victim"])


async def test_the_flow_of_an_account_of_the_gateway_takes_no_user_id(shop):
    _, token = await shop.link(f"user:{ANN}")
    del token
    flow = next(iter(shop.store.flows.records.values()))
    slip = f"{flow.id}.{'A' * 43}"
    no = await shop("POST", f"/api/flows/{slip}/confirm", on="", json={"userId": "u1"})
    assert (no.status, no.code) == (400, "INVALID_REQUEST")


async def test_the_shop_asks_how_a_customers_flow_stands_and_nobody_else_does(shop):
    flow = (await shop.began("u1"))["flowId"]
    assert (await shop("GET", f"/api/flows/{flow}", on="")).body["status"] == "created"
    for who in (MEL, EVE):
        no = await shop("GET", f"/api/flows/{flow}", who, on="")
        assert (no.status, no.code) == (404, "NOT_FOUND")
    none = await shop("GET", "/api/flows/0123456789abcdef01234567", EVE, on="")
    other = await shop("GET", f"/api/flows/{flow}", EVE, on="")
    assert none.body["error"]["message"] == other.body["error"]["message"]


async def test_the_shop_decides_for_a_customer_about_another_account(shop):
    id = await shop.linked("u1", "ann")
    started = await shop.linking.start("end:shop/u1", "acme", domain="shop", reconnects=id)
    code = await shop.agreed(started.link, "bob")
    asked = await shop("POST", f"/api/flows/{code}/confirm", on="", json={"userId": "u1"})
    assert asked.body["status"] == Stage.ASKING
    for who, status in ((EVE, 404), (MEL, 404), (ANN, 200)):
        told = await shop("POST", f"/api/flows/{started.flow.id}/settle", who, on="", json={"keep": True})
        assert told.status == status, told.text
    assert [each.account for each in shop.known] == ["bob"]


# -- all of one customer


async def test_the_shop_sees_all_that_a_customer_connected_and_nobody_elses_customer(shop):
    mine = await shop.linked("u1", "ann")
    await shop.linked("u2", "bob")
    foreign = await shop.linked("u1", "mel", who=MEL, on="other")
    for path in ("/users/u1/credentials", "/api/users/u1/credentials"):
        told = await shop("GET", path, on="")
        assert [(each["credentialId"], each["serverId"]) for each in told.body["credentials"]] == [(mine, "shop")]
    told = await shop("GET", "/users/u1/credentials", MEL, on="")
    assert [each["credentialId"] for each in told.body["credentials"]] == [foreign]
    assert (await shop("GET", "/users/u1/credentials", EVE, on="")).body["credentials"] == []
    for server, found in (("shop", [mine]), ("other", [])):
        told = await shop("GET", f"/users/u1/credentials?serverId={server}", on="")
        assert [each["credentialId"] for each in told.body.get("credentials", [])] == found
    missing, hidden = [
        await shop("GET", f"/users/u1/credentials?serverId={each}", EVE, on="") for each in ("none", "shop")
    ]
    assert (missing.status, hidden.status) == (404, 404)
    assert missing.body["error"]["message"] == hidden.body["error"]["message"]


async def test_names_of_customers_are_names_and_nothing_else(shop):
    for name in ("a/b", "u1/../u2", "*", "über", "x" * 200, "user:ann@example.com"):
        body = {"userId": name, "authenticationType": "api_key", "data": {"api_key": "key-ann-x", "site": "x"}}
        made = await shop("POST", "/connectors/keyed/credentials", json=body)
        assert made.status == 201, made.text
        assert shop.known.get(made.body["credentialId"]).owner == end_user("shop", name)
    owners = {each.owner for each in shop.known}
    assert len(owners) == 6
    assert all(json.dumps(each).startswith('"end:shop/') and each.count("/") == 1 for each in owners)


# -- what is taken back


async def test_a_server_that_is_deleted_takes_what_was_begun_there_with_it(shop):
    url = (await shop.began("u1"))["oauthUrl"]
    token = url.rpartition("/")[2]
    query = shop.provider.agrees(await shop.click(token, signed_in="", browser="his"), "ann")
    shop.door.offer(gone=["shop"])
    ended = await shop.back(query, signed_in="", browser="his")
    assert (ended.flow.stage, ended.next, len(shop.known)) == (Stage.FAILED, "", 0)
    assert shop.provider.forgotten == ["ann"]


@pytest.mark.parametrize("takes", ["the owner's right", "his account", "the server's own row"])
async def test_what_the_owner_may_not_connect_any_more_his_customers_do_not_finish(shop, takes):
    code = await shop.agreed((await shop.began("u1"))["oauthUrl"], "ann")
    if takes == "the owner's right":
        shop.door.apply(f"{shop.rows}p, user:{ANN}, main, *, acme, connect, , deny\n")
        shop.offer("shop", ANN)
    elif takes == "his account":
        shop.door.dismiss(ANN)
    else:
        shop.offer("shop", ANN, restrictions=Restrictions(connectors=Listing(allow=False, names=("acme",))))
    if takes == "his account":
        flow = await shop.linking.confirm(code, owner="end:shop/u1")
    else:
        await shop("POST", f"/api/flows/{code}/confirm", on="", json={"userId": "u1"})
        (flow,) = shop.store.flows.records.values()
    assert flow.stage is Stage.FAILED
    assert (len(shop.known), shop.provider.forgotten) == (0, ["ann"])
