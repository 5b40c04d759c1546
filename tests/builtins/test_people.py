"""The tools for people through the door: accounts as administrators of such servers know them, and nothing more."""

from collections.abc import Mapping

import msgspec
import pytest
from msgspec.structs import replace

from gateway.builtins.people import people
from gateway.errors import Unauthenticated
from gateway.manage.sign_ins import find_sign_in, mail_code, sign_in, take_code
from gateway.manage.users import give_role
from gateway.records import Connected, CustomPrompt, CustomTool, Flow, Grant, Handler, PromptMessage
from gateway.store.base import Unavailable
from tests.builders import NOON, RING
from tests.builtins.house import House, Refused, house
from tests.fakes import FakeConnector, tool

ADA, ANN, BOB, EVE, SUE = (f"{name}@example.com" for name in ("ada", "ann", "bob", "eve", "sue"))
ROWS = """\
p, user:*, main, self, gateway/directory, inspect, , allow
p, user:*, main, self, gateway/keys, manage, , allow
p, user:*, main, self, time/*, read, , allow
p, role:user, main, *, gateway/directory, inspect, , allow
p, role:helpdesk, main, *, gateway/users, manage, every(args.roles, it in ['user']), allow
p, role:helpdesk, main, *, gateway/*, manage, some(owner.roles, it in ['admin', 'security']), deny
p, role:admin, main, *, gateway/users, manage, not some(args.roles, it == 'security') and not some(owner.roles, it == 'security'), allow
p, role:admin, main, *, gateway/keys, manage, not some(owner.roles, it == 'security'), allow
p, role:security, main, system, gateway/policy, manage, , allow
g, role:admin, role:user, *
g, role:admin, role:power-user, *
g, role:helpdesk, role:user, *
g, user:sue@example.com, role:security, *
"""


@pytest.fixture
async def home(store):
    found = await house(store, ROWS, people, connectors=[FakeConnector("time", (tool("now", "read"),))])
    await found.add(ADA, "admin", name="Ada")
    await found.add(ANN, "user", name="Ann")
    return found


async def everything(store) -> str:
    """All that the store holds, as one text."""
    changes = await store.changes(0)
    return msgspec.json.encode([changes.users, changes.keys, changes.grants]).decode()


# -- the road of an account


async def test_an_account_is_made_changed_looked_at_and_ended(home: House):
    made = await home.answer(ADA, "add-user", email="Bob@Example.com", name=" Bob ", roles=["user"])
    assert {**made["result"], "apiKey": ""} == {"email": BOB, "name": "Bob", "roles": ["user"], "apiKey": ""}
    key = made["result"]["apiKey"]
    assert home.proves(key) == f"user:{BOB}"
    assert "hand the key over yourself" in made["message"]
    updated = await home.use(ADA, "update-user", email=BOB, name="Robert", roles=["power-user", "user"])
    assert (updated["name"], updated["roles"]) == ("Robert", ["power-user", "user"])
    assert await home.use(ADA, "user-info", email=BOB) == {"exists": True, "email": BOB, "name": "Robert"}
    assert await home.use(ADA, "delete-user", email=BOB) == {"success": True, "email": BOB}
    assert home.proves(key) == ""
    assert await home.use(ADA, "user-info", email=BOB) == {"exists": False, "email": BOB}
    await home.use(ADA, "add-user", email=BOB)
    assert await home.use(ADA, "remove-user", email=BOB) == {"success": True, "email": BOB}
    with pytest.raises(Refused, match=f"^Error: there is no user `{BOB}`"):
        await home.use(ADA, "remove-user", email=BOB)


async def test_an_own_record_holds_what_one_may_know_and_nothing_else(home: House):
    record = await home.use(ANN, "user-info")
    assert record == {
        "email": ANN,
        "name": "Ann",
        "roles": ["user"],
        "allowedTools": [],
        "sharedTools": [],
        "hiddenTools": [],
        "createdAt": "2026-11-23T12:00:00.000Z",
    }
    assert await home.use(ANN, "user-info", email=ANN) == record


