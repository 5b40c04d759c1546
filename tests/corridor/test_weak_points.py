"""The weak points of dynamic-mcp-server, each tried on a whole gateway: what succeeded there must fail here.

A test is named after its number. What other suites hold is named in ``ELSEWHERE`` and not repeated.
"""

import ast
import json
import queue
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.corridor.house import ROOT, House, free_port, result_of, until
from tests.corridor.people import ECHO, TEXT, Person, inhabited, person, unique
from tests.corridor.test_isolation import INITIALIZE, legacy
from tests.corridor.test_streams import following

ELSEWHERE = {
    1: ("corridor/test_bad_input.py", "test_it_gets_a_clear_json_error_and_one_audit_entry"),
    2: ("corridor/test_isolation.py", "test_two_users_interleaved_run_as_themselves"),
    9: ("corridor/test_revocation.py", "test_a_reset_key_and_a_deleted_user_are_refused_and_their_streams_end"),
    10: ("corridor/test_secrets.py", "test_no_key_and_no_argument_value_is_found_anywhere_after_use_and_misuse"),
    11: ("corridor/test_newcomer.py", "test_the_banner_gives_the_key_once_and_a_configuration_that_works"),
    15: ("corridor/test_limits.py", "test_the_101st_request_of_a_minute_is_429_and_other_principals_are_unaffected"),
    21: ("corridor/test_connecting.py", "test_a_link_is_of_no_use_to_somebody_else"),
    22: ("test_docs.py", "test_every_command_prints_what_is_shown"),
}
MCP_FIELDS = {"name", "title", "description", "inputSchema", "outputSchema", "annotations", "icons", "_meta"}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with inhabited(tmp_path_factory.mktemp("weak")) as started:
        root = person(started, "root", "admin")
        until(lambda: "demo__echo" in root.tools())
        yield started


@pytest.fixture(scope="module")
def admin(house: House) -> Person:
    return person(house, "admin", "admin")


@pytest.fixture
def ann(house: House) -> Person:
    """She makes tools."""
    return person(house, "ann", "power-user")


@pytest.fixture
def eve(house: House) -> Person:
    """She makes tools too, and means no good."""
    return person(house, "eve", "power-user")


@pytest.fixture
def bob(house: House) -> Person:
    return person(house, "bob", "user")


@pytest.mark.parametrize("number", range(1, 24))
def test_every_weak_point_has_a_test(number: int):
    path, name = ELSEWHERE.get(number, ("corridor/test_weak_points.py", f"test_b{number:02}_"))
    tree = ast.parse((ROOT / "tests" / path).read_text())
    names = [each.name for each in ast.walk(tree) if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)]
    assert any(each.startswith(name) for each in names), (path, name)


# -- B1: a key that is an operator


@pytest.mark.parametrize("query", ["apiKey[$ne]=", "apiKey[$regex]=.*", "apiKey[]=a", "apiKey[%24gt]=", "apikey.$ne=x"])
@pytest.mark.parametrize("path", ["/mcp", "/sse"])
def test_b01_no_operator_in_a_query_is_anybodys_key(house: House, path: str, query: str):
    with house.client() as client:
        answer = client.request("GET" if path == "/sse" else "POST", f"{path}?{query}", json=INITIALIZE)
    assert answer.status_code == 401
    assert "Missing apiKey" in answer.text or "Invalid apiKey" in answer.text


# -- B2: one server for all


def test_b02_who_connects_later_does_not_become_who_was_there(house: House, ann: Person, bob: Person):
    sessions: dict[str, dict[str, str]] = {}
    for each in (ann, bob):
        with house.client(each.key) as client:
            sessions[each.email] = {"mcp-session-id": client.post("/mcp", json=INITIALIZE).headers["mcp-session-id"]}
    for each in (ann, bob, ann, bob):
        with house.client(each.key) as client:
            call = legacy("tools/call", name="user-info", arguments={})
            answer = result_of(client.post("/mcp", json=call, headers=sessions[each.email]))
        assert json.loads(answer["result"]["content"][0]["text"])["result"]["email"] == each.email


# -- B3, B4: sharing


def test_b03_sharing_shows_nothing_of_the_record_of_whom_it_is_shared_with(ann: Person, admin: Person):
    name = unique("post")
    ann.makes(name)
    for said in (ann.shares(name, admin), ann.call("unshare-tool", email=admin.email, toolId=name)):
        assert not said.failed, said.text
        assert not {"apiKey", "roles", "key", "keys", "hash", "prefix", "hiddenTools"} & words(said.text)
        assert admin.key[:8] not in said.text


