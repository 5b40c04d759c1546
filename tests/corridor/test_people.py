"""People and tools administered by tools, as administrators of such servers do it, over every transport."""

import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.corridor.house import House, until
from tests.corridor.people import ECHO, TEXT, Person, inhabited, person, unique
from tests.corridor.test_isolation import INITIALIZE, legacy
from tests.corridor.transports import TRANSPORTS, Transport

ADMINISTERS = {"add-user", "update-user", "delete-user", "remove-user"}
MAKES = {"add-tool", "update-tool", "delete-tool", "add-prompt", "update-prompt", "delete-prompt", "share-tool"}
EVERYBODY = {"user-info", "list-tools", "list-prompts", "hide-tool", "unhide-tool", "reset-api-key"}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with inhabited(tmp_path_factory.mktemp("people")) as started:
        root = person(started, "root", "admin")
        until(lambda: "demo__echo" in root.tools())
        yield started


@pytest.fixture(params=TRANSPORTS, ids=lambda each: each.__name__)
def transport(request: pytest.FixtureRequest) -> Transport:
    return request.param


@pytest.fixture
def admin(house: House) -> Person:
    return person(house, "admin", "admin")


@pytest.fixture
def ann(house: House) -> Person:
    """She makes tools."""
    return person(house, "ann", "power-user")


@pytest.fixture
def bob(house: House) -> Person:
    return person(house, "bob", "user")


def mailbox(name: str) -> str:
    return f"{unique(name)}@example.com"


# -- the two scripts of administration


def test_an_account_is_made_changed_looked_at_and_ended(house: House, admin: Person, transport: Transport):
    email, other = mailbox("new"), mailbox("other")
    with transport(admin) as root:
        made = root.call("add-user", email=email.upper(), name="New One", roles=["user"]).result
        assert (made["email"], made["name"], made["roles"]) == (email, "New One", ["user"])
        new = Person(house, email, made["apiKey"])
        assert new.echoed("demo__echo", text="at once") == {"text": "at once"}
        changed = root.call("update-user", email=email, name="Newer", roles=["power-user"]).result
        assert (changed["name"], changed["roles"]) == ("Newer", ["power-user"])
        assert set(new.tools()) >= MAKES
        told = root.call("user-info", email=email).result
        assert (told["email"], told["name"], told["roles"]) == (email, "Newer", ["power-user"])
        assert made["apiKey"] not in json.dumps([changed, told])
        assert root.call("list-users", nameContains=email.partition("@")[0]).result["users"] == [
            {"email": email, "name": "Newer"}
        ]
        assert root.call("add-user", email=email).failed
        assert root.call("delete-user", email=email).result == {"success": True, "email": email}
        with house.client(new.key) as client:
            assert client.post("/mcp", json=INITIALIZE).status_code == 401
        assert root.call("user-info", email=email).result["exists"] is False
        assert root.call("list-users", nameContains=email).result["users"] == []
        root.call("add-user", email=other)
        assert root.call("remove-user", email=other).result["success"] is True
        again = root.call("delete-user", email=other)
        assert again.failed
        assert again.text.startswith("Error: ")


def test_a_tool_is_made_listed_called_and_deleted(ann: Person, transport: Transport):
    with transport(ann) as maker:
        assert "list-stuff" not in maker.tools()
        assert maker.makes("list-stuff").result["name"] == "list-stuff"
        assert maker.news() == {"tools"}
        assert maker.tools()["list-stuff"]["inputSchema"]["properties"] == TEXT["properties"]
        shown = maker.call("list-tools", nameContains="stuff").result
        assert [each["id"] for each in shown["visibleTools"]] == [f"{ann.email}:list-stuff"]
        assert maker.echoed("list-stuff", text="x") == {"text": "x"}
        updated = maker.call("update-tool", name="list-stuff", updates={"description": "Lists better."}).result
        assert updated["success"] is True
        assert maker.news() == {"tools"}
        assert maker.tools()["list-stuff"]["description"] == "Lists better."
        assert maker.call("delete-tool", name=f"{ann.email}:list-stuff").result["success"] is True
        assert maker.news() == {"tools"}
        assert "list-stuff" not in maker.tools()
        assert maker.call("list-stuff", text="x").text.startswith("-32602 unknown tool")
        assert maker.silent()


