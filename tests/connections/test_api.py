"""The management API of connections: over real HTTP semantics, through the door, with one audit entry each."""

import re
from dataclasses import dataclass, replace

import pytest
from quart import Quart

from connectors.definition.terms import Action, Risk
from gateway.connections.listing import Listing
from gateway.lending import Lending
from gateway.manage.loans import loans_of
from gateway.policy.engine import grant_rows
from gateway.policy.terms import Access, Context, Tool
from gateway.records import Stage
from gateway.settings import Binding
from gateway.web.api.connections import ConnectionsApi
from gateway.web.api.routes import mounted
from gateway.web.operations import Operations
from tests.builders import NOON, Door, policy
from tests.connections.world import BACK, CANARY, PUBLIC, World

ANN, BOB, MEL, OPS = "ann@example.com", "bob@example.com", "mel@example.com", "ops@example.com"
ROWS = """\
p, user:*, main, self, *, connect, , allow
p, user:*, main, self, *, revoke, , allow
p, user:*, main, self, acme/*, write, , allow
p, user:ops@example.com, main, *, acme, revoke, , allow
p, user:ops@example.com, main, system, *, connect, , allow
p, user:*, main, self, acme/*, share, args.level == 'read' and args.days <= 90, allow
p, user:*, *, *, acme/secret_plan, share, , deny
p, user:mel@example.com, *, *, acme, connect, , deny
"""
ACTIONS = tuple(
    Action(id, id, id, risk, "GET", "/x")
    for id, risk in (("list_things", Risk.READ), ("secret_plan", Risk.READ), ("make_thing", Risk.WRITE))
)


@dataclass
class Asked:
    status: int
    body: dict
    headers: dict


class Api:
    """The routes over a world of flows, with a pipeline that judges by ``ROWS``."""

    def __init__(self, store, rows: str = ROWS, **world) -> None:
        self.world = World(store=store, now=NOON, **world)
        acme = self.world.platforms["acme"]
        self.world.platforms["acme"] = replace(acme, definition=replace(acme.definition, actions=ACTIONS))
        self.door = Door(rows)
        self.operations = Operations(
            self.door.pipeline,
            self.world.linking,
            Listing(store, lambda: self.world.known, lambda: self.world.platforms, lambda: self.world.now),
            Lending(
                store,
                lambda: self.world.platforms,
                lambda: self.door.follower.current,
                self.world.catch_up,
                lambda: self.world.now,
            ),
        )
        for borrower in (BOB, MEL):
            self.door.person(borrower)
        app = Quart(__name__)
        app.register_blueprint(mounted(self.door.pipeline, ConnectionsApi(self.operations).routes()))
        self.client = app.test_client()

    async def __call__(self, method: str, path: str, who: str = ANN, **options) -> Asked:
        before = len(self.door.ledger.entries)
        headers = {}
        if who:
            self.door.person(who)
            headers["x-apikey"] = self.door.keys[who]
        answer = await self.client.open(f"/api{path}", method=method, headers=headers, **options)
        assert len(self.door.ledger.entries) - before == 1, "every request leaves one entry"
        assert answer.headers["cache-control"] == "no-store"
        self.entry = self.door.ledger.entries[-1]
        return Asked(answer.status_code, await answer.get_json(), dict(answer.headers))

    async def connected(self, who: str = ANN, account: str = "annie") -> str:
        ended = await self.world.connect(account, owner=f"user:{who}")
        assert ended.flow.stage is Stage.DONE
        return ended.flow.result


@pytest.fixture
def api(store):
    return Api(store)


def code_of(asked: Asked) -> str:
    assert set(asked.body) == {"error", "type", "title", "status", "detail"}
    assert set(asked.body["error"]) == {"code", "message", "details"}
    return asked.body["error"]["code"]


async def test_an_account_is_connected_by_a_link_and_waited_for(api):
    started = await api("POST", "/connections/acme/start", json={"redirect": BACK})
    assert started.status == 201
    assert started.body["url"].startswith(f"{PUBLIC}/connect/")
    assert (api.entry.method, api.entry.object, api.entry.action) == ("connections.start", "acme", "connect")
    flow = started.body["flow"]
    assert (flow["status"], flow["owner"], flow["connector"]) == ("created", f"user:{ANN}", "acme")
    token = started.body["url"].rpartition("/")[2]
    query = api.world.provider.agrees(await api.world.click(token, signed_in=f"user:{ANN}"), "annie")
    await api.world.back(query, signed_in=f"user:{ANN}")
    told = await api("GET", f"/flows/{flow['id']}?wait=30")
    assert (told.status, told.body["status"], told.body["label"]) == (200, "done", "Annie at acme")
    listed = await api("GET", "/connections")
    (connection,) = listed.body["connections"]
    assert connection["id"] == told.body["connection"]
    assert (connection["title"], connection["status"], connection["account"]) == ("Acme", "active", "annie")
    assert CANARY not in str(listed.body)


