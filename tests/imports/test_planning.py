"""From a dump of such a server to records and rows: what is taken, what stays out, and what is told of it."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from connectors.addresses import Exceptions, parse
from gateway.imports.documents import Unreadable, documents
from gateway.imports.planning import DAY_MS, SHARE_DAYS, Given, Plan, plan
from gateway.imports.telling import Verdict
from gateway.policy.engine import grant_rows
from gateway.policy.terms import SYSTEM
from gateway.records import CustomTool, Handler, User
from gateway.store.base import Changes

NOW = 1_800_000_000_000
KEY = "6f1b0c9e-4f7e-4a57-9d9c-0d6f8b7f2a10"
ECHO = {"type": "connector", "config": {"connector": "slack", "action": "send", "args": {"text": "{{text}}"}}}
TEXT = {"type": "object", "properties": {"text": {"type": "string"}}}


def user(name: str, /, **more: Any) -> dict[str, Any]:
    return {"email": f"{name}@example.com", "apiKey": f"{KEY}-{name}", **more}


def tool(name: str, creator: str = "ann", **more: Any) -> dict[str, Any]:
    whose = creator if creator == SYSTEM or "@" in creator or "-" in creator else f"{creator}@example.com"
    return {"name": name, "creator": whose, "inputSchema": TEXT, "handler": ECHO, **more}


def prompt(name: str, **more: Any) -> dict[str, Any]:
    told = {"type": "template", "config": {"template": "Say {{word}}"}}
    return {
        "name": name,
        "createdBy": "ann@example.com",
        "arguments": [{"name": "word", "required": True}],
        "handler": told,
        "rolesPermitted": ["user"],
        **more,
    }


def share(tool: str, by: str = "ann", **more: Any) -> dict[str, Any]:
    return {"toolId": tool, "sharedBy": f"{by}@example.com", "accessLevel": "read", "sharedAt": NOW - 5, **more}


def planned(
    users: list[Any] = (),  # type: ignore[assignment]
    tools: list[Any] = (),  # type: ignore[assignment]
    prompts: list[Any] = (),  # type: ignore[assignment]
    *,
    there: Changes | None = None,
    packages: tuple[str, ...] = (),
    existing: bool = False,
    private: Exceptions | None = None,
) -> Plan:
    found = {"users": users, "tools": tools, "prompts": prompts}
    return plan(
        Given(
            {name: tuple(documents(each)) for name, each in found.items()},
            there or Changes(0),
            packages,
            NOW,
            private or Exceptions(),
            existing,
        )
    )


def rows(plan: Plan) -> set[tuple[str, ...]]:
    return {grant.row for grant in plan.grants}


def told(plan: Plan, verdict: Verdict) -> dict[str, str]:
    return {each.what: each.sentence for each in plan.remarks if each.verdict is verdict}


# -- people


def test_a_user_keeps_his_address_name_key_and_roles():
    taken = planned([user("Ann", name="Ann A.", roles=["admin", "user"], createdAt=1, __v=0, _id="5" * 24)])
    (ann,) = taken.people
    assert ann.user == User(id="ann@example.com", name="Ann A.", created_at=NOW)
    assert ann.key is not None
    assert ann.key.reveal() == f"{KEY}-Ann"
    assert rows(taken) == {("user:ann@example.com", f"role:{role}", "*") for role in ("admin", "user")}
    assert taken.remarks == ()


def test_no_key_stands_in_what_can_be_printed():
    taken = planned([user("ann"), user("bob", apiKey="short-but-secret"), user("bob", apiKey=KEY)])
    assert KEY not in repr(taken)
    assert "short-but-secret" not in repr(taken)


BAD_KEYS = ["", "x" * 31, f"{KEY} ", f"{KEY}\n", "ü" * 40, "a" * 5_000]


@pytest.mark.parametrize("key", BAD_KEYS)
def test_a_key_that_could_not_be_offered_or_could_be_guessed_is_not_taken(key: str):
    taken = planned([user("ann", apiKey=key)])
    assert taken.people[0].key is None
    assert len(taken.remarks) == 1


def test_two_users_with_one_key_do_not_become_one():
    taken = planned([user("ann", apiKey=KEY), user("bob", apiKey=KEY)])
    assert [each.key is not None for each in taken.people] == [True, False]
    assert "same key" in told(taken, Verdict.REFUSED)["user bob@example.com"]


def test_two_users_with_one_address_do_not_become_one():
    taken = planned([user("ann", roles=["user"]), user("ANN", roles=["admin"])])
    assert [each.user.id for each in taken.people] == ["ann@example.com"]
    assert rows(taken) == {("user:ann@example.com", "role:user", "*")}
    assert told(taken, Verdict.REFUSED) == {"user ANN@example.com": "another one has this address already"}


@pytest.mark.parametrize(
    "broken",
    [
        {"email": None},
        {"email": "nobody"},
        {"email": {"$ne": None}},
        {"email": ["ann@example.com"]},
        {"email": "ann@example.com", "apiKey": {"$gt": ""}},
        {"email": "ann@example.com", "roles": "admin"},
        {"email": "ann@example.com", "roles": [["admin"]]},
        {"email": "ann@example.com", "sharedTools": {}},
        {"email": "ann@example.com", "sharedTools": ["x"]},
        {"email": "ann@example.com", "sharedTools": [{"toolId": 4}]},
        {"email": "ann@example.com", "name": "x" * 300},
        {"email": "ann@example.com", "sharedTools": [{"toolId": "x", "sharedAt": "yesterday"}]},
    ],
)
def test_a_user_who_is_not_what_he_has_to_be_is_refused_and_his_neighbours_are_not(broken: dict[str, Any]):
    taken = planned([user("bob"), broken, user("cy")])
    assert [each.user.id for each in taken.people] == ["bob@example.com", "cy@example.com"]
    assert [each.verdict for each in taken.remarks] == [Verdict.REFUSED]


def test_a_role_that_is_none_is_refused_alone():
    taken = planned([user("ann", roles=["user", "a, b", "user:eve@example.com", ""])])
    assert rows(taken) == {("user:ann@example.com", "role:user", "*")}
    assert len([each for each in taken.remarks if each.verdict is Verdict.REFUSED]) == 3


def test_secrets_of_applications_are_named_and_left_behind():
    secrets = {"applicationAuthentication": {"crm": {"password": "hunter2"}}, "applicationAuthorization": {}}
    taken = planned([user("ann", **secrets, usedTools=["a"], shoeSize=41)])
    sentence = told(taken, Verdict.REFUSED)["user ann@example.com"]
    assert "`crm`" in sentence
    assert "hunter2" not in repr(taken)
    assert told(taken, Verdict.LEFT) == {"user ann@example.com": "`shoeSize` means nothing here"}


# -- tools and prompts


def test_a_tool_becomes_the_tool_that_its_owner_would_have_made():
    taken = planned([user("ann")], [tool("post", description="Posts", rolesPermitted=["user", "power-user"])])
    (made,) = taken.tools
    assert (made.record.id, made.record.owner, made.record.by) == (
        "user:ann@example.com/post",
        "user:ann@example.com",
        "import",
    )
    assert made.record.handler.type == "connector"
    assert made.record.schema["additionalProperties"] is False
    assert rows(taken) == {
        (f"role:{role}", "main", "user:ann@example.com", "custom/post", "write", "", "allow")
        for role in ("user", "power-user")
    }
    assert {grant.expires_at for grant in made.grants} == {None}


def test_a_tool_without_roles_is_its_owners_alone():
    assert planned([user("ann")], [tool("post"), tool("more", rolesPermitted=[])]).grants == ()


@pytest.mark.parametrize("hole", ["{{AWS_SECRET}}", "{{ process }}", "{{user.apiKey}}"])
def test_a_template_that_reads_the_environment_or_the_session_is_refused(hole: str):
    handler = {"type": "connector", "config": {"connector": "slack", "action": "send", "args": {"text": f"a {hole}"}}}
    taken = planned([user("ann")], [tool("post", handler=handler)])
    assert taken.tools == ()
    sentence = told(taken, Verdict.REFUSED)["tool ann@example.com:post"]
    assert sentence.startswith("handler.config.args.text: ")
    assert "the environment" in sentence


def test_a_shell_template_would_be_sent_as_it_stands_and_is_refused():
    handler = {"type": "weather", "config": {"action": "get", "query": [{"appid": "${OPENWEATHER_API_KEY}"}]}}
    taken = planned([user("ann")], [tool("get", handler=handler)], packages=("weather",))
    assert taken.tools == ()
    assert "named secret" in told(taken, Verdict.REFUSED)["tool ann@example.com:get"]


@pytest.mark.parametrize(
    ("more", "part"),
    [
        ({"handler": {"type": "nowhere-tools", "config": {"action": "x"}}}, "`nowhere-tools`"),
        ({"handler": {"type": "user-management", "config": {"action": "add"}}}, "administration cannot be wrapped"),
        ({"name": "a:b"}, "name"),
        ({"name": "$where"}, "name"),
        ({"name": "list-users"}, "name"),
        ({"inputSchema": {**TEXT, "type": "array"}}, "inputSchema.type"),
        ({"inputSchema": {"properties": {"text": {"pattern": "("}}}}, "inputSchema"),
        ({"creator": "eve@example.com"}, "has no account"),
        ({"creator": 4}, "is not a text"),
        ({"handler": {"type": "http", "config": {"url": "https://10.0.0.1/{{text}}"}}}, "is not public"),
        ({"handler": {"type": "http", "config": {"url": "https://169.254.169.254/{{text}}"}}}, "is not public"),
    ],
)
def test_a_tool_that_is_unsafe_or_cannot_be_is_refused_in_words(more: dict[str, Any], part: str):
    taken = planned([user("ann")], [{**tool("post"), **more}])
    assert taken.tools == ()
    assert part in " ".join(told(taken, Verdict.REFUSED).values())


def test_a_private_host_that_the_operator_lists_is_his_to_list():
    listed = parse(["10.0.0.1"])
    assert isinstance(listed, Exceptions)
    handler = {"type": "http", "config": {"url": "https://10.0.0.1/{{text}}"}}
    assert len(planned([user("ann")], [tool("post", handler=handler)], private=listed).tools) == 1


def test_what_packages_brought_is_left_to_packages():
    weather = {"type": "weather", "config": {"action": "get"}}
    manage = {"type": "tool-management", "config": {"action": "list"}}
    tools = [tool("list-tools", "tool-management", handler=manage), tool("get", "weather-tools", handler=weather)]
    for packages in ((), ("weather",)):
        taken = planned([user("ann")], tools, packages=packages)
        assert (taken.tools, taken.grants) == ((), ())
        assert set(told(taken, Verdict.LEFT)) == {"tool tool-management:list-tools", "tool weather-tools:get"}


def test_a_tool_over_an_installed_package_is_taken():
    handler = {"type": "weather", "config": {"action": "get", "argMappings": {"city": "{{text}}"}, "units": "metric"}}
    (made,) = planned([user("ann")], [tool("get", handler=handler)], packages=("weather",)).tools
    assert made.record.handler == Handler(type="weather", config=handler["config"])


def test_a_tool_of_the_system_stays_the_systems():
    (made,) = planned([], [tool("post", SYSTEM, rolesPermitted=["user"])]).tools
    assert made.record.owner == SYSTEM
    assert made.grants[0].row[:4] == ("role:user", "main", SYSTEM, "custom/post")


def test_a_prompt_that_is_a_template_is_taken_and_one_that_runs_something_is_not():
    runs = prompt("evil", handler={"type": "user-management", "config": {"action": "add-user"}})
    taken = planned([user("ann")], [], [prompt("say"), runs])
    assert [each.record.name for each in taken.prompts] == ["say"]
    assert rows(taken) == {("role:user", "main", "user:ann@example.com", "custom/prompt:say", "read", "", "allow")}
    assert "run" in told(taken, Verdict.REFUSED)["prompt ann@example.com:evil"]


def test_a_prompt_that_everybody_saw_is_told_of():
    taken = planned([user("ann")], [], [prompt("say", rolesPermitted=None)])
    assert taken.grants == ()
    assert "everybody saw it" in told(taken, Verdict.CHANGED)["prompt ann@example.com:say"]


def test_one_owner_has_one_tool_of_a_name():
    taken = planned([user("ann"), user("bob")], [tool("post"), tool("post"), tool("post", "bob")])
    assert [each.record.id for each in taken.tools] == ["user:ann@example.com/post", "user:bob@example.com/post"]


# -- shares


@pytest.mark.parametrize("named", ["ann@example.com:post", "post", "Ann@Example.com:post"])
def test_a_share_of_ones_own_tool_becomes_the_row_of_a_share(named: str):
    taken = planned([user("ann"), user("bob", sharedTools=[share(named)])], [tool("post")])
    (grant,) = taken.grants
    assert grant.row == ("user:bob@example.com", "main", "user:ann@example.com", "custom/post", "write", "", "allow")
    assert (grant.made_by, grant.created_at) == ("user:ann@example.com", NOW - 5)
    assert grant.expires_at == NOW + SHARE_DAYS * DAY_MS


def test_a_share_for_writing_lets_change_texts_alone():
    taken = planned([user("ann"), user("bob", sharedTools=[share("post", accessLevel="write")])], [tool("post")])
    edit = next(row for row in rows(taken) if row[4] == "manage")
    assert edit[:4] == ("user:bob@example.com", "main", "user:ann@example.com", "custom/post")
    assert "args.changes" in edit[5]
    assert "handler" not in edit[5]


@pytest.mark.parametrize(
    ("given", "part"),
    [
        (share("post", by="bob"), "was not his"),
        (share("ann@example.com:post", by="eve"), "was not his"),
        (share("add-user"), "administration"),
        (share("system:add-user"), "administration"),
        (share("nothing"), "no such tool"),
        (share("weather:get"), "no such tool"),
        (share(""), "no such tool"),
        (share("post", accessLevel="admin"), "the level"),
        ({"toolId": "post", "sharedBy": "somebody"}, "not an e-mail address"),
    ],
)
def test_what_could_not_be_shared_is_not_and_is_told(given: dict[str, Any], part: str):
    people = [user("ann"), user("bob"), user("cy", sharedTools=[given])]
    taken = planned(people, [tool("post")])
    assert taken.grants == ()
    assert part in " ".join(told(taken, Verdict.REFUSED).values())


def test_what_is_ones_own_needs_no_row():
    taken = planned([user("ann", sharedTools=[share("post")], allowedTools=["post"])], [tool("post")])
    assert (taken.grants, taken.remarks) == ((), ())


def test_allowed_tools_become_rows_for_one_person():
    names = ["ann@example.com:post", "system:look", "weather:get", "list-users", "nothing"]
    taken = planned(
        [user("ann"), user("bob", allowedTools=names)], [tool("post"), tool("look", SYSTEM)], packages=("weather",)
    )
    bob = "user:bob@example.com"
    assert rows(taken) == {
        (bob, "main", "user:ann@example.com", "custom/post", "write", "", "allow"),
        (bob, "main", SYSTEM, "custom/look", "write", "", "allow"),
        (bob, "main", "self", "weather/get", "write", "", "allow"),
    }
    assert set(told(taken, Verdict.LEFT)) == {"allowed tool list-users of bob@example.com"}
    assert set(told(taken, Verdict.REFUSED)) == {"allowed tool nothing of bob@example.com"}


def test_a_bare_name_of_two_tools_is_nobodys():
    tools = [tool("post"), tool("post", "bob")]
    taken = planned([user("ann"), user("bob"), user("cy", allowedTools=["post"])], tools)
    assert taken.grants == ()
    assert "2 tools have this name" in " ".join(told(taken, Verdict.REFUSED).values())


def test_hidden_tools_are_remembered_by_their_makers():
    hidden = ["post", "bob@example.com:post", "list-users", "weather:get", "gone", "eve:post"]
    tools = [tool("post"), tool("post", "bob")]
    taken = planned([user("ann", hiddenTools=hidden), user("bob")], tools, packages=("weather",))
    assert taken.people[0].user.hidden == (
        "ann@example.com:post", "bob@example.com:post", "system:list-users", "weather:get",
    )  # fmt: skip
    assert len(told(taken, Verdict.LEFT)) == 2


# -- what is there already


POST = CustomTool(
    id="user:ann@example.com/post",
    owner="user:ann@example.com",
    name="post",
    schema=TEXT,
    handler=Handler(type="connector", config=ECHO["config"]),
)
ANN = User(id="ann@example.com", name="Ann", hidden=("a:b",), created_at=1, rev=3)


def test_what_is_there_already_stays_as_it_is():
    there = Changes(1, users=(ANN,), tools=(POST,))
    given = [user("ann", name="Eve", roles=["admin"]), user("bob", sharedTools=[share("post")])]
    taken = planned(given, [tool("post", rolesPermitted=["user"])], there=there)
    assert [each.user.id for each in taken.people] == ["bob@example.com"]
    assert taken.tools == ()
    assert rows(taken) == set(), "it is another tool than the one that was shared"
    assert set(told(taken, Verdict.LEFT)) == {"user ann@example.com", "tool ann@example.com:post"}
    assert list(told(taken, Verdict.REFUSED)) == ["share of post with bob@example.com"]


@pytest.mark.parametrize("named", [{"sharedTools": [share("post")]}, {"allowedTools": ["ann@example.com:post"]}])
def test_an_import_that_is_repeated_means_the_tools_that_it_brought_before(named: dict[str, Any]):
    brought = Changes(1, users=(ANN,), tools=(structs.replace(POST, by="import"),))
    taken = planned([user("bob", **named)], [tool("post")], there=brought)
    row = ("user:bob@example.com", "main", "user:ann@example.com", "custom/post", "write", "", "allow")
    assert rows(taken) == {row}


def test_a_name_of_the_dump_never_means_a_tool_that_is_not_in_it():
    there = Changes(1, users=(ANN,), tools=(POST,))
    taken = planned(
        [user("bob", allowedTools=["post"], sharedTools=[share("post")], hiddenTools=["post"])], there=there
    )
    assert rows(taken) == set()


def test_an_account_that_is_there_gets_the_rest_when_the_operator_says_so():
    taken = planned(
        [user("ann", roles=["admin"], hiddenTools=["post"])],
        [tool("post")],
        there=Changes(1, users=(ANN,)),
        existing=True,
    )
    (ann,) = taken.people
    assert ann.there
    assert (ann.user.name, ann.user.rev, ann.user.hidden) == ("Ann", 3, ("a:b", "ann@example.com:post"))
    assert ann.key is not None
    assert rows(taken) == {("user:ann@example.com", "role:admin", "*")}


# -- whatever stands in a dump


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(0, 9) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)
ADDRESSES = st.sampled_from(["ann@example.com", "bob@example.com", "eve@example.com", "system", "x", "weather"])
NAMES = st.sampled_from(["post", "ann@example.com:post", "add-user", "system:look", "weather:get", "a:b", ""])
SHARES = st.fixed_dictionaries(
    {"toolId": NAMES | JSON, "sharedBy": ADDRESSES | JSON, "accessLevel": st.sampled_from(["read", "write"]) | JSON}
)
ROLES = st.lists(st.sampled_from(["user", "admin", "*", "role:user", "a b"]), max_size=2)
USERS = st.fixed_dictionaries(
    {"email": ADDRESSES | JSON},
    optional={
        "apiKey": st.just(KEY) | JSON,
        "roles": ROLES | JSON,
        "sharedTools": st.lists(SHARES, max_size=2) | JSON,
        "allowedTools": st.lists(NAMES, max_size=2) | JSON,
        "hiddenTools": st.lists(NAMES, max_size=2) | JSON,
    },
)
HANDLERS = st.sampled_from([ECHO, {"type": "weather", "config": {"action": "get"}}, {"type": "user-management"}])
TOOLS = st.fixed_dictionaries(
    {"name": st.sampled_from(["post", "look", "add-user", "a:b"]) | JSON, "creator": ADDRESSES | JSON},
    optional={"inputSchema": st.just(TEXT) | JSON, "handler": HANDLERS | JSON, "rolesPermitted": ROLES | JSON},
)


@settings(max_examples=150)
@given(st.lists(USERS | JSON, max_size=4), st.lists(TOOLS | JSON, max_size=4))
def test_whatever_stands_in_a_dump_only_owners_share_and_every_row_can_be_read(users: list[Any], tools: list[Any]):
    taken = planned(users, tools, packages=("weather",))
    owners = {(each.record.owner, f"custom/{each.record.name}") for each in taken.tools}
    assert len({each.user.id for each in taken.people}) == len(taken.people)
    assert len({grant.id for grant in taken.grants}) == len(taken.grants)
    for grant in taken.grants:
        grant_rows(grant)  # raises on a row that no policy could hold
        if len(grant.row) == 3:
            continue
        to, domain, owner, object, action, _, effect = grant.row
        assert (domain, effect) == ("main", "allow")
        assert not object.startswith("gateway/")
        assert to != owner
        assert (owner, object) in owners or (owner, object) == ("self", "weather/get")
        assert action in ("write", "manage")
        if grant.kind == "share" and to.startswith("user:"):
            assert grant.expires_at is not None
            assert grant.made_by in (owner, "import")


def test_a_document_that_cannot_be_read_is_told_by_its_number():
    there = plan(Given({"tools": (Unreadable("is not a document"),)}, Changes(0), (), NOW))
    assert [(each.what, each.sentence) for each in there.remarks] == [("tools 1", "is not a document")]