async def test_who_inspects_accounts_sees_the_whole_record(home: House, store):
    row = ("role:admin", "main", "*", "gateway/users", "inspect", "", "allow")
    await store.grants.add(Grant(id="auditor", kind="row", row=row, made_by="operator"))
    await home.follower.catch_up()
    assert (await home.use(ADA, "user-info", email=ANN))["roles"] == ["user"]
    assert await home.use(ANN, "user-info", email=ADA) == {"exists": True, "email": ADA, "name": "Ada"}


async def test_no_answer_ever_holds_a_key_or_a_hash_but_the_key_just_issued(home: House, store):
    made = await home.use(ADA, "add-user", email=BOB, roles=["user"])
    said = [
        await home.answer(ADA, "list-users"),
        await home.answer(ADA, "user-info"),
        await home.answer(ADA, "user-info", email=BOB),
        await home.answer(ADA, "update-user", email=BOB, name="B"),
        await home.answer(ANN, "user-info", email=BOB),
        await home.answer(ADA, "reset-api-key", email=BOB),
        await home.answer(ADA, "delete-user", email=BOB),
    ]
    keys = await store.keys.page()
    secrets = {made["apiKey"], *home.keys.values(), *(key.id for key in keys), *(key.prefix for key in keys)}
    for secret in secrets:
        assert secret not in str(said)
    assert made["apiKey"] not in await everything(store)


# -- who may


async def test_each_sees_the_tools_of_which_some_call_could_be_allowed(home: House):
    own = ["hide-tool", "list-users", "reset-api-key", "unhide-tool", "user-info"]
    accounts = ["add-user", "delete-user", "remove-user", "update-user"]
    assert [each for each in await home.listed(ANN) if "time" not in each] == own
    assert [each for each in await home.listed(ADA) if "time" not in each] == sorted([*own, *accounts])


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("add-user", {"email": EVE, "roles": ["user"]}),
        ("update-user", {"email": ANN, "roles": ["admin"]}),
        ("update-user", {"email": ADA, "name": "Mallory"}),
        ("delete-user", {"email": ADA}),
        ("remove-user", {"email": ANN}),
        ("reset-api-key", {"email": ADA, "userConfirmed": True}),
        ("reset-api-key", {"email": ADA}),
        ("reset-api-key", {"email": EVE}),
    ],
)
async def test_who_administers_nobody_changes_nothing(home: House, store, name: str, arguments: Mapping[str, object]):
    before = await everything(store)
    with pytest.raises(Refused):
        await home.use(ANN, name, **arguments)
    assert await everything(store) == before


async def test_no_administrator_gives_a_role_that_the_policy_keeps_from_him_however_it_is_spelled(home: House, store):
    for spelled in ("security", "role:security", "role:role:security", " security", "Security", "security "):
        for tool_, email in (("add-user", EVE), ("update-user", ADA), ("update-user", ANN)):
            with pytest.raises(Refused):
                await home.use(ADA, tool_, email=email, roles=["user", spelled])
    assert not any("security" in str(row).lower() for row in await home.grants())
    assert await store.users.get(EVE) is None


async def test_nobody_gives_a_role_that_he_does_not_have_unless_he_keeps_the_policy(home: House, store):
    with pytest.raises(Refused, match=r"`roles`: .* does not have `role:auditor`"):
        await home.use(ADA, "add-user", email=BOB, roles=["auditor"])
    assert await store.users.get(BOB) is None
    await home.add("root@example.com", "admin")
    assert (await home.use("root@example.com", "add-user", email=BOB, roles=["auditor"]))["roles"] == ["auditor"]


async def test_who_may_look_after_users_only_gets_no_hold_of_others(home: House):
    await home.add("help@example.com", "helpdesk")
    assert (await home.use("help@example.com", "add-user", email=BOB, roles=["user"]))["roles"] == ["user"]
    for arguments in (
        {"email": BOB, "roles": ["user", "admin"]},
        {"email": ADA, "roles": ["user"]},
        {"email": ADA, "name": "x", "roles": []},
    ):
        with pytest.raises(Refused):
            await home.use("help@example.com", "update-user", **arguments)
    assert (await home.use(ADA, "user-info"))["roles"] == ["admin"]