async def test_without_a_key_nothing_is_told(api):
    await api.connected()
    for method, path in (
        ("GET", "/connections"),
        ("POST", "/connections/acme/start"),
        ("DELETE", "/connections/" + "0" * 24),
        ("GET", "/flows/" + "0" * 24),
        ("POST", "/flows/x/confirm"),
        ("POST", "/flows/x/settle"),
        ("GET", "/connections/x/loans"),
        ("POST", "/connections/x/loans"),
        ("DELETE", "/connections/x/loans/y"),
        ("POST", "/connections/x/reconnect"),
    ):
        asked = await api(method, path, who="")
        assert (asked.status, code_of(asked)) == (401, "UNAUTHORIZED")
        assert "www-authenticate" in {name.lower() for name in asked.headers}
        assert api.entry.outcome == "unauthenticated"


async def test_who_may_not_connect_is_refused_with_the_reference_of_the_entry(api):
    asked = await api("POST", "/connections/acme/start", who=MEL)
    assert (asked.status, code_of(asked)) == (403, "FORBIDDEN")
    assert asked.body["error"]["details"]["reference"] == api.entry.id
    assert await api.world.store.flows.page() == []


async def test_the_operators_account_is_connected_by_who_may(api):
    assert (await api("POST", "/connections/acme/start", who=ANN, json={"owner": "system"})).status == 403
    started = await api("POST", "/connections/acme/start", who=OPS, json={"owner": "system"})
    assert (started.status, started.body["flow"]["owner"]) == (201, "system")
    flow = await api.world.store.flows.get(started.body["flow"]["id"])
    assert flow.by == f"user:{OPS}"
    assert (await api("GET", f"/flows/{flow.id}", who=OPS)).body["owner"] == "system"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/connections/acme/start", '{"redirect": "https://evil.example/"}'),
        ("/connections/acme/start", '{"redirect": 7}'),
        ("/connections/acme/start", '{"unknown": ""}'),
        ("/connections/acme/start", '{"redirect": "", "redirect": ""}'),
        ("/connections/acme/start", "[]"),
        ("/connections/acme/start", "\ud800".encode("utf-8", "surrogatepass")),
        ("/connections/acme/start", "[" * 100_000),
        ("/connections/open/start", "{}"),
        ("/flows/{flow}/settle", "{}"),
    ],
)
async def test_a_body_that_cannot_be_used_is_refused(api, path, body):
    flow, _ = await api.world.link(f"user:{ANN}")
    asked = await api("POST", path.format(flow=flow.id), data=body)
    assert (asked.status, code_of(asked)) == (400, "INVALID_REQUEST")
    assert "evil" not in str(asked.body)


@pytest.mark.parametrize("wait", ["-1", "61", "x", "1e1", "9" * 50, "²"])
async def test_an_answer_is_waited_for_a_minute_at_most(api, wait):
    flow, _ = await api.world.link(f"user:{ANN}")
    asked = await api("GET", f"/flows/{flow.id}", query_string={"wait": wait})
    assert (asked.status, code_of(asked)) == (400, "INVALID_REQUEST")


async def test_foreign_and_missing_connections_are_the_same(api):
    mine = await api.connected(BOB)
    answers = []
    for id in (mine, "0" * 24, "../x", "ä"):
        for method, path in (
            ("DELETE", f"/connections/{id}"),
            ("POST", f"/connections/{id}/reconnect"),
            ("GET", f"/connections/{id}/loans"),
            ("DELETE", f"/connections/{id}/loans/loan-{id}-x"),
        ):
            if "/" in id:
                continue
            asked = await api(method, path, who=ANN)
            error = asked.body["error"]
            error["details"].pop("reference")
            answers.append((asked.status, str(error)))
        lent = await api("POST", f"/connections/{id}/loans", who=ANN, json={"to": MEL}) if "/" not in id else None
        if lent is not None:
            lent.body["error"]["details"].pop("reference")
            answers.append((lent.status, str(lent.body["error"])))
    assert len(set(answers)) == 1, set(answers)
    assert answers[0][0] == 404
    assert [each.id for each in await api.world.connections()] == [mine]


