"""``ostiary connectors`` on definitions, documents, a real store and a real platform."""

import json

import pytest

from connectors.definition.folder import SHIPPED
from connectors.definition.reading import read_definition
from tests.cli.shop import DEFINITION, open_shop
from tests.cli.test_users import entries

SECRET = "s3cret-" * 5
RULES = """\
p, role:user, main, system, shop/list_orders, read, args.limit <= 5, allow
p, role:security, main, system, gateway/policy, manage, , allow
"""


@pytest.fixture
def shop(site):
    """A site with a connector to a shop that runs, on the operator's own credential."""
    with open_shop() as shop:
        site.write("definitions/shop.yaml", DEFINITION)
        site.write(
            "config/connectors.toml",
            f'folders = ["definitions"]\n[connectors.shop]\ncredential = {{ token = {{ env = "TOKEN" }} }}\n'
            f'at = {{ "https://api.shop.example" = "{shop.url}" }}\nprivate_hosts = ["127.0.0.1:{shop.port}"]\n',
        )
        yield shop


def as_lines(text):
    return [line.split("\t") for line in text.splitlines()]


# -- list


def test_definitions_are_listed_with_the_connectors_that_use_them_in_front(site, shop):
    told = as_lines(site.fine("connectors", "list", TOKEN=SECRET))
    assert told[0] == ["shop", "Shop", "bearer", "2", "2026-11", "shop (direct)"]
    assert {line[0] for line in told[1:]} == {path.stem for path in SHIPPED.glob("*.yaml")}
    (one, *_) = json.loads(site.fine("connectors", "list", "--json", TOKEN=SECRET))
    assert one["actions"] == [{"id": "list_orders", "risk": "read"}, {"id": "add_order", "risk": "write"}]
    assert one["connectors"] == [{"id": "shop", "tools": "direct", "usable": True}]


def test_what_cannot_be_used_is_listed_as_such_with_the_reason(site, shop):
    site.write("definitions/shop.yaml", DEFINITION.replace("risk: read", "risk: raed"))
    site.write("config/connectors.toml", (site.root / "config/connectors.toml").read_text() + "[connectors.github]\n")
    result = site.ostiary("connectors", "list", TOKEN=SECRET)
    assert result.exit_code == 1
    assert "github (cannot be used)" in result.stdout
    assert "definitions/shop.yaml:13: " in result.stderr
    assert "config/connectors.toml: `connectors.github`: needs `client_id`" in result.stderr
    assert "config/connectors.toml: `connectors.shop`: there is no definition `shop`" in result.stderr


# -- lint


def test_definitions_are_checked_one_by_one(site):
    good = site.write("a/shop.yaml", DEFINITION)
    wrong = site.write("a/wrong.yaml", "id: wrong\ntitel: Wrong\n")
    named = site.write("a/other.yaml", DEFINITION)
    binary = site.root / "a" / "binary.yaml"
    binary.write_bytes(b"\xff")
    assert site.fine("connectors", "lint", str(good)).splitlines() == ["1 file: 0 errors, 0 warnings"]
    result = site.ostiary("connectors", "lint", str(site.root / "a"))
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert f"{wrong}:2: error: `titel` is not known here; did you mean `title`?" in lines
    assert f"{named}: error: holds `shop`; name the file `shop.yaml`" in lines
    assert f"{binary}: error: is not UTF-8 text" in lines
    assert "4 files: " in result.stderr


def test_what_is_odd_fails_only_when_it_is_to_be_strict(site):
    odd = site.write("shop.yaml", DEFINITION.replace('checked: "2026-11"\n', "").replace("risk: read", "risk: write"))
    told = site.fine("connectors", "lint", str(odd))
    assert f'{odd}: warning: no `checked: "YYYY-MM"`' in told
    assert f"{odd}: warning: action `list_orders`: `risk: write` for a GET; is it meant?" in told
    assert "1 file: 0 errors, 2 warnings" in told
    assert "1 file: 0 errors, 2 warnings" in site.wrong("connectors", "lint", str(odd), "--strict")
    (found,) = site.json("connectors", "lint", str(odd))
    assert (found["file"], found["errors"], len(found["warnings"])) == (str(odd), [], 2)