async def test_who_keeps_the_policy_is_out_of_an_administrators_reach(home: House):
    key = await home.add(SUE)
    for name, more in (("delete-user", {}), ("update-user", {"roles": []}), ("reset-api-key", {"userConfirmed": True})):
        with pytest.raises(Refused):
            await home.use(ADA, name, email=SUE, **more)
    assert home.proves(home.keys[SUE]) == key


# -- roles


async def test_roles_are_replaced_as_a_whole_where_they_count_here_and_stay_elsewhere(home: House, store):
    for role, domain in (("power-user", "main"), ("admin", "billing")):
        await give_role(store, ANN, role, author="operator", now=NOON, domain=domain)
    await home.follower.catch_up()
    assert (await home.use(ANN, "user-info"))["roles"] == ["power-user", "user"]
    assert (await home.use(ADA, "update-user", email=ANN, roles=["role:admin", "admin"]))["roles"] == ["admin"]
    assert {row for row in await home.grants() if row[0] == f"user:{ANN}"} == {
        (f"user:{ANN}", "role:admin", "*"),
        (f"user:{ANN}", "role:admin", "billing"),
    }
    (given,) = [
        each for each in await store.grants.page() if each.row[1:] == ("role:admin", "*") and ANN in each.row[0]
    ]
    assert given.made_by == f"user:{ADA}"
    assert (await home.use(ADA, "update-user", email=ANN, roles=[]))["roles"] == []


async def test_a_role_that_stays_keeps_its_end_and_one_that_ended_can_be_given_anew(home: House, store):
    await give_role(store, ANN, "power-user", author="operator", now=NOON, expires_at=NOON + 10)
    await home.follower.catch_up()
    await home.use(ADA, "update-user", email=ANN, roles=["user", "power-user"])
    (kept,) = [each for each in await store.grants.page() if each.row == (f"user:{ANN}", "role:power-user", "*")]
    assert kept.expires_at == NOON + 10
    home.door.now += 10
    assert (await home.use(ANN, "user-info"))["roles"] == ["user"]
    await home.follower.catch_up()
    await home.use(ADA, "update-user", email=ANN, roles=["user", "power-user"])
    assert (await home.use(ANN, "user-info"))["roles"] == ["power-user", "user"]


async def test_a_role_from_a_policy_file_is_told_and_ends_there(home: House, store):
    root = "root@example.com"
    await home.add(root, "admin")
    await home.add(SUE, "user")
    rows = "p, user:root@example.com, main, *, gateway/users, manage, , allow"
    await store.grants.add(Grant(id="root", kind="row", row=tuple(rows.split(", ")[1:]), made_by="operator"))
    await home.follower.catch_up()
    before = await home.grants()
    with pytest.raises(Refused, match=r"`roles`: `role:security` comes from policies/rules.csv:[0-9]+"):
        await home.use(root, "update-user", email=SUE, roles=["user"])
    assert await home.grants() == before
    assert (await home.use(root, "update-user", email=SUE, roles=["security"]))["roles"] == ["security"]


# -- ends


async def stock(store, email: str) -> None:
    """Something of every kind that carries the address."""
    name = f"user:{email}"
    await store.connections.add(Connected(id="0" * 24, owner=name, connector="time"))
    await store.flows.add(Flow(id="1" * 24, owner="user:x@example.com", by=name, connector="time", binding="session"))
    handler = Handler(type="connector", config={"connector": "time", "action": "now"})
    await store.tools.add(CustomTool(id=f"{name}/t", owner=name, name="t", schema={}, handler=handler))
    messages = (PromptMessage(role="user", text="hello"),)
    await store.prompts.add(CustomPrompt(id=f"{name}/p", owner=name, name="p", messages=messages))
    for id, row in {
        "to": (name, "main", f"user:{ADA}", "custom/a", "write", "", "allow"),
        "of": (f"user:{ADA}", "main", name, "custom/t", "write", "", "allow"),
        "elsewhere": (name, "role:admin", "billing"),
        "not-his": (f"user:{ADA}", "role:auditor", "billing"),
    }.items():
        await store.grants.add(Grant(id=id, kind="share", row=row, made_by="operator"))