async def test_foreign_and_missing_flows_are_the_same(api):
    flow, _ = await api.world.link(f"user:{BOB}")
    answers = set()
    for id in (flow.id, "0" * 24):
        for method, path, body in (("GET", "", None), ("POST", "/settle", {"keep": True})):
            asked = await api(method, f"/flows/{id}{path}", who=ANN, json=body)
            asked.body["error"]["details"].pop("reference")
            answers.add((asked.status, str(asked.body)))
    assert len(answers) == 1
    assert asked.status == 404


async def test_who_may_end_connections_of_others_may(api):
    mine = await api.connected(BOB)
    assert [
        each["id"] for each in (await api("GET", f"/connections?owner=user:{BOB}", who=OPS)).body["connections"]
    ] == [mine]
    assert (await api("GET", f"/connections?owner=user:{BOB}", who=ANN)).body == {"connections": []}
    ended = await api("DELETE", f"/connections/{mine}", who=OPS)
    assert (ended.status, ended.body) == (200, {"id": mine, "revoked": True})
    assert (api.entry.method, api.entry.owner) == ("connections.end", f"user:{BOB}")
    assert api.world.provider.forgotten == ["annie"]


async def test_a_connection_is_made_anew_under_its_id(api):
    mine = await api.connected()
    started = await api("POST", f"/connections/{mine}/reconnect", json={})
    assert (started.status, started.body["flow"]["reconnects"]) == (201, mine)


async def test_the_application_confirms_with_the_key_of_who_finished(store):
    api = Api(store, binding=Binding.CONFIRM)
    for who, status in ((BOB, 403), (ANN, 200)):
        _, token = await api.world.link(f"user:{ANN}", back=BACK)
        query = api.world.provider.agrees(await api.world.click(token, signed_in=""), "annie")
        ended = await api.world.back(query, signed_in="")
        code = re.search(r"code=([^&]+)", ended.next).group(1)
        asked = await api("POST", f"/flows/{code}/confirm", who=who)
        assert asked.status == status
        again = await api("POST", f"/flows/{code}/confirm", who=ANN)
        assert (again.status, again.body["error"]["details"]["reason"]) == (400, "used")
        assert code not in str(asked.body) + str(again.body)
    assert [each.account for each in await api.world.connections()] == ["annie"]
    unknown = await api("POST", f"/flows/{'0' * 24}.{'A' * 43}/confirm")
    assert (unknown.status, code_of(unknown)) == (404, "NOT_FOUND")


async def test_another_account_is_decided_about(api):
    mine = await api.connected()
    ended = await api.world.connect("another", owner=f"user:{ANN}", reconnects=mine)
    told = await api("GET", f"/flows/{ended.flow.id}")
    assert (told.body["status"], told.body["label"]) == ("other_account", "Another at acme")
    settled = await api("POST", f"/flows/{ended.flow.id}/settle", json={"keep": True})
    assert (settled.status, settled.body["connection"]) == (200, mine)


# -- loans


async def test_a_connection_is_lent_for_a_while_and_the_loan_ended(api):
    mine = await api.connected()
    lent = await api("POST", f"/connections/{mine}/loans", json={"to": BOB, "tools": ["list_things"], "days": 7})
    assert lent.status == 201
    loan = lent.body
    assert (loan["to"], loan["level"], loan["tools"]) == (f"user:{BOB}", "read", ["list_things"])
    assert loan["expiresAt"] == NOON + 7 * 86_400_000
    (listed,) = (await api("GET", "/connections")).body["connections"]
    assert listed["loans"] == [loan]
    assert (await api("GET", f"/connections/{mine}/loans")).body == {"loans": [loan]}
    ended = await api("DELETE", f"/connections/{mine}/loans/{loan['id']}")
    assert (ended.status, api.entry.method) == (200, "connections.loans.end")
    assert (await api("GET", f"/connections/{mine}/loans")).body == {"loans": []}
    assert (await api("DELETE", f"/connections/{mine}/loans/{loan['id']}")).status == 404


async def granted(api) -> dict:
    return {grant.id: grant_rows(grant) for grant in await api.world.store.grants.page()}


def allowed(rows, connection: str, tool: str, action: str = "read", who: str = BOB, owner: str = ANN) -> bool:
    judged = policy(ROWS).with_grants(rows.values(), "1.1")
    context = Context(
        args={}, tool=Tool("acme", tool, destructive=False), env={"now": NOON}, connection={"id": connection}
    )
    return judged.decide((Access(f"user:{who}", "main", f"user:{owner}", f"acme/{tool}", action, context),)).allowed