def words(text: str) -> set[str]:
    return set(re.findall(r'"(\w+)":', text))


@pytest.mark.parametrize("tool", ["add-user", "system:add-user", "update-user", "reset-api-key", "share-tool"])
def test_b04_a_management_tool_cannot_be_shared_with_anybody(eve: Person, tool: str):
    accomplice = person(eve.house, "accomplice", "user")
    for to in (eve, accomplice):
        assert eve.shares(tool, to).failed
        assert to.call("add-user", email=f"{unique('made')}@example.com", roles=["admin"]).failed
    assert "add-user" not in accomplice.tools()


def test_b04_nobody_shares_what_is_not_his_or_is_not_there(ann: Person, eve: Person, bob: Person):
    name = unique("post")
    ann.makes(name)
    there = eve.shares(f"{ann.email}:{name}", eve)
    missing = eve.shares(f"{ann.email}:{name}-not", eve)
    assert there.failed
    told = [re.sub(r"\(reference \w+\)", "", each.text) for each in (there, missing)]
    assert told[0].replace(name, "") == told[1].replace(f"{name}-not", ""), "nobody learns which it was"
    ann.shares(name, bob)
    assert bob.shares(f"{ann.email}:{name}", eve).failed, "what is lent is not lent on"
    assert eve.call(name, text="x").failed


# -- B5: prompts


def test_b05_a_prompt_runs_nothing(eve: Person, admin: Person):
    victim = f"{unique('made')}@example.com"
    for type in ("user-management", "upstream", "http", "tool-management"):
        config = {"action": "add-user", "args": {"email": victim, "roles": ["admin"]}}
        said = eve.call("add-prompt", name=unique("evil"), handler={"type": type, "config": config})
        assert said.failed
        assert "run" in said.text
    assert (
        admin.call("user-info", email=victim).failed or admin.call("user-info", email=victim).result["exists"] is False
    )


def test_b05_a_prompt_of_another_is_rendered_for_those_alone_whom_it_is_shared_with(ann: Person, bob: Person):
    name = unique("say")
    template = {"type": "template", "config": {"template": "Say {{word}}"}}
    said = ann.call("add-prompt", name=name, handler=template, arguments=[{"name": "word", "required": True}])
    assert not said.failed, said.text
    assert ann.ask("prompts/get", name=name, arguments={"word": "{{secret.x}}"})["result"]["messages"][0][
        "content"
    ] == {
        "type": "text",
        "text": "Say {{secret.x}}",
    }
    assert "error" in bob.ask("prompts/get", name=name, arguments={"word": "hello"})
    assert name not in bob.prompts()


# -- B6: changing what is another's


def test_b06_a_tool_of_another_can_neither_be_changed_nor_deleted(ann: Person, eve: Person):
    name = unique("post")
    ann.makes(name)
    own = unique("mine")
    eve.makes(own)
    for address in (name, f"{ann.email}:{name}"):
        assert eve.call("update-tool", name=address, updates={"description": "mine now"}).failed
        assert eve.call("delete-tool", name=address).failed
    assert ann.tools()[name]["description"] == "made here"
    assert ann.echoed(name, text="x") == {"text": "x"}


@pytest.mark.parametrize(
    "updates",
    [
        {"creator": "root@example.com"},
        {"owner": "system"},
        {"name": "other"},
        {"$set": {"rolesPermitted": ["admin"]}},
        {"handler.config": {}},
        {"rev": 0},
        {"_id": "x"},
    ],
)
def test_b06_fields_that_nobody_may_set_are_refused_by_name(eve: Person, updates: dict[str, Any]):
    name = unique("post")
    eve.makes(name)
    said = eve.call("update-tool", name=name, updates=updates)
    assert said.failed
    assert next(iter(updates)) in said.text


def test_b06_who_may_write_a_shared_tool_changes_its_text_and_not_what_it_does(ann: Person, eve: Person):
    name = unique("post")
    ann.makes(name)
    ann.call("share-tool", email=eve.email, toolId=name, accessLevel="write")
    address = f"{ann.email}:{name}"
    grow = {"type": "upstream", "config": {"upstream": "demo", "tool": "grow"}}
    assert eve.call("update-tool", name=address, updates={"handler": grow}).failed
    assert eve.call("update-tool", name=address, updates={"rolesPermitted": ["user"]}).failed
    assert eve.call("delete-tool", name=address).failed