def test_a_prompt_is_made_got_and_deleted(ann: Person, transport: Transport):
    message = {"role": "user", "content": {"type": "text", "text": "Hello {{who}}"}}
    with transport(ann) as maker:
        made = maker.call(
            "add-prompt",
            name="greeting",
            arguments=[{"name": "who", "required": True}],
            handler={"type": "template", "config": {"messages": [message]}},
        )
        assert made.result["success"] is True
        assert maker.news() == {"prompts"}
        assert "greeting" in maker.prompts()
        got = maker.ask("prompts/get", name="greeting", arguments={"who": "you"})["result"]
        assert got["messages"][0]["content"]["text"] == "Hello you"
        listed = maker.call("list-prompts").result
        assert "greeting" in json.dumps(listed)
        assert maker.call("delete-prompt", name="greeting").result["success"] is True
        assert maker.news() == {"prompts"}
        assert "greeting" not in maker.prompts()


# -- who may what


def test_each_role_of_the_sample_policy_is_shown_the_tools_that_it_may_use(house: House, transport: Transport):
    for role, sees, not_seen in (
        ("", EVERYBODY, ADMINISTERS | MAKES),
        ("user", {*EVERYBODY, "list-users"}, ADMINISTERS | MAKES),
        ("power-user", {*EVERYBODY, *MAKES, "list-users"}, ADMINISTERS),
        ("admin", {*EVERYBODY, *MAKES, *ADMINISTERS, "list-users"}, set()),
    ):
        with transport(person(house, "some", *filter(None, [role]))) as somebody:
            names = set(somebody.tools())
            assert sees <= names, role
            assert not not_seen & names, role
            for name in sorted(not_seen):
                assert somebody.call(name).text == f"-32602 unknown tool: `{name}`"


def test_everybody_knows_all_of_himself_and_of_others_their_names(admin: Person, bob: Person, transport: Transport):
    with transport(bob) as user:
        own = user.call("user-info").result
        assert (own["email"], own["roles"]) == (bob.email, ["user"])
        other = user.call("user-info", email=admin.email).result
        assert other == {"exists": True, "email": admin.email, "name": ""}
        assert user.call("user-info", email=mailbox("nobody")).result["exists"] is False
        denied = user.call("reset-api-key", email=admin.email, userConfirmed=True)
        assert denied.text.startswith("Error: denied by policy (reference ")
    assert admin.call("user-info", email=bob.email).result["roles"] == ["user"]
    for said in (own, other):
        assert not {"apiKey", "key", "keys"} & set(said)
        assert bob.key not in json.dumps(said)


def test_a_new_right_counts_without_connecting_again(admin: Person, bob: Person, transport: Transport):
    with transport(bob) as user:
        assert "add-tool" not in user.tools()
        for roles, sees in ((["power-user"], True), (["user"], False)):
            admin.call("update-user", email=bob.email, roles=roles)
            until(lambda: "tools" in user.news())
            assert ("add-tool" in user.tools()) is sees
            assert user.makes(unique("t")).failed is not sees
    assert bob.call("list-tools").failed is False


# -- what was asked about is what it is done to


def test_the_account_that_was_asked_about_is_the_one_that_is_changed(house: House, admin: Person, bob: Person):
    before = {entry.id for entry in house.entries()}
    said = admin.call("update-user", email=f"  {bob.email.upper()} ", name="Bob")
    assert said.result["email"] == bob.email

    def entries() -> Any:
        return [each for each in house.entries() if each.id not in before and each.owner == f"user:{bob.email}"]

    found = [entry for entry in until(entries) if entry.object == "gateway/users"]
    assert [(entry.owner, entry.allowed, entry.outcome) for entry in found] == [(f"user:{bob.email}", True, "ok")]
    assert bob.call("user-info").result["name"] == "Bob"


def test_of_two_tools_of_one_name_the_one_that_was_asked_about_is_called_and_changed(
    house: House, ann: Person, transport: Transport
):
    name, eve = unique("same"), person(house, "eve", "power-user")

    def saying(text: str) -> dict[str, Any]:
        return {**ECHO, "config": {**ECHO["config"], "args": {"text": text}}}

    assert not ann.makes(name, handler=saying("of ann"), schema={"type": "object", "properties": {}}).failed
    assert not eve.makes(name, handler=saying("of eve"), schema={"type": "object", "properties": {}}).failed
    assert not ann.shares(name, eve).failed
    with transport(eve) as user:
        [longer] = [each for each in user.tools() if each.startswith(f"{name}--")]
        assert user.echoed(name) == {"text": "of eve"}
        assert user.echoed(longer) == {"text": "of ann"}
        denied = user.call("update-tool", name=f"{ann.email}:{name}", updates={"description": "stolen"})
        assert denied.failed
        assert user.call("update-tool", name=name, updates={"description": "of eve"}).result["success"] is True
        assert (user.tools()[name]["description"], user.tools()[longer]["description"]) == ("of eve", "made here")
        assert user.call("delete-tool", name=name).result["success"] is True
        assert user.echoed(name) == {"text": "of ann"}, "what he has under the name now"
        assert user.call("delete-tool", name=name).failed
        assert user.echoed(name) == {"text": "of ann"}
    assert ann.tools()[name]["description"] == "made here"