def test_nothing_to_check_is_not_fine(site):
    (site.root / "empty").mkdir()
    assert "0 files" in site.wrong("connectors", "lint", str(site.root / "empty"))
    site.wrong("connectors", "lint", code=2)
    site.wrong("connectors", "lint", str(site.root / "nothing.yaml"), code=2)


def test_the_shipped_definitions_are_in_order(site):
    told = site.fine("connectors", "lint", str(SHIPPED))
    assert ": 0 errors, " in told


# -- doctor


def test_a_connector_that_works_is_told_to_be_fine_and_no_secret_is_sent(site, shop):
    told = as_lines(site.fine("connectors", "doctor", TOKEN=SECRET))
    assert told == [
        ["shop", "fine", "definition `shop`, 2 actions"],
        ["shop", "fine", "the operator's own connection serves whom the policy lends it to (`own` = `system`)"],
        ["shop", "fine", f"API: 127.0.0.1:{shop.port} answers (HTTP 200)"],
    ]
    assert shop.asked == [("GET", "/", "", "")]
    (one,) = json.loads(site.fine("connectors", "doctor", "shop", "--json", TOKEN=SECRET))
    assert one["connector"] == "shop"
    assert {each["state"] for each in one["checks"]} == {"fine"}


def test_a_platform_that_does_not_answer_is_a_fault(site, shop):
    text = (site.root / "config/connectors.toml").read_text()
    site.write("config/connectors.toml", text.replace(f':{shop.port}"', ':1"'))
    result = site.ostiary("connectors", "doctor", TOKEN=SECRET)
    assert result.exit_code == 1
    assert "shop\tfault\tAPI: 127.0.0.1:1: " in result.stdout
    assert "1 fault" in result.stderr


def test_a_connector_that_cannot_be_used_tells_why(site, shop):
    site.write("definitions/shop.yaml", "id: shop\n")
    result = site.ostiary("connectors", "doctor", TOKEN=SECRET)
    assert result.exit_code == 1
    assert "shop\tfault\tconfig/connectors.toml: `connectors.shop`: there is no definition `shop`" in result.stdout
    assert "there is no connector `shpo`; did you mean `shop`?" in site.wrong(
        "connectors", "doctor", "shpo", TOKEN=SECRET
    )


def test_without_connectors_there_is_nothing_to_look_at(site):
    assert "no connector is set up in config/connectors.toml" in site.wrong("connectors", "doctor")


OAUTH = """\
id: cloud
title: Cloud
auth:
  kind: oauth2
  issuer: "https://id.cloud.example"
  authorize_url: "https://id.cloud.example/authorize"
  token_url: "https://{region}.cloud.example/token"
  client_auth: post
  scopes: {default: [read, write]}
inputs:
  region: {label: Region, pattern: "^[a-z]+$"}
api: {base_url: "https://id.cloud.example/v1", allowed_hosts: ["*.cloud.example"]}
"""


@pytest.fixture
def cloud(site, shop):
    site.write("definitions/cloud.yaml", OAUTH)
    site.write(
        "config/connectors.toml",
        f'folders = ["definitions"]\n[connectors.our-cloud]\ndefinition = "cloud"\nclient_id = "us"\nclient_secret = {{ env = "TOKEN" }}\n'
        f'at = {{ "https://id.cloud.example" = "{shop.url}" }}\nprivate_hosts = ["127.0.0.1:{shop.port}"]\n',
    )
    shop.answers["/authorize"] = (302, {})
    shop.answers["/v1"] = (503, {})
    return shop


METADATA = ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"]