async def test_a_loan_lends_one_connection_and_what_was_named_to_one_person(api):
    mine, other = await api.connected(), await api.connected(account="work")
    await api("POST", f"/connections/{mine}/loans", json={"to": BOB, "tools": ["list_things"]})
    rows = await granted(api)
    assert allowed(rows, mine, "list_things")
    assert not allowed(rows, other, "list_things"), "his other account stays his"
    assert not allowed(rows, "", "list_things")
    assert not allowed(rows, mine, "secret_plan")
    assert not allowed(rows, mine, "list_things", "write")
    assert not allowed(rows, mine, "list_things", who=MEL)
    assert not allowed({}, mine, "list_things")


async def test_what_may_not_be_shared_is_not_lent_with_the_rest(api):
    mine = await api.connected()
    asked = await api("POST", f"/connections/{mine}/loans", json={"to": BOB})
    assert (asked.status, code_of(asked)) == (403, "FORBIDDEN")
    assert api.entry.object == "acme/secret_plan"
    assert await granted(api) == {}


async def test_without_names_a_loan_lends_what_its_level_reaches(store):
    api = Api(store, ROWS.replace("p, user:*, *, *, acme/secret_plan, share, , deny\n", ""))
    mine = await api.connected()
    lent = await api("POST", f"/connections/{mine}/loans", json={"to": BOB})
    assert lent.body["tools"] == ["list_things", "secret_plan"]
    assert (await api("POST", f"/connections/{mine}/loans", json={"to": BOB, "level": "write"})).status == 403


@pytest.mark.parametrize(
    "wanted",
    [
        {"to": "nobody"},
        {"to": "without.an.account@example.com"},
        {"to": ANN},
        {"to": "role:all of us"},
        {"to": BOB, "level": "manage"},
        {"to": BOB, "days": 0},
        {"to": BOB, "days": 400},
        {"to": BOB, "days": "7"},
        {"to": BOB, "tools": ["x"] * 3 + [f"t{n}" for n in range(300)]},
        {},
    ],
)
async def test_a_loan_that_cannot_be_is_refused(api, wanted):
    mine = await api.connected()
    asked = await api("POST", f"/connections/{mine}/loans", json={"tools": ["list_things"], **wanted})
    assert (asked.status, code_of(asked)) == (400, "INVALID_REQUEST")
    assert await granted(api) == {}


async def test_a_condition_of_the_policy_bounds_a_loan(api):
    mine = await api.connected()
    asked = await api("POST", f"/connections/{mine}/loans", json={"to": BOB, "tools": ["list_things"], "days": 91})
    assert asked.status == 403


async def test_nobody_lends_what_is_not_his_even_if_he_may_administer_it(api):
    mine = await api.connected(BOB)
    asked = await api("POST", f"/connections/{mine}/loans", who=OPS, json={"to": MEL, "tools": ["list_things"]})
    assert (asked.status, await granted(api)) == (404, {})


async def test_lending_again_replaces_the_loan_and_another_borrower_has_his_own(api):
    mine = await api.connected()
    for to, tools in ((BOB, ["list_things"]), (BOB, ["make_thing"]), (MEL, ["list_things"])):
        assert (await api("POST", f"/connections/{mine}/loans", json={"to": to, "tools": tools})).status == 201
    loans = (await api("GET", f"/connections/{mine}/loans")).body["loans"]
    assert {(each["to"], *each["tools"]) for each in loans} == {
        (f"user:{BOB}", "make_thing"), (f"user:{MEL}", "list_things"),
    }  # fmt: skip


async def test_a_loan_ends_by_itself_and_with_its_connection(api):
    mine = await api.connected()
    await api("POST", f"/connections/{mine}/loans", json={"to": BOB, "tools": ["list_things"], "days": 1})
    assert len(await loans_of(api.world.store, mine, NOON + 86_399_999)) == 1
    assert await loans_of(api.world.store, mine, NOON + 86_400_000) == ()
    await api("DELETE", f"/connections/{mine}")
    assert await granted(api) == {}


async def test_a_name_of_a_tool_that_would_read_like_something_else_is_lent_as_it_is(api):
    mine = await api.connected()
    name = "it's, a] \\ tool/x"
    rows = ROWS
    lent = await api("POST", f"/connections/{mine}/loans", json={"to": BOB, "tools": [name, "b"]})
    assert (lent.status, lent.body["tools"]) == (201, [name, "b"]), rows
    assert allowed(await granted(api), mine, name.replace("/", "%2F")) is False
    (row,) = (await granted(api)).values()
    assert policy("").with_grants([row], "1.1").decide(
        (
            Access(
                f"user:{BOB}", "main", f"user:{ANN}", "acme/x", "read",
                Context(args={}, tool=Tool("acme", name), env={"now": NOON}, connection={"id": mine}),
            ),
        )
    ).allowed  # fmt: skip