async def test_with_an_account_ends_all_that_carries_its_address(home: House, store):
    await home.add(BOB, "user")
    await stock(store, BOB)
    cookie = await sign_in(store, RING, f"user:{BOB}", how="mail", now=NOON)
    browser, code = await mail_code(store, RING, f"user:{BOB}", now=NOON)
    await home.follower.catch_up()
    await home.use(ADA, "delete-user", email=BOB)
    for records in (store.connections, store.flows, store.tools, store.prompts):
        assert await records.page() == []
    assert [each.user for each in await store.keys.page() if each.user == BOB] == []
    assert {each.id for each in await store.grants.page() if each.kind == "share"} == {"not-his"}
    assert not any(BOB in str(row) for row in await home.grants())
    assert await find_sign_in(store, RING, cookie.reveal(), now=NOON) is None
    assert await take_code(store, RING, browser.reveal(), code.reveal(), now=NOON) == ""
    custom = home.follower.current.custom
    assert (custom.tools.of(f"user:{BOB}"), custom.prompts.of(f"user:{BOB}")) == ((), ())


async def test_a_later_account_of_that_address_inherits_nothing(home: House, store):
    """Not even what another node wrote after the end."""
    await home.add(BOB, "admin")
    await home.use(ADA, "delete-user", email=BOB)
    await stock(store, BOB)
    await give_role(store, ADA, "user", author="operator", now=NOON)
    await store.grants.add(Grant(id="late", kind="role", row=(f"user:{BOB}", "role:admin", "*"), made_by="operator"))
    made = await home.use(ADA, "add-user", email=BOB, roles=["user"])
    assert made["roles"] == ["user"]
    assert {row for row in await home.grants() if BOB in str(row)} == {(f"user:{BOB}", "role:user", "*")}
    assert await store.tools.page() == []


async def test_an_end_that_broke_off_can_be_repeated(home: House, store, monkeypatch):
    await home.add(BOB, "user")
    await stock(store, BOB)
    grants, calls = store.grants.remove, []

    async def breaks(id):
        calls.append(id)
        if len(calls) == 2:
            raise Unavailable("it is down")
        await grants(id)

    monkeypatch.setattr(store.grants, "remove", breaks)
    with pytest.raises(Refused, match="the store does not answer now"):
        await home.use(ADA, "delete-user", email=BOB)
    await home.follower.catch_up()
    assert home.proves(home.keys[BOB]) == "", "the account goes first"
    assert await home.use(ADA, "delete-user", email=BOB) == {"success": True, "email": BOB}
    assert not any(BOB in str(row) for row in await home.grants())


# -- keys


async def test_a_reset_asks_first_and_then_ends_the_former_key_at_once(home: House, store):
    former = home.keys[ANN]
    asked = await home.answer(ANN, "reset-api-key")
    assert asked["result"] == {"success": False, "email": ANN, "confirmationNeeded": True}
    assert asked["nextSteps"]
    for unconfirmed in ({}, {"userConfirmed": False}):
        await home.use(ANN, "reset-api-key", **unconfirmed)
        assert home.proves(former) == f"user:{ANN}"
    cookie = await sign_in(store, RING, f"user:{ANN}", how="mail", now=NOON - 1)
    home.door.now += 1
    issued = await home.use(ANN, "reset-api-key", userConfirmed=True)
    assert (home.proves(former), home.proves(issued["apiKey"])) == ("", f"user:{ANN}")
    record = await find_sign_in(store, RING, cookie.reveal(), now=home.door.now)
    with pytest.raises(Unauthenticated):
        home.follower.current.identities.signed_in(record, home.door.now)
    assert [each.user for each in await store.keys.page()].count(ANN) == 1