# -- B7, B8: templates


@pytest.mark.parametrize("hole", ["{{MCP_ADMIN_EMAIL}}", "{{PATH}}", "{{apiKey}}", "{{user.email}}", "{{secret.x}}"])
def test_b07_a_template_reads_neither_the_environment_nor_the_session(eve: Person, hole: str):
    handler = {"type": "upstream", "config": {"upstream": "demo", "tool": "echo", "args": {"text": f"a {hole}"}}}
    said = eve.makes(unique("leak"), handler=handler)
    assert said.failed
    assert "handler.config.args.text" in said.text


def test_b07_a_shell_variable_is_plain_text(eve: Person):
    handler = {"type": "upstream", "config": {"upstream": "demo", "tool": "echo", "args": {"text": "${HOME} $PATH"}}}
    name = unique("plain")
    eve.makes(name, handler=handler, schema={"type": "object", "properties": {}})
    assert eve.echoed(name) == {"text": "${HOME} $PATH"}


def test_b07_a_named_secret_is_for_the_tools_that_the_operator_names(eve: Person):
    handler = {"type": "http", "config": {"url": "https://api.example.com/", "headers": {"x-key": "{{secret.stripe}}"}}}
    name = unique("spend")
    eve.makes(name, handler=handler, schema={"type": "object", "properties": {}})
    assert name not in eve.tools()
    assert eve.call(name).failed


def test_b08_a_fixed_value_stays_and_other_arguments_are_refused(eve: Person):
    name = unique("fixed")
    args = {"text": "fixed", "inner": {"who": "{{who}}", "list": ["{{who}}", 3]}}
    schema = {"type": "object", "properties": {"who": {"type": "string", "maxLength": 5}}, "required": ["who"]}
    eve.makes(name, handler={"type": "upstream", "config": {**ECHO["config"], "args": args}}, schema=schema)
    assert eve.echoed(name, who="me") == {"text": "fixed", "inner": {"who": "me", "list": ["me", 3]}}
    for wrong in ({"who": "me", "text": "mine"}, {"who": "too long"}, {"who": 4}, {}):
        assert eve.call(name, **wrong).failed


# -- B9: sessions


def test_b09_a_session_id_without_a_key_is_worth_nothing(house: House, bob: Person):
    with house.client(bob.key) as client:
        headers = {"mcp-session-id": client.post("/mcp", json=INITIALIZE).headers["mcp-session-id"]}
    with house.client() as nobody:
        assert nobody.post("/mcp", json=legacy("tools/list"), headers=headers).status_code == 401
        assert nobody.get("/mcp", headers=headers).status_code == 401
        assert nobody.delete("/mcp", headers=headers).status_code == 401


def test_b09_a_key_that_was_reset_by_a_tool_ends_what_it_opened(house: House, bob: Person):
    with house.client(bob.key) as client:
        headers = {"mcp-session-id": client.post("/mcp", json=INITIALIZE).headers["mcp-session-id"]}
        asked = bob.call("reset-api-key")
        assert bob.ask("tools/list").get("result"), "nothing happens before it is confirmed"
        assert "userConfirmed" in asked.text
        fresh = bob.call("reset-api-key", userConfirmed=True).result["apiKey"]
        assert client.post("/mcp", json=legacy("tools/list"), headers=headers).status_code == 401
        assert client.get("/mcp", headers=headers).status_code == 401
    with house.client(fresh) as client:
        assert client.post("/mcp", json=legacy("tools/list"), headers=headers).status_code == 404


# -- B10: keys


def test_b10_a_key_is_told_once_and_kept_nowhere(tmp_path: Path):
    with inhabited(tmp_path) as own:
        root = person(own, "root", "admin")
        made = root.call("add-user", email="new@example.com", roles=["user"]).result["apiKey"]
        new = Person(own, "new@example.com", made)
        reset = root.call("reset-api-key", email="new@example.com", userConfirmed=True).result["apiKey"]
        told = [
            root.call("user-info", email="new@example.com").text,
            root.call("list-users").text,
            Person(own, "new@example.com", reset).call("user-info").text,
            root.call("update-user", email="new@example.com", name="N").text,
        ]
        assert new.ask("tools/list")["error"], "the first key has ended"
    places = {path.name: path.read_bytes().decode("latin-1") for path in (tmp_path / "var").iterdir() if path.is_file()}
    for key in (made, reset):
        assert not any(key in text for text in (own.log, *told, *places.values()))