def test_people_who_talk_at_once_are_told_of_themselves(house: House, transport: Transport):
    people = [person(house, "twin", role) for role in ("user", "power-user")]
    told: dict[str, list[Any]] = {each.email: [] for each in people}

    def ask(talker: Any) -> None:
        for _ in range(10):
            told[talker.email].append(talker.call("user-info").result)

    with ExitStack() as opened:
        threads = [threading.Thread(target=ask, args=(opened.enter_context(transport(each)),)) for each in people]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    for each, role in zip(people, ("user", "power-user"), strict=True):
        assert [(said["email"], said["roles"]) for said in told[each.email]] == [(each.email, [role])] * 10


# -- what ends at once


def test_who_resets_his_own_key_is_told_the_new_one_and_all_that_was_open_ends(
    house: House, bob: Person, transport: Transport
):
    with transport(bob) as user, transport(bob) as elsewhere:
        asked = user.call("reset-api-key")
        assert asked.result["confirmationNeeded"] is True
        assert "apiKey" not in asked.result
        key = user.call("reset-api-key", userConfirmed=True).result["apiKey"]
        assert elsewhere.ended()
        assert user.ended()
    with house.client(bob.key) as client:
        for path in ("/mcp", "/sse"):
            refused = client.post(path, json=INITIALIZE) if path == "/mcp" else client.get(path)
            assert refused.status_code == 401
    assert Person(house, bob.email, key).call("user-info").result["email"] == bob.email
    assert key not in house.log


@pytest.mark.parametrize("word", ["delete-user", "remove-user", "reset-api-key"])
def test_whose_account_or_key_is_ended_hears_nothing_more(
    house: House, admin: Person, bob: Person, transport: Transport, word: str
):
    more = {"userConfirmed": True} if word == "reset-api-key" else {}
    with transport(bob) as user, transport(admin) as root:
        assert not root.call(word, email=bob.email, **more).failed
        assert user.ended()
        assert root.call("user-info").result["email"] == admin.email
    with house.client(bob.key) as client:
        assert client.post("/mcp", json=legacy("ping")).status_code == 401


def test_who_deletes_his_own_account_is_told_so(house: House, transport: Transport):
    leaver = person(house, "leaver", "admin")
    with transport(leaver) as user:
        assert user.call("delete-user", email=leaver.email).result == {"success": True, "email": leaver.email}
        assert user.ended()


# -- the eight cases that clients of such servers rely on


def test_health_and_status_say_that_it_is_well(house: House):
    """`/status` in the very form that such clients know, `/health` in that of others."""
    with house.client() as client:
        health, status = client.get("/health"), client.get("/status")
    assert (status.status_code, status.json()) == (200, {"status": "ok"})
    assert (health.status_code, health.json()["status"]) == (200, "healthy")


@pytest.mark.parametrize(
    ("method", "path", "keyed", "status", "said"),
    [
        ("POST", "/mcp", False, 401, "Missing apiKey"),
        ("POST", "/mcp", True, 400, "No valid session ID provided"),
        ("GET", "/mcp", True, 400, "Missing MCP-Session-ID header"),
        ("DELETE", "/mcp", True, 400, "Missing MCP-Session-ID header"),
        ("GET", "/mcp", False, 401, "Missing apiKey"),
        ("DELETE", "/mcp", False, 401, "Missing apiKey"),
        ("GET", "/sse", False, 401, "Missing apiKey"),
        ("POST", "/messages", True, 400, "No valid SSE session found"),
    ],
)
def test_what_lacks_a_key_or_a_session_is_told_so(
    house: House, bob: Person, method: str, path: str, keyed: bool, status: int, said: str
):
    with house.client(bob.key if keyed else None) as client:
        answer = client.request(method, path, **({"json": legacy("tools/list")} if method == "POST" else {}))
    assert answer.status_code == status
    assert said in answer.text
