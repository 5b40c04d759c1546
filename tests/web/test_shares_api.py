"""``/tools/share`` and ``/tools/shared``: over real HTTP semantics, through the door."""

import json

import pytest
from quart import Quart

from gateway.connections.listing import Listing
from gateway.lending import Lending
from gateway.snapshot import Snapshot
from gateway.web.api.routes import mounted
from gateway.web.api.shares import SharesApi
from gateway.web.operations import Operations
from tests.builders import Door
from tests.manage.sharing import ADA, ANN, BOB, DAY, House, key_of

MINE = "a" * 24


class Api:
    """The routes over a house in memory, with a pipeline that judges by its policy."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.door = Door(house.rows)
        office = house.office
        operations = Operations(
            self.door.pipeline,
            None,  # type: ignore[arg-type]
            Listing(house.store, lambda: house.snapshot.connections, dict, lambda: house.now),
            Lending(house.store, dict, lambda: house.snapshot, house.catch_up, lambda: house.now),
        )
        app = Quart(__name__)
        app.register_blueprint(mounted(operations.pipeline, SharesApi(office, operations).routes()))
        self.client = app.test_client()

    async def __call__(self, method: str, path: str, who: str = ANN, body: object = None) -> tuple[int, dict]:
        self.door.now = self.house.now
        self.door.follower.current = Snapshot(
            self.house.snapshot.identities,
            self.house.snapshot.policy,
            self.house.now,
            self.house.snapshot.connections,
            self.house.snapshot.custom,
        )
        headers = {"x-apikey": key_of(who)} if who else {}
        data = None if body is None else json.dumps(body)
        answer = await self.client.open(path, method=method, headers=headers, data=data)
        assert answer.headers["cache-control"] == "no-store"
        text = await answer.get_data(as_text=True)
        assert key_of(who) not in text
        assert all(each.id not in text for each in self.house.store.keys.records.values())
        return answer.status_code, json.loads(text)

    @property
    def entry(self):
        return self.door.last


@pytest.fixture
async def api():
    house = await House().settle()
    await house.also("g, user:ann@example.com, role:lender, *\n")
    await house.tool(ANN, "report")
    await house.prompt(ANN, "greet")
    await house.connection(ANN, MINE)
    return Api(house)


async def test_a_tool_is_shared_seen_by_both_and_unshared(api):
    wanted = {"email": "bob@example.com", "toolId": "report", "accessLevel": "write", "days": 7}
    status, told = await api("POST", "/tools/share", body=wanted)
    assert (status, told["toolId"], told["sharedWith"]) == (201, "ann@example.com:report", "bob@example.com")
    assert (api.entry.method, api.entry.object, api.entry.action) == ("tools.share", "custom/report", "share")
    assert api.house.allows(BOB, "custom/report", owner=ANN)
    status, mine = await api("GET", "/tools/shared")
    assert (status, mine) == (200, {"sharedByMe": [told], "sharedWithMe": []})
    assert (await api("GET", "/tools/shared", BOB))[1] == {"sharedByMe": [], "sharedWithMe": [told]}
    status, ended = await api("DELETE", "/tools/share", body={"email": "bob@example.com", "toolId": "report"})
    assert (status, ended) == (200, {"toolId": "report", "ended": 1})
    assert (api.entry.method, api.entry.action) == ("tools.unshare", "revoke")
    assert not api.house.allows(BOB, "custom/report", owner=ANN)


async def test_prompts_and_roles_are_shared_too(api):
    status, told = await api("POST", "/tools/share", body={"to": "role:team", "toolId": "prompt:greet"})
    assert (status, told["sharedWith"], told["accessLevel"]) == (201, "role:team", "read")
    assert api.house.allows(BOB, "custom/prompt:greet", "read", owner=ANN)
    assert (await api("GET", "/tools/shared", BOB))[1]["sharedWithMe"] == [told]


async def test_a_connection_is_shared_as_a_loan_of_it(api):
    wanted = {"email": "bob@example.com", "connection": MINE, "tools": ["list", "send"], "days": 3}
    status, told = await api("POST", "/tools/share", body=wanted)
    assert (status, told["tools"], told["accessLevel"]) == (201, ["list", "send"], "read")
    assert api.house.allows(BOB, "slack/list", "read", owner=ANN, connection=MINE)
    listed = (await api("GET", "/tools/shared", BOB))[1]["sharedWithMe"]
    assert [(each["toolId"], each["connection"]) for each in listed] == [("slack:list", MINE), ("slack:send", MINE)]
    status, ended = await api("DELETE", "/tools/share", body={"email": "bob@example.com", "connection": MINE})
    assert (status, ended["ended"]) == (200, 1)
    assert not api.house.allows(BOB, "slack/list", "read", owner=ANN, connection=MINE)
    status, refused = await api("DELETE", "/tools/share", body={"email": "bob@example.com", "connection": MINE})
    assert (status, refused["error"]["code"]) == (404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("who", "body", "status", "code"),
    [
        ("", {"email": "bob@example.com", "toolId": "report"}, 401, "UNAUTHORIZED"),
        ("user:cat@example.com", {"email": "bob@example.com", "toolId": "report"}, 403, "FORBIDDEN"),
        (ADA, {"email": "bob@example.com", "toolId": "ann@example.com:report"}, 404, "NOT_FOUND"),
        (ANN, {"email": "bob@example.com", "toolId": "add-user"}, 403, "FORBIDDEN"),
        (ANN, {"email": "bob@example.com", "toolId": "report", "days": 91}, 403, "FORBIDDEN"),
        (ANN, {"email": "eve@example.com", "toolId": "report"}, 400, "INVALID_REQUEST"),
        (ANN, {"email": "bob@example.com", "toolId": "report", "days": 0}, 400, "INVALID_REQUEST"),
        (ANN, {"email": "bob@example.com", "toolId": "report", "accessLevel": "all"}, 400, "INVALID_REQUEST"),
        (ANN, {"email": {"$ne": ""}, "toolId": "report"}, 400, "INVALID_REQUEST"),
        (ANN, {"email": "bob@example.com", "toolId": "report", "roles": ["admin"]}, 400, "INVALID_REQUEST"),
        (ANN, {"email": "bob@example.com", "to": "role:team", "toolId": "report"}, 400, "INVALID_REQUEST"),
        (ANN, {"email": "bob@example.com", "toolId": "report", "tools": ["x"]}, 400, "INVALID_REQUEST"),
        (ANN, {"email": "bob@example.com"}, 400, "INVALID_REQUEST"),
        (ANN, {"toolId": "report"}, 400, "INVALID_REQUEST"),
    ],
)
async def test_what_cannot_be_shared_is_refused_in_the_envelope(api, who, body, status, code):
    answered, told = await api("POST", "/tools/share", who, body)
    assert (answered, told["error"]["code"]) == (status, code)
    assert set(told) == {"error", "type", "title", "status", "detail"}
    assert api.house.grants() == {}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"email": "bob@example.com", "toolId": "report"}, 404),
        ({"email": "bob@example.com"}, 400),
        ({"email": "bob@example.com", "toolId": "report", "connection": MINE}, 400),
        ({"toolId": "report"}, 400),
    ],
)
async def test_what_is_not_shared_is_not_unshared(api, body, status):
    assert (await api("DELETE", "/tools/share", body=body))[0] == status


async def test_a_share_that_ended_is_shown_to_nobody(api):
    await api("POST", "/tools/share", body={"email": "bob@example.com", "toolId": "report", "days": 1})
    await api.house.later(DAY)
    for who in (ANN, BOB):
        assert (await api("GET", "/tools/shared", who))[1] == {"sharedByMe": [], "sharedWithMe": []}