# -- B12: what is judged is what is called


def test_b12_of_two_tools_of_one_name_the_one_that_was_judged_is_called(ann: Person, eve: Person, bob: Person):
    name = unique("twin")

    def fixed(text: str) -> dict[str, Any]:
        return {"type": "upstream", "config": {**ECHO["config"], "args": {"text": text}}}

    nothing = {"type": "object", "properties": {}}
    for maker in (ann, eve):
        maker.makes(name, handler=fixed(maker.email), schema=nothing)
        maker.shares(name, bob)
    seen = [each for each in bob.tools() if each == name or each.startswith(f"{name}--")]
    assert len(seen) == 2
    assert {bob.echoed(each)["text"] for each in seen} == {ann.email, eve.email}
    of_ann = next(each for each in seen if bob.echoed(each)["text"] == ann.email)
    (of_eve,) = set(seen) - {of_ann}
    ann.call("unshare-tool", email=bob.email, toolId=name)
    assert bob.echoed(name)["text"] == eve.email, "the bare name goes on to the one that is left"
    assert bob.call(of_ann).failed or bob.echoed(of_ann)["text"] == eve.email
    eve.call("unshare-tool", email=bob.email, toolId=name)
    assert bob.call(name).failed
    assert bob.call(of_eve).failed


# -- B13: what a list shows


def test_b13_a_list_shows_what_clients_need_and_nothing_of_how_it_is_done(ann: Person):
    name = unique("post")
    ann.makes(name, handler={"type": "upstream", "config": {**ECHO["config"], "args": {"text": "inner-word"}}}, schema={
        "type": "object", "properties": {},
    })  # fmt: skip
    tools = ann.tools()
    assert all(set(each) <= MCP_FIELDS for id, each in tools.items() if not id.startswith("demo__"))
    assert not {"handler", "config", "creator", "rolesPermitted", "rev"} & words(json.dumps(tools[name]))
    assert "inner-word" not in json.dumps(tools)


# -- B14: what did not work there


def test_b14_a_tool_that_is_made_is_told_to_open_sessions_and_deleted_by_creator_and_name(house: House, ann: Person):
    name = unique("post")
    with house.client(ann.key) as client:
        headers = {"mcp-session-id": client.post("/mcp", json=INITIALIZE).headers["mcp-session-id"]}
        client.post("/mcp", json=legacy("tools/list"), headers=headers)
        with following(house, ann.key, "GET", "/mcp", headers=headers) as heard:
            assert not ann.makes(name).failed
            assert heard()["method"] == "notifications/tools/list_changed"
            assert not ann.call("delete-tool", name=f"{ann.email}:{name}").failed
            assert heard()["method"] == "notifications/tools/list_changed"
    assert name not in ann.tools()


def test_b14_prompts_are_listed_to_those_whose_role_they_are_for(ann: Person, admin: Person, bob: Person):
    name = unique("say")
    template = {"type": "template", "config": {"template": "Hello"}}
    said = admin.call("add-prompt", name=name, handler=template, rolesPermitted=["power-user"])
    assert not said.failed, said.text
    assert name in ann.prompts()
    assert name not in bob.prompts()
    assert name in admin.call("list-prompts").text


def test_b14_an_administrator_sees_no_tool_that_he_cannot_call(admin: Person, eve: Person):
    name = unique("secret")
    eve.makes(name)
    assert name not in admin.tools()
    assert admin.call(name, text="x").failed


# -- B16: sessions of one user


def test_b16_one_user_has_many_sessions_and_a_stale_one_harms_nothing(house: House, bob: Person):
    with house.client(bob.key) as client:
        first, second = (client.post("/mcp", json=INITIALIZE).headers["mcp-session-id"] for _ in range(2))
        assert first != second
        for id in (first, second, first):
            assert client.post("/mcp", json=legacy("ping"), headers={"mcp-session-id": id}).status_code == 200
        client.delete("/mcp", headers={"mcp-session-id": first})
        assert client.post("/mcp", json=legacy("ping"), headers={"mcp-session-id": first}).status_code == 404
        again = client.post("/mcp", json=INITIALIZE, headers={"mcp-session-id": first})
        assert again.status_code == 200
        assert again.headers["mcp-session-id"] not in (first, second)


# -- B17: text of users is text


