"""The pages of a whole gateway, as a child process with its own settings and store."""

import re

import httpx2
import pytest

from tests.corridor.house import House, free_port, running, until, write

POLICY = """
p, user:*, main, self, *, connect, , allow
p, *, *, self, *, revoke, , allow
p, user:root@example.com, main, system, gateway/policy, manage, , allow
"""
SETTINGS = '[server]\nname = "Whole"\n'
CONNECTORS = """
[connectors.box]
definition = "api-key"
inputs = { api_url = "https://api.example.com" }
"""
UPSTREAMS = """
[upstreams.notes]
url = "https://notes.example.com/mcp"

[upstreams.notes.personal]
kind = "key"
header = "x-api-key"
label = "Key of Notes"
"""
GUARD = re.compile(r'name="guard" value="([0-9a-f]{64})"')


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    write(folder, policy=POLICY, limits="", upstreams=UPSTREAMS, settings=SETTINGS)
    (folder / "config" / "connectors.toml").write_text(CONNECTORS)
    (folder / "config" / "connectors.toml").chmod(0o600)
    with running(House(folder, free_port(), str(folder / "var" / "ostiary.db"))) as house:
        yield house


@pytest.fixture
def browser(house):
    with httpx2.Client(base_url=house.url, timeout=20, headers={"origin": house.url}) as client:
        yield client


def sends(browser, page, path, **fields):
    guard = GUARD.search(browser.get(page).text)
    assert guard
    return browser.post(path, data={"guard": guard[1], **fields})


def test_somebody_signs_in_and_asks_for_a_link(house, browser):
    key = house.add_user("ann@example.com")
    assert "Sign in" in browser.get("/connections").text
    assert sends(browser, "/connections", "/sign-in/key", key="ost_wrong").status_code == 401
    answer = sends(browser, "/connections", "/sign-in/key", key=key)
    assert (answer.status_code, answer.headers["location"]) == (303, "/connections")
    assert "You have not connected any account yet" in browser.get("/connections").text
    answer = sends(browser, "/connections", "/connections/connect", connector="box")
    assert answer.status_code == 303, answer.text
    page = browser.get(answer.headers["location"])
    assert "ann@example.com" in page.text
    assert "your list of connections" in page.text
    assert browser.get("/sign-in").status_code == 303
    sends(browser, "/connections", "/sign-out")
    assert "Sign in" in browser.get(answer.headers["location"]).text


def test_connectors_and_servers_with_accounts_are_offered_in_the_list(house, browser):
    key = house.add_user("eve@example.com")
    sends(browser, "/connections", "/sign-in/key", key=key)
    offered = re.findall(
        r'name="connector" value="([^"]*)"><button[^>]*aria-label="([^"]*)"', browser.get("/connections").text
    )
    assert [id for id, _ in offered] == ["notes", "box"]
    assert offered[0][1] == "Connect notes"
    answer = sends(browser, "/connections", "/connections/connect", connector="notes")
    assert "Key of Notes" in browser.get(answer.headers["location"]).text


def test_an_address_with_a_typing_error_is_answered_by_a_page_where_people_are_and_in_json_elsewhere(browser):
    told = [
        (browser.get(path).status_code, browser.get(path).headers["content-type"]) for path in ("/sign-in/x", "/api/x")
    ]
    assert told == [(404, "text/html; charset=utf-8"), (404, "application/json")]


def test_resetting_a_key_ends_the_sign_in(house, browser):
    key = house.add_user("ben@example.com")
    sends(browser, "/connections", "/sign-in/key", key=key)
    assert "Your connections" in browser.get("/connections").text
    house.cli("users", "reset-key", "ben@example.com")
    until(lambda: "Sign in" in browser.get("/connections").text)