async def test_an_administrator_resets_the_key_of_another(home: House):
    former = home.keys[ANN]
    issued = await home.use(ADA, "reset-api-key", email=ANN, userConfirmed=True)
    assert issued["email"] == ANN
    assert (home.proves(former), home.proves(issued["apiKey"])) == ("", f"user:{ANN}")
    with pytest.raises(Refused, match="there is no user"):
        await home.use(ADA, "reset-api-key", email=EVE, userConfirmed=True)


async def test_a_confirmation_is_the_word_true_and_nothing_like_it(home: House):
    for other in ("true", 1, "yes", None):
        with pytest.raises(Refused):
            await home.use(ANN, "reset-api-key", userConfirmed=other)
    assert home.proves(home.keys[ANN]) == f"user:{ANN}"


# -- what is said badly


@pytest.mark.parametrize(
    ("name", "arguments", "sentence"),
    [
        ("add-user", {}, "email"),
        ("add-user", {"email": "bob"}, "`email`: `bob` is not an e-mail address"),
        ("add-user", {"email": {"$ne": ""}}, "email"),
        ("add-user", {"email": ["bob@example.com"]}, "email"),
        ("add-user", {"email": BOB, "roles": "admin"}, "roles"),
        ("add-user", {"email": BOB, "roles": ["a b"]}, "`roles`: role `role:a b` is not `role:NAME`"),
        ("add-user", {"email": BOB, "roles": ["user"] * 51}, "roles"),
        ("add-user", {"email": BOB, "name": "a\nb"}, "`name`: a name has at most 200 characters"),
        ("add-user", {"email": BOB, "apiKey": "mine"}, "apiKey"),
        ("add-user", {"email": ANN}, f"`email`: there is a user `{ANN}` already"),
        ("update-user", {"email": EVE}, f"there is no user `{EVE}`"),
        ("update-user", {"email": ANN, "applicationAuthentication": {}}, "applicationAuthentication"),
        ("update-user", {"email": ANN, "roles.0": "admin"}, "roles.0"),
        ("list-users", {"limit": 101}, "limit"),
        ("list-users", {"limit": 0}, "limit"),
        ("list-users", {"skip": -1}, "skip"),
        ("list-users", {"skip": 0.5}, "skip"),
        ("list-users", {"nameContains": {"$regex": "."}}, "nameContains"),
        ("hide-tool", {"toolId": "time:now"}, "toolId"),
        ("hide-tool", {"toolId": []}, "toolId"),
        ("hide-tool", {"toolId": ["time:never"]}, "`toolId`: you see no tool `time:never`"),
        ("hide-tool", {"toolId": ["unhide-tool"]}, "`toolId`: `unhide-tool` cannot be hidden"),
        ("unhide-tool", {"toolId": ["time:never"]}, "`toolId`: you see no tool `time:never`"),
    ],
)
async def test_what_cannot_be_understood_is_refused_with_its_place(home: House, store, name, arguments, sentence):
    before = await everything(store)
    with pytest.raises(Refused) as refused:
        await home.use(ADA, name, **arguments)
    assert str(refused.value).startswith("Error: ")
    assert sentence in str(refused.value)
    assert await everything(store) == before


# -- lists


async def test_people_come_page_by_page_in_order_of_address(home: House):
    for number in range(7):
        await home.add(f"p{number}@example.com", name=f"Person {number}")
    first = await home.answer(ANN, "list-users", limit=4)
    assert [each["email"] for each in first["result"]["users"]] == [ADA, ANN, "p0@example.com", "p1@example.com"]
    assert (first["result"]["total"], first["result"]["hasMore"]) == (4, True)
    assert first["nextSteps"] == ["Call `list-users` with `skip` 4 for the next page."]
    assert first["result"]["users"][1] == {"email": ANN, "name": "Ann"}
    last = await home.answer(ANN, "list-users", skip=8, limit=4)
    assert [each["email"] for each in last["result"]["users"]] == ["p6@example.com"]
    assert (last["result"]["total"], last["result"]["hasMore"], last["nextSteps"]) == (1, False, [])
    assert (await home.use(ANN, "list-users", skip=9.0))["users"] == []
    assert (await home.use(ANN, "list-users", skip=5, limit=4))["hasMore"] is False