def found(site, *, code):
    result = site.ostiary("connectors", "doctor", TOKEN=SECRET)
    assert result.exit_code == code, result.output
    return [tuple(line[1:]) for line in as_lines(result.stdout)]


def metadata(shop, **more):
    token = "https://{region}.cloud.example/token"
    return (
        200,
        {"issuer": shop.url, "authorization_endpoint": f"{shop.url}/authorize", "token_endpoint": token, **more},
    )


def test_what_to_register_is_printed_and_what_depends_on_people_is_said(site, cloud):
    cloud.answers |= dict.fromkeys(METADATA, (404, {}))
    told = found(site, code=0)
    assert ("to do", "register with the platform: http://127.0.0.1:4001/oauth/callback/main/our-cloud") in told
    assert ("fine", "asks for the scopes read write") in told
    assert ("fine", "tokens: where that is depends on `region` of each connection") in told
    assert ("warning", f"API: 127.0.0.1:{cloud.port} answers (HTTP 503)") in told
    assert ("fine", f"authorization: 127.0.0.1:{cloud.port} answers (with a redirect)") in told
    assert any(state == "warning" and "`checked" in sentence for state, sentence in told)


def test_discovery_is_held_against_the_definition(site, cloud):
    place = METADATA[1]
    cloud.answers |= dict.fromkeys(METADATA, (404, {}))
    assert ("warning", f"discovery: 127.0.0.1:{cloud.port} publishes no metadata") in found(site, code=0)
    cloud.answers[place] = metadata(cloud)
    assert ("fine", f"discovery: 127.0.0.1:{cloud.port} agrees with the definition") in found(site, code=0)
    cloud.answers[place] = metadata(cloud, authorization_endpoint="https://moved.example/authorize", issuer="x")
    told = found(site, code=1)
    assert (
        "fault",
        f"discovery: `authorization_endpoint` is `https://moved.example/authorize`, not `{cloud.url}/authorize`",
    ) in told
    assert ("fault", f"discovery: `issuer` is `x`, not `{cloud.url}`") in told
    cloud.answers[place] = metadata(cloud, code_challenge_methods_supported=["plain"])
    assert ("fault", "discovery: it does not support PKCE with S256, which the definition requires") in found(
        site, code=1
    )
    assert all(authorization == "" for *_, authorization, _ in cloud.asked)


# -- try


def test_an_action_runs_on_the_operators_own_connection_and_is_in_the_audit(site, shop):
    told = site.fine("connectors", "try", "shop", "list_orders", "limit=3", TOKEN=SECRET)
    assert json.loads(told) == {"method": "GET", "path": "/orders?limit=3"}
    assert shop.asked == [("GET", "/orders?limit=3", f"Bearer {SECRET}", "")]
    (entry,) = [each for each in entries(site) if each.method == "connectors.try"]
    assert (entry.subject, entry.object, entry.action, entry.outcome) == ("operator", "shop/list_orders", "read", "ok")
    assert entry.arguments == {"/as": '"operator"', "/own": '"system"', "/arguments": '["limit"]'}
    whole = json.loads(site.fine("connectors", "try", "shop", "list_orders", "--json", TOKEN=SECRET))
    assert whole["structuredContent"] == {"method": "GET", "path": "/orders"}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("shpo", "list_orders"), "there is no connector `shpo`; did you mean `shop`?"),
        (("shop", "list_order"), "`shop` has no action `list_order`; did you mean `list_orders`?"),
        (("shop", "list_orders", "limit=11"), "`limit`: the value is greater than the maximum of 10"),
        (("shop", "list_orders", "size=1"), "`size`: is not known"),
        (("shop", "add_order", "--yes"), "`item`: is missing"),
        (("shop", "list_orders", "--as", "nobody@example.com"), "there is no account `nobody@example.com`"),
        (("shop", "list_orders", "--own", "user:ada@example.com"), "no account of Shop is connected"),
        (("shop", "list_orders", "--connection", "0" * 24), "`shop` has no such connection"),
    ],
)
def test_what_cannot_be_tried_never_reaches_the_platform(site, shop, words, sentence):
    assert sentence in site.wrong("connectors", "try", *words, TOKEN=SECRET)
    assert shop.asked == []


