"""``/users``: the end users of a tenant, as the backends of applications know them."""

import pytest

from gateway.proofs.claims import NotProven
from gateway.proofs.issued import proven
from gateway.records import Connected
from gateway.servers.rows import end_user
from tests.builders import NOON, RING
from tests.web.accounts import ADA, ANN, BOB, Api, api_over

HOUR = 3_600_000


@pytest.fixture
async def api(store):
    api = await api_over(store)
    await api.offer(ANN, "shop", "desk", "closed")
    await api.offer(BOB, "other")
    return api


async def added(api: Api, username: str = "u-1", who: str = ANN) -> str:
    status, made = await api("POST", "/users", who, {"username": username})
    assert status == 201, made
    return made["userId"]


def proves(api: Api, server: str, token: str, now: int = NOON) -> str:
    try:
        return proven(RING, api.home.follower.current.servers.get(server), token, now).name
    except NotProven:
        return ""


async def test_an_end_user_is_added_read_listed_and_ended(api: Api):
    status, made = await api("POST", "/users", body={"username": " u-1 ", "fullName": "One"})
    assert status == 201
    assert made == {
        "userId": made["userId"],
        "username": "u-1",
        "fullName": "One",
        "createdAt": "2026-11-23T12:00:00.000Z",
    }
    assert len(made["userId"]) == 24
    assert (api.entry.method, api.entry.object, api.entry.action, api.entry.owner) == (
        *("end-users.add", "gateway/end-users", "manage"),
        f"user:{ANN}",
    )
    assert await api("GET", f"/users/{made['userId']}") == (200, made)
    status, listed = await api("GET", "/users")
    assert (status, listed) == (200, {"users": [made], "total": 1, "limit": 25, "offset": 0, "hasMore": False})
    assert await api("DELETE", f"/users/{made['userId']}") == (200, {"userId": made["userId"], "deleted": True})
    assert (await api("GET", f"/users/{made['userId']}"))[0] == 404
    assert (await api("GET", "/users"))[1]["total"] == 0


async def test_they_are_listed_page_by_page(api: Api):
    made = {await added(api, f"u-{number}") for number in range(5)}
    await added(api, "u-1", BOB)
    pages = [(await api("GET", f"/users?limit=2&offset={offset}"))[1] for offset in (0, 2, 4)]
    assert {each["userId"] for page in pages for each in page["users"]} == made
    assert [(page["total"], len(page["users"]), page["hasMore"]) for page in pages] == [
        *((5, 2, True), (5, 2, True), (5, 1, False))
    ]


async def test_two_of_one_tenant_are_never_called_alike_and_two_of_different_ones_may_be(api: Api):
    mine = await added(api)
    status, refused = await api("POST", "/users", body={"username": "u-1"})
    assert (status, refused["error"]["code"]) == (409, "CONFLICT")
    theirs = await added(api, who=BOB)
    assert mine != theirs


async def test_another_tenants_end_user_and_none_at_all_are_the_same_404(api: Api):
    theirs = await added(api, who=BOB)
    told = set()
    for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/token"), ("POST", "/token")):
        for id in (theirs, "f" * 24, "F" * 24, theirs[:10], f"user:{BOB}"):
            status, refused = await api(method, f"/users/{id}{path}")
            told.add((status, refused["error"]["code"], refused["error"]["message"].replace(id, "ID")))
    assert told == {(404, "NOT_FOUND", "you have no end user `ID`")}
    assert (await api("GET", f"/users/{theirs}", BOB))[0] == 200


async def test_a_token_proves_the_end_user_on_the_tenants_servers_for_an_hour(api: Api):
    id = await added(api)
    status, told = await api("GET", f"/users/{id}/token")
    assert (status, set(told)) == (200, {"token", "expiresAt"})
    assert (api.entry.method, api.entry.action, api.entry.owner) == ("end-users.token", "act-as", f"user:{ANN}")
    assert [proves(api, each, told["token"]) for each in ("shop", "desk")] == [
        end_user("shop", id),
        end_user("desk", id),
    ]
    assert [proves(api, each, told["token"]) for each in ("closed", "other")] == ["", ""]
    assert proves(api, "shop", told["token"], NOON + HOUR + 60_000) == ""
    assert told["token"] not in repr(api.home.door.entries)
    assert api.home.proves(told["token"]) == ""
    status, told = await api("POST", f"/users/{id}/token", body={"servers": ["desk"]})
    assert (status, proves(api, "shop", told["token"]), bool(proves(api, "desk", told["token"]))) == (201, "", True)


