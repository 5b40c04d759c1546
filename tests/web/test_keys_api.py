"""``/api/keys`` and ``/api/users``: forms of requests and answers, and what is asked and told on the way."""

import pytest

from tests.web.accounts import ADA, ANN, BOB, Api, api_over


@pytest.fixture
async def api(store):
    return await api_over(store)


async def test_a_key_is_made_listed_rotated_and_revoked(api: Api):
    status, made = await api("POST", "/api/keys", body={"name": "build", "servers": ["main"], "expiresInDays": 3})
    assert (status, made["email"], made["name"], made["servers"]) == (201, ANN, "build", ["main"])
    assert api.home.proves(made["apiKey"]) == f"user:{ANN}"
    assert (api.entry.method, api.entry.object, api.entry.action, api.entry.owner) == (
        *("keys.add", "gateway/keys", "manage"),
        f"user:{ANN}",
    )
    assert made["apiKey"] not in repr(api.home.door.entries)
    status, listed = await api("GET", "/api/keys?limit=1&offset=1")
    assert (status, listed["total"], listed["limit"], listed["offset"], listed["hasMore"]) == (200, 2, 1, 1, False)
    keys = (await api("GET", "/api/keys"))[1]["keys"]
    assert {name: value for name, value in made.items() if name != "apiKey"} in keys
    assert all("apiKey" not in each for each in keys)
    status, fresh = await api("POST", f"/api/keys/{made['id']}/rotate", body={"overlapSeconds": 5})
    assert (status, fresh["name"], fresh["expiresAt"]) == (201, "build", made["expiresAt"])
    assert [api.home.proves(each["apiKey"]) for each in (made, fresh)] == [f"user:{ANN}"] * 2
    assert await api("DELETE", f"/api/keys/{made['id']}") == (200, {"id": made["id"], "revoked": True})
    assert (api.entry.method, api.entry.action) == ("keys.revoke", "revoke")
    assert [api.home.proves(each["apiKey"]) for each in (made, fresh)] == ["", f"user:{ANN}"]


async def test_a_key_that_ends_itself_is_told_so(api: Api):
    mine = (await api("GET", "/api/keys"))[1]["keys"][0]["id"]
    assert (await api("DELETE", f"/api/keys/{mine}"))[0] == 200
    assert (await api("GET", "/api/keys"))[0] == 401


async def test_another_users_key_and_none_at_all_are_the_same_404(api: Api):
    theirs = (await api("GET", "/api/keys", BOB))[1]["keys"][0]["id"]
    told = []
    for method, path in (("DELETE", "/api/keys/{}"), ("POST", "/api/keys/{}/rotate")):
        for id in (theirs, "f" * 16):
            status, refused = await api(method, path.format(id))
            error = refused["error"]
            told.append((status, error["code"], error["message"].replace(id, "ID")))
    assert set(told) == {(404, "NOT_FOUND", "there is no key `ID`")}
    assert api.home.proves(api.home.keys[BOB]) == f"user:{BOB}"


@pytest.mark.parametrize(
    ("method", "path", "who", "body", "status", "code"),
    [
        ("GET", "/api/keys", "", None, 401, "UNAUTHORIZED"),
        ("GET", f"/api/keys?email={BOB}", ANN, None, 403, "FORBIDDEN"),
        ("POST", "/api/keys", ANN, {"email": BOB}, 403, "FORBIDDEN"),
        ("POST", "/api/keys", ADA, {"email": "nobody@example.com"}, 404, "NOT_FOUND"),
        ("POST", "/api/keys", ANN, {"expiresInDays": 0}, 400, "INVALID_REQUEST"),
        ("POST", "/api/keys", ANN, {"expiresInDays": True}, 400, "INVALID_REQUEST"),
        ("POST", "/api/keys", ANN, {"servers": "main"}, 400, "INVALID_REQUEST"),
        ("POST", "/api/keys", ANN, {"servers": ["nowhere"]}, 400, "INVALID_REQUEST"),
        ("POST", "/api/keys", ANN, {"id": "f" * 64}, 400, "INVALID_REQUEST"),
        ("POST", "/api/keys", ANN, {"key": "ost_mine"}, 400, "INVALID_REQUEST"),
        ("POST", "/api/keys", ANN, {"name": {"$ne": ""}}, 400, "INVALID_REQUEST"),
        ("GET", "/api/keys?limit=0", ANN, None, 400, "INVALID_REQUEST"),
        ("GET", "/api/keys?limit=101", ANN, None, 400, "INVALID_REQUEST"),
        ("GET", "/api/keys?everything=1", ANN, None, 400, "INVALID_REQUEST"),
        ("GET", "/api/users", "", None, 401, "UNAUTHORIZED"),
        ("POST", "/api/users", ANN, {"email": "new@example.com"}, 403, "FORBIDDEN"),
        ("PATCH", f"/api/users/{BOB}", ANN, {"roles": ["admin"]}, 403, "FORBIDDEN"),
        ("DELETE", f"/api/users/{BOB}", ANN, None, 403, "FORBIDDEN"),
        ("GET", "/api/users/nobody@example.com", ANN, None, 404, "NOT_FOUND"),
        ("DELETE", "/api/users/nobody@example.com", ADA, None, 404, "NOT_FOUND"),
        ("POST", "/api/users", ADA, {"email": "no address"}, 400, "INVALID_REQUEST"),
        ("POST", "/api/users", ADA, {"email": BOB}, 400, "INVALID_REQUEST"),
        ("PATCH", f"/api/users/{BOB}", ADA, {"createdAt": 1}, 400, "INVALID_REQUEST"),
    ],
)
async def test_what_is_refused_is_told_in_the_envelope_and_changes_nothing(
    api: Api, method, path, who, body, status, code
):
    before = await api.home.store.changes(0)
    told, answer = await api(method, path, who, body)
    assert (told, answer["error"]["code"]) == (status, code)
    after = await api.home.store.changes(0)
    assert (after.keys, after.users, after.grants) == (before.keys, before.users, before.grants)
    assert not api.entry.allowed or api.entry.outcome != "ok"


async def test_an_account_is_made_read_changed_and_ended(api: Api):
    status, made = await api("POST", "/api/users", ADA, {"email": "New@Example.com", "name": "New", "roles": ["user"]})
    assert (status, made["email"], made["roles"], made["mail"]) == (201, "new@example.com", ["user"], "off")
    assert api.home.proves(made["apiKey"]) == "user:new@example.com"
    new = "/api/users/new@example.com"
    assert await api("GET", new) == (200, {"email": "new@example.com", "name": "New"})
    status, whole = await api("PATCH", new, ADA, {"name": "Newer"})
    assert (status, whole["name"], whole["roles"]) == (200, "Newer", ["user"])
    assert (await api("GET", new, ADA))[1] == whole
    assert "apiKey" not in whole
    assert (await api("GET", f"/api/users/{ANN}"))[1]["hiddenTools"] == []
    assert await api("DELETE", new, ADA) == (200, {"email": "new@example.com", "deleted": True})
    assert api.home.proves(made["apiKey"]) == ""


async def test_people_are_listed_page_by_page_with_their_number(api: Api):
    status, listed = await api("GET", "/api/users?limit=2")
    assert (status, [each["email"] for each in listed["users"]]) == (200, [ADA, ANN])
    assert (listed["total"], listed["hasMore"]) == (3, True)
    status, listed = await api("GET", "/api/users?limit=2&offset=2&nameContains=EXAMPLE")
    assert ([each["email"] for each in listed["users"]], listed["hasMore"]) == ([BOB], False)