def test_nothing_is_changed_without_a_yes(site, shop):
    words = ("connectors", "try", "shop", "add_order", "item=rose")
    site.wrong(*words, input="n\n", TOKEN=SECRET)
    assert shop.asked == []
    site.fine(*words, input="y\n", TOKEN=SECRET)
    site.fine(*words, "--yes", TOKEN=SECRET)
    assert [(method, json.loads(body)) for method, _, _, body in shop.asked] == [("POST", {"item": "rose"})] * 2


def test_what_the_platform_refuses_is_shown_and_fails(site, shop):
    shop.answers["/orders"] = (422, {"message": "no roses"})
    result = site.ostiary("connectors", "try", "shop", "list_orders", TOKEN=SECRET)
    assert result.exit_code == 1
    assert "no roses" in result.stdout
    assert "Shop did not do it" in result.stderr
    assert SECRET not in result.output


@pytest.fixture
def people(site, shop):
    """A policy in force, and somebody who may list a few orders on the operator's connection."""
    site.write("policies/rules.csv", RULES)
    site.fine("users", "add", "ada@example.com", "--role", "user", TOKEN=SECRET)
    site.fine("users", "add", "grace@example.com", "--role", "security", TOKEN=SECRET)
    return shop


def test_as_an_account_the_policy_is_asked_first(site, people):
    words = ("connectors", "try", "shop", "list_orders", "--as", "Ada@example.com", "--own", "system")
    assert "no_policy" in site.wrong(*words, "limit=3", TOKEN=SECRET)
    site.fine("policy", "apply", str(site.root / "policies"), "--why", "first", TOKEN=SECRET)
    told = site.wrong(*words, "limit=7", TOKEN=SECRET)
    assert "the policy does not allow it (no_rule); `ostiary policy explain` says more" in told
    assert people.asked == []
    site.fine(*words, "limit=3", TOKEN=SECRET)
    assert len(people.asked) == 1
    assert "the policy does not allow it" in site.wrong(*words[:-2], "limit=3", TOKEN=SECRET)
    outcomes = [each.outcome for each in entries(site) if each.method == "connectors.try"]
    assert sorted(outcomes) == ["failed", "failed", "failed", "ok"]


# -- import