@pytest.mark.parametrize(
    ("servers", "status", "code"),
    [
        (["other"], 400, "INVALID_REQUEST"),
        (["nowhere"], 400, "INVALID_REQUEST"),
        (["main"], 400, "INVALID_REQUEST"),
        (["shop", "other"], 400, "INVALID_REQUEST"),
        (["shop", "closed"], 403, "FORBIDDEN"),
        ([f"s{number}" for number in range(101)], 400, "INVALID_REQUEST"),
    ],
)
async def test_a_token_for_another_server_is_refused(api: Api, servers, status, code):
    id = await added(api)
    told, refused = await api("POST", f"/users/{id}/token", body={"servers": servers})
    assert (told, refused["error"]["code"]) == (status, code)


async def test_who_offers_no_server_gets_no_token(api: Api, store):
    for id in ("shop", "desk", "closed"):
        await store.servers.remove(id)
    await api.home.follower.catch_up()
    status, refused = await api("GET", f"/users/{await added(api)}/token")
    assert (status, refused["error"]["code"]) == (400, "INVALID_REQUEST")


async def test_who_may_not_is_refused_before_anything_is_looked_for(api: Api):
    id = await added(api)
    for method, path, body in (
        ("GET", "/users", None),
        ("POST", "/users", {"username": "x"}),
        ("GET", f"/users/{id}", None),
        ("DELETE", f"/users/{id}", None),
        ("GET", f"/users/{id}/token", None),
        ("POST", f"/users/{id}/token", {}),
    ):
        status, refused = await api(method, path, ADA, body)
        assert (status, refused["error"]["code"]) == (403, "FORBIDDEN"), path
        assert (await api(method, path, "", body))[0] == 401
    assert len(await api.home.store.end_users.page()) == 1


@pytest.mark.parametrize(
    "body",
    [{}, {"username": " "}, {"username": "x" * 201}, {"username": "a\nb"}, {"username": ["a"]},
     {"username": "a", "tenant": f"user:{BOB}"}, {"username": "a", "id": "f" * 24}, {"username": "a", "fullName": "\u202e"}],
)  # fmt: skip
async def test_what_no_end_user_can_be_is_refused(api: Api, body):
    status, refused = await api("POST", "/users", body=body)
    assert (status, refused["error"]["code"]) == (400, "INVALID_REQUEST")
    assert not await api.home.store.end_users.page()


async def test_the_accounts_that_an_end_user_connected_end_with_him_and_nobody_elses_do(api: Api, store):
    id, other = await added(api), await added(api, "u-2")
    theirs = await added(api, who=BOB)
    owners = {
        end_user("shop", id): False,
        end_user("desk", id): False,
        end_user("shop", other): True,
        end_user("other", id): True,
        end_user("other", theirs): True,
        f"user:{ANN}": True,
    }
    for number, owner in enumerate(owners):
        await store.connections.add(Connected(id=f"{number:024}", owner=owner, connector="slack"))
    await api.home.follower.catch_up()
    assert (await api("DELETE", f"/users/{id}"))[0] == 200
    left = {each.owner for each in await store.connections.page()}
    assert left == {owner for owner, stays in owners.items() if stays}


async def test_deleting_a_tenant_ends_his_end_users_and_a_later_one_inherits_none(api: Api, store):
    await added(api)
    theirs = await added(api, who=BOB)
    assert (await api("DELETE", f"/api/users/{ANN}", ADA))[0] == 200
    assert [each.id for each in await store.end_users.page()] == [f"user:{BOB}/{theirs}"]
    await api.home.add(ANN, "tenant")
    assert (await api("GET", "/users"))[1]["total"] == 0