async def test_a_text_is_looked_for_as_it_stands_in_names_and_addresses(home: House):
    await home.add("straße@example.com", name="Jörg (c++) .*")

    async def found(text: str) -> list[str]:
        return [each["email"] for each in (await home.use(ADA, "list-users", nameContains=text))["users"]]

    assert (
        await found("C++") == await found("(") == await found("JÖRG") == await found("STRAßE") == ["straße@example.com"]
    )
    assert await found(".*") == ["straße@example.com"]
    assert await found("^a") == await found("a|b") == await found("$") == []
    assert await found("AN") == [ANN]


async def test_whom_one_may_not_see_is_neither_listed_nor_counted(home: House, store):
    await home.add("ceo@example.com")
    await home.add("zoe@example.com")
    row = ("*", "main", f"user:{'ceo@example.com'}", "gateway/directory", "inspect", "", "deny")
    await store.grants.add(Grant(id="private", kind="row", row=row, made_by="operator"))
    await home.follower.catch_up()
    page = await home.use(ANN, "list-users", skip=1, limit=2)
    assert [each["email"] for each in page["users"]] == [ANN, "zoe@example.com"]
    assert page["hasMore"] is False
    assert (await home.use(ANN, "list-users", skip=2, limit=1))["users"][0]["email"] == "zoe@example.com"
    with pytest.raises(Refused) as refused:
        await home.use(ANN, "user-info", email="ceo@example.com")
    assert "ceo" not in str(refused.value)


async def test_who_sees_nobody_sees_himself(home: House):
    await home.add(BOB)
    assert await home.use(BOB, "list-users") == {"users": [{"email": BOB, "name": ""}], "total": 1, "hasMore": False}
    with pytest.raises(Refused):
        await home.use(BOB, "user-info", email=ANN)


# -- preferences


async def test_what_is_hidden_leaves_the_own_list_alone_and_can_still_be_called(home: House):
    assert "time__now" in await home.listed(ANN)
    hidden = await home.use(ANN, "hide-tool", toolId=["time:now", "list-users", "time__now"])
    assert hidden == {"success": True, "hiddenTools": ["time:now", "system:list-users"]}
    assert await home.listed(ANN) == ["hide-tool", "reset-api-key", "unhide-tool", "user-info"]
    assert "time__now" in await home.listed(ADA)
    assert (await home.use(ANN, "list-users"))["total"] == 2
    assert (await home.use(ANN, "user-info"))["hiddenTools"] == ["time:now", "system:list-users"]
    assert (await home.use(ANN, "unhide-tool", toolId=["time__now"]))["hiddenTools"] == ["system:list-users"]
    assert (await home.use(ANN, "unhide-tool", toolId=["time:now"]))["hiddenTools"] == ["system:list-users"]
    assert (await home.use(ANN, "unhide-tool", toolId=["system:list-users"]))["hiddenTools"] == []
    assert "time__now" in await home.listed(ANN)


async def test_what_is_gone_can_be_unhidden(home: House, store):
    user = await store.users.get(ANN)
    await store.users.replace(replace(user, hidden=("slack:gone",)))
    await home.follower.catch_up()
    assert (await home.use(ANN, "unhide-tool", toolId=["slack:gone"]))["hiddenTools"] == []


async def test_hiding_and_a_change_by_another_at_once_lose_nothing(home: House, store, monkeypatch):
    kept, raced = store.users.replace, []

    async def late(record):
        if not raced:
            raced.append(True)
            other = await store.users.get(ANN)
            await kept(replace(other, name="Anna"))
        return await kept(record)

    monkeypatch.setattr(store.users, "replace", late, raising=False)
    await home.use(ANN, "hide-tool", toolId=["time:now"])
    record = await home.use(ANN, "user-info")
    assert (record["name"], record["hiddenTools"]) == ("Anna", ["time:now"])