PETS = {
    "openapi": "3.0.3",
    "info": {"title": "Pets", "version": "7"},
    "servers": [{"url": "https://api.pets.example"}],
    "components": {"securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "X-Pets"}}},
    "paths": {
        "/pets": {
            "get": {"operationId": "pets/list", "parameters": [{"in": "header", "name": "X-Pets"}, {"in": "cookie", "name": "c"}]},
            "post": {"operationId": "pets/add", "requestBody": {"$ref": "other.json#/x"}},
        }
    },
}  # fmt: skip


@pytest.fixture
def pets(site):
    return str(site.write("pets.json", json.dumps(PETS)))


def test_without_a_choice_what_there_is_is_shown(site, pets):
    assert as_lines(site.fine("connectors", "import", pets)) == [
        ["GET /pets", "pets/list", "pets_list"],
        ["POST /pets", "pets/add", "pets_add"],
    ]
    assert site.json("connectors", "import", pets)[0] == {
        "operation": "GET /pets",
        "name": "pets/list",
        "action": "pets_list",
        "tags": [],
        "deprecated": False,
    }


def test_a_choice_becomes_a_definition_on_standard_output_and_a_report_beside_it(site, pets):
    result = site.ostiary(
        "connectors", "import", pets, "--include", "*", "--auth", "header:X-Pets", "--title", "Our pets"
    )
    assert result.exit_code == 0
    definition = read_definition(result.stdout, "pets.yaml")
    assert (definition.id, definition.title, [each.id for each in definition.actions]) == (
        "pets",
        "Our pets",
        ["pets_list"],
    )
    assert definition.api.auth == {"X-Pets": "{api_key}"}
    lines = result.stderr.splitlines()
    assert lines[0].startswith("pets_list: GET /pets (read, ")
    assert lines[0].endswith("without credentials X-Pets, c)")
    assert (
        lines[1]
        == "refused: POST /pets: refers to `other.json#/x`, which is another document; put all of them into one first"
    )
    assert lines[2] == "not taken over: the document lets in by `key`: apiKey in header `X-Pets`"
    assert lines[3].startswith("1 of 2 operations, ")


def test_it_is_written_into_a_file_but_never_over_one(site, pets):
    (site.root / "own").mkdir()
    target = site.root / "own" / "animals.yaml"
    words = ("connectors", "import", pets, "--include", "pets/list", "--output", str(target))
    assert site.fine(*words) == ""
    assert read_definition(target.read_text(), "animals.yaml").id == "animals"
    assert "1 file: 0 errors" in site.fine("connectors", "lint", str(target))
    target.write_text(target.read_text() + "# mine\n")
    assert "exists already" in site.wrong(*words)
    assert target.read_text().endswith("# mine\n")
    told = site.json("connectors", "import", pets, "--include", "pets/list", "--id", "zoo")
    assert read_definition(told["definition"], "zoo.yaml").id == "zoo"
    assert (told["operations"], [each["id"] for each in told["actions"]], told["refused"]) == (2, ["pets_list"], [])


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--include", "cats/*"), "`cats/*` names no operation of the document"),
        (("--include", "pets/add"), "none of 1 chosen operations can be an action: POST /pets: refers to"),
        (("--include", "*", "--auth", "magic"), "`magic` is not one of `bearer`"),
        (("--include", "*", "--id", "Pets!"), "`Pets!` is not an id"),
        (
            ("--include", "*", "--id", "a", "--output", "b.yaml"),
            "a definition `a` is read from a file `a.yaml`, not from `b.yaml`",
        ),
        (("--include", "*", "--base-url", "http://pets.example"), "is not `https`"),
        (("--include", "*", "--base-url", "nowhere"), "is not an absolute https URL"),
    ],
)
def test_what_cannot_be_imported_is_refused_in_a_sentence(site, pets, words, sentence):
    told = site.wrong("connectors", "import", pets, *words)
    assert sentence in told


def test_a_document_may_come_on_standard_input(site):
    result = site.ostiary("connectors", "import", "-", "--include", "pets/list", "--id", "pets", input=json.dumps(PETS))
    assert read_definition(result.stdout, "pets.yaml").actions
    assert "error: -: is not UTF-8 text" in site.ostiary("connectors", "import", "-", input=b"\xff").stderr


# -- other commands know connectors, too


def test_the_policy_is_held_against_the_actions_of_connectors(site, shop):
    site.write("config/upstreams.toml", "")
    things = json.loads(site.fine("policy", "inventory", TOKEN=SECRET))["things"]["main"]
    assert [(each["object"], each["action"]) for each in things] == [
        ("shop/add_order", "write"),
        ("shop/list_orders", "read"),
    ]
    assert things[1]["schema"]["properties"] == {"limit": {"type": "integer", "maximum": 10}}


def test_an_explanation_knows_what_an_action_is_like(site, shop):
    site.write("policies/rules.csv", RULES + "p, role:user, main, self, shop/*, write, not tool.destructive, allow\n")
    site.fine("users", "add", "ada@example.com", "--role", "user", TOKEN=SECRET)
    words = ("policy", "explain", "user:ada@example.com", "--json")
    assert json.loads(site.fine(*words, "shop/add_order", "write", TOKEN=SECRET))["allowed"]
    assert not json.loads(site.fine(*words, "shop/nothing", "write", TOKEN=SECRET))["allowed"]