@pytest.mark.parametrize("text", [".*", "^", "(", "[a-z]+", "$ne", "(a+)+$", "*"])
def test_b17_what_is_looked_for_is_text_and_no_pattern(admin: Person, text: str):
    assert admin.call("list-users", nameContains=text).result["users"] == []
    assert admin.call("list-users", nameContains="EXAMPLE.com", limit=1).result["users"]


# -- B18: fields in disguise


@pytest.mark.parametrize("field", ["roles.0", "$set", "apiKey", "_id", "keys", "hidden"])
def test_b18_a_field_in_disguise_is_refused(admin: Person, bob: Person, field: str):
    said = admin.call("update-user", email=bob.email, **{field: ["admin"]})
    assert said.failed
    assert admin.call("user-info", email=bob.email).result["roles"] == ["user"]


def test_b18_nobody_gives_himself_a_role(bob: Person, eve: Person, admin: Person):
    for each in (bob, eve):
        before = admin.call("user-info", email=each.email).result["roles"]
        assert each.call("update-user", email=each.email, roles=["admin"]).failed
        assert admin.call("user-info", email=each.email).result["roles"] == before


# -- B19: the audit


def test_b19_what_was_refused_is_on_record_with_who_what_and_why(house: House, eve: Person):
    eve.call("share-tool", email="root@example.com", toolId="add-user", accessLevel="read")
    eve.call("update-tool", name=f"root@example.com:{unique('x')}", updates={"description": "mine"})

    def entries() -> Any:
        mine = [each for each in house.entries() if each.subject == f"user:{eve.email}" and each.allowed is False]
        return mine if len(mine) >= 2 else None

    found = until(entries)
    assert [each.object.partition("/")[0] for each in found] == ["gateway", "custom"]
    assert [each.action for each in found] == ["share", "manage"]
    assert [each.rule.partition(":")[0] for each in found] == ["builtin", ""]
    assert all(each.id and each.policy and each.outcome == "denied" for each in found)


# -- B20: names are text


def test_b20_a_name_can_be_no_markup_and_no_header(admin: Person):
    for name in ("Ann\r\nBcc: eve@example.com", "a\x00b", "x" * 300):
        assert admin.call("add-user", email=f"{unique('made')}@example.com", name=name).failed
    email = f"{unique('made')}@example.com"
    admin.call("add-user", email=email, name="<script>alert(1)</script>", roles=["user"])
    assert admin.call("user-info", email=email).result["name"] == "<script>alert(1)</script>"


# -- B22: both spellings


@pytest.mark.parametrize("spelling", ["args", "argMappings"])
@pytest.mark.parametrize("hole", ["{{text}}", "{{ text }}"])
def test_b22_both_spellings_and_blanks_inside_of_braces_mean_what_they_say(ann: Person, spelling: str, hole: str):
    name = unique("spelt")
    ann.makes(
        name, handler={"type": "upstream", "config": {"upstream": "demo", "tool": "echo", spelling: {"text": hole}}}
    )
    assert ann.echoed(name, text="as said") == {"text": "as said"}


# -- B23: requests into the network behind the gateway


@pytest.fixture(scope="module")
def inside() -> Iterator[tuple[int, "queue.Queue[str]"]]:
    """A server that stands where only the gateway could reach it, and what it was asked."""
    asked: queue.Queue[str] = queue.Queue()

    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.put(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing is written."""

    server = ThreadingHTTPServer(("127.0.0.1", free_port()), Answering)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port, asked
    server.shutdown()
    thread.join(20)
    server.server_close()


@pytest.mark.parametrize(
    "place",
    ["http://127.0.0.1:{}", "http://localhost:{}", "http://[::1]:{}", "http://2130706433:{}", "http://0.0.0.0:{}"],
)
def test_b23_a_tool_reaches_nothing_that_is_not_public(eve: Person, inside: tuple[int, "queue.Queue[str]"], place: str):
    port, asked = inside
    name = unique("fetch")
    handler = {"type": "http", "config": {"url": f"{place.format(port)}/latest/meta-data"}}
    said = eve.makes(name, handler=handler, schema={"type": "object", "properties": {}})
    assert said.failed or eve.call(name).failed
    assert asked.empty()


@pytest.mark.parametrize(
    "url", ["{{text}}", "https://{{text}}/", "https://a.example.com@{{text}}/", "file:///etc/passwd"]
)
def test_b23_where_a_tool_goes_is_no_argument(eve: Person, url: str):
    assert eve.makes(unique("fetch"), handler={"type": "http", "config": {"url": url}}, schema=TEXT).failed
