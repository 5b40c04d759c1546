"""Accounts on platforms, through a whole gateway: from the call that lacks one to the same call that works."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.mcp.terms import CAPABILITIES_KEY
from tests.corridor.browsing import Visitor
from tests.corridor.house import META, House, free_port, modern, result_of, running, write
from tests.platforms.counterparts import Emulated, emulated

POLICY = """\
p, user:*, main, self, *, connect, , allow
p, role:dev, main, self, github/*, write, , allow
p, role:dev, main, self, tickets/*, read, , allow
p, role:lister, main, self, github/list_issues, read, args.owner == 'ann', allow
p, role:security, main, system, gateway/policy, manage, , allow
p, role:stranger, main, self, github/*, read, , allow
p, role:stranger, *, *, github, connect, , deny
"""
URL = {CAPABILITIES_KEY: {"elicitation": {"url": {}}}}


@dataclass
class Town:
    house: House
    github: Emulated

    def call(
        self, key: str, tool: str, /, *, able: bool = False, more: dict[str, Any] | None = None, **args: Any
    ) -> Any:
        """The result of a call in the modern era, by a client that can (``able``) be asked to open URLs."""
        asked = modern("tools/call", name=tool, arguments=args)
        asked["json"]["params"] |= more or {}
        if able:
            asked["json"]["params"]["_meta"] = {**META, **URL}
        with self.house.client(key) as client:
            answer = result_of(client.post("/mcp", **asked))
        return answer["result"] if "result" in answer else answer["error"]


@pytest.fixture(scope="module")
def town(tmp_path_factory) -> Iterator[Town]:
    folder = Path(tmp_path_factory.mktemp("town"))
    port = free_port()
    callback = f"http://127.0.0.1:{port}/oauth/callback/main/"
    with emulated("github", redirects=[f"{callback}github", f"{callback}tickets"]) as platforms:
        github = platforms.of("github")
        write(folder, policy=POLICY, limits="", upstreams="", settings="[server]\n")
        at = "".join(f'"{old}" = "{new}"\n' for old, new in github.at.items())
        common = f'client_id = "{github.client_id}"\nclient_secret = {{ env = "GITHUB_SECRET" }}\n'
        common += f'private_hosts = ["{github.host}"]\n'
        (folder / "config" / "connectors.toml").write_text(
            f"[connectors.github]\n{common}[connectors.github.at]\n{at}"
            f'[connectors.tickets]\ndefinition = "github"\ntools = "meta"\n{common}[connectors.tickets.at]\n{at}'
        )
        (folder / "config" / "connectors.toml").chmod(0o600)
        house = House(folder, port, str(folder / "var" / "ostiary.db"))
        house.extra["GITHUB_SECRET"] = github.client_secret
        with running(house):
            yield Town(house, github)


def text_of(result: Any) -> str:
    return "".join(each.get("text", "") for each in result["content"])


def link_in(text: str) -> str:
    found = re.search(r"http://127\.0\.0\.1:\d+/connect/[\w.-]+", text)
    assert found, text
    return found[0]


def test_a_call_without_an_account_leads_to_a_page_and_then_works(town):
    key = town.house.add_user("ann@example.com", "dev")
    refused = town.call(key, "github__create_issue", owner="ann", repo="garden", title="first")
    assert refused["isError"] is True
    visitor = Visitor(town.github.users[0], key)
    said = visitor.connects(link_in(text_of(refused)))
    assert town.github.users[0] in said
    done = town.call(key, "github__create_issue", owner="ann", repo="garden", title="first")
    assert done.get("isError") is not True, done
    assert json.loads(text_of(done))["title"] == "first"
    issues = town.call(key, "github__list_issues", owner="ann", repo="garden")
    assert "first" in text_of(issues)


def test_a_client_that_opens_urls_is_asked_to_and_repeats_its_call(town):
    key = town.house.add_user("bea@example.com", "dev")
    asked = town.call(key, "github__list_issues", able=True, owner="ann", repo="garden")
    assert asked["resultType"] == "input_required"
    (name, question), *_ = asked["inputRequests"].items()
    assert question["params"]["mode"] == "url"
    Visitor(town.github.users[1], key).connects(link_in(question["params"]["url"]))
    again = {"inputResponses": {name: {"action": "accept"}}, "requestState": asked["requestState"]}
    done = town.call(key, "github__list_issues", able=True, more=again, owner="ann", repo="garden")
    assert done.get("isError") is not True, done


def test_the_policy_judges_the_arguments_before_an_account_is_asked_for(town):
    key = town.house.add_user("cal@example.com", "lister")
    denied = town.call(key, "github__list_issues", owner="other", repo="garden")
    assert "denied by policy" in text_of(denied)
    assert "/connect/" in text_of(town.call(key, "github__list_issues", owner="ann", repo="garden"))
    assert town.call(key, "github__create_issue", owner="ann", repo="garden", title="x")["code"] == -32602


def test_who_may_not_connect_gets_no_link(town):
    key = town.house.add_user("dan@example.com", "stranger")
    refused = text_of(town.call(key, "github__list_issues", owner="ann", repo="garden"))
    assert "/connect/" not in refused
    assert "policy" in refused


def test_a_link_is_of_no_use_to_somebody_else(town):
    eve, mallory = (town.house.add_user(f"{each}@example.com", "dev") for each in ("eve", "mallory"))
    link = link_in(text_of(town.call(mallory, "github__list_issues", owner="ann", repo="garden")))
    with pytest.raises(AssertionError, match="made for somebody else"):
        Visitor(town.github.users[0], eve).enters(link)
    assert town.call(mallory, "github__list_issues", owner="ann", repo="garden")["isError"] is True
    assert "/connect/" in text_of(town.call(eve, "github__list_issues", owner="ann", repo="garden"))


def test_the_meta_tools_do_what_the_policy_lets_the_action_do(town):
    key = town.house.add_user("fay@example.com", "dev")
    with town.house.client(key) as client:
        tools = {each["name"] for each in result_of(client.post("/mcp", **modern("tools/list")))["result"]["tools"]}
    assert {"execute_action", "list_connectors", "execute_action_alloy"} & tools
    assert not any(name.startswith("tickets__") for name in tools)
    listed = json.loads(text_of(town.call(key, "list_connectors")))
    assert "tickets" in {each["id"] for each in listed["connectors"]}
    refused = town.call(
        key,
        "execute_action",
        connectorId="tickets",
        actionId="list_issues",
        parameters={"owner": "ann", "repo": "garden"},
    )
    Visitor(town.github.users[0], key).connects(link_in(text_of(refused)))
    done = town.call(
        key,
        "execute_action",
        connectorId="tickets",
        actionId="list_issues",
        parameters={"owner": "ann", "repo": "garden"},
    )
    assert done.get("isError") is not True, done
    denied = town.call(
        key,
        "execute_action",
        connectorId="tickets",
        actionId="create_issue",
        parameters={"owner": "ann", "repo": "garden", "title": "x"},
    )
    assert denied.get("isError") is True or "code" in denied


def test_no_token_stands_in_the_log_or_in_the_store(town):
    secret = town.github.client_secret
    folder = town.house.folder
    assert secret not in town.house.log
    for path in (folder / "var").iterdir():
        body = path.read_bytes()
        assert secret.encode() not in body
        assert not re.search(rb"gho_[A-Za-z0-9]{8,}", body), path
    assert not re.search(r"gho_[A-Za-z0-9]{8,}", town.house.log)
