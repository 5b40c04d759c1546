"""A grant or a policy that changes while streams are open reaches exactly those whom it concerns, in both eras."""

import queue
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from tests.corridor.house import House, modern, result_of, until
from tests.corridor.test_isolation import INITIALIZE, legacy
from tests.corridor.test_streams import following

WITHIN_S = 2.0
LISTS = {f"notifications/{kind}/list_changed" for kind in ("tools", "prompts", "resources")}
WISH = {"toolsListChanged": True, "promptsListChanged": True, "resourcesListChanged": True}
STATIC = "test://static"

Hears = Callable[..., Any]


@contextmanager
def listening(house: House, key: str, **wish: Any) -> Iterator[tuple[Hears, Hears, Hears]]:
    """The streams of somebody who has seen all lists: of a session, of ``/sse`` and of a modern client."""
    with ExitStack() as opened, house.client(key) as client:
        headers = {"mcp-session-id": client.post("/mcp", json=INITIALIZE).headers["mcp-session-id"]}
        for method in ("tools/list", "prompts/list", "resources/list"):
            assert client.post("/mcp", json=legacy(method), headers=headers).status_code == 200
        session = opened.enter_context(following(house, key, "GET", "/mcp", headers=headers))
        sse = opened.enter_context(following(house, key, "GET", "/sse"))
        assert str(sse()).startswith("/messages")
        asked = modern("subscriptions/listen", id="L1", notifications={**WISH, **wish})
        listen = opened.enter_context(following(house, key, "POST", "/mcp", **asked))
        assert listen()["method"] == "notifications/subscriptions/acknowledged"
        yield session, sse, listen


def heard(hears: Hears, many: int) -> set[str]:
    return {hears()["method"] for _ in range(many)}


def nothing_heard(hears: Hears) -> bool:
    try:
        hears(0)
    except queue.Empty:
        return True
    return False


def somebody(house: House, *roles: str) -> tuple[str, str]:
    """An account and its key."""
    email = f"u{secrets.token_hex(4)}@example.com"
    return email, house.add_user(email, "fast", *roles)


def tools(house: House, key: str) -> list[str]:
    with house.client(key) as client:
        return [each["name"] for each in result_of(client.post("/mcp", **modern("tools/list")))["result"]["tools"]]


def test_a_role_given_on_the_command_line_reaches_every_stream_of_the_one_who_gets_it_and_no_other(house: House):
    (one, key), (_, other_key) = somebody(house), somebody(house)
    with listening(house, key) as streams, listening(house, other_key) as others:
        for word, sees in (("give-role", True), ("withdraw-role", False)):
            house.cli("users", word, one, "user")
            done = time.monotonic()
            for hears in streams:
                assert heard(hears, 3) == LISTS
            assert time.monotonic() - done < WITHIN_S
            assert ("demo__echo" in tools(house, key)) is sees
        assert all(nothing_heard(hears) for hears in (*streams, *others))


def test_a_role_for_one_kind_of_things_is_told_of_that_list_alone(own_house: House):
    email, key = somebody(own_house)
    with listening(own_house, key) as streams:
        own_house.cli("users", "give-role", email, "half")
        assert [heard(hears, 1) for hears in streams] == [{"notifications/tools/list_changed"}] * 3
        edit(own_house, "p, role:half, main, self, demo/prompt:plain, read, , allow\n")
        assert [heard(hears, 1) for hears in streams] == [{"notifications/prompts/list_changed"}] * 3
        assert all(nothing_heard(hears) for hears in streams)


def test_an_edit_of_the_policy_reaches_the_streams_of_those_who_see_less_and_ends_what_they_follow(own_house: House):
    (one, key), (_, other_key) = somebody(own_house, "user"), somebody(own_house, "user")
    with own_house.client(key) as client, ExitStack() as opened:
        until(lambda: "demo__echo" in tools(own_house, key))
        streams = opened.enter_context(listening(own_house, key, resourceSubscriptions=[STATIC]))
        others = opened.enter_context(listening(own_house, other_key, resourceSubscriptions=[STATIC]))
        edit(own_house, f"p, user:{one}, *, *, demo/resource:*, read, , deny\n")
        assert [heard(hears, 1) for hears in streams] == [{"notifications/resources/list_changed"}] * 3
        client.post("/mcp", **modern("tools/call", name="demo__touch", arguments={"uri": STATIC}))
        assert heard(others[2], 1) == {"notifications/resources/updated"}
        client.post("/mcp", **modern("tools/call", name="demo__grow", arguments={}))
        assert heard(streams[2], 1) <= LISTS  # and not that a resource was updated, which came before
        assert heard(others[2], 1) <= LISTS


def edit(house: House, line: str) -> None:
    """Add a line to the policy, which folder mode applies."""
    rules = house.folder / "policies" / "rules.csv"
    rules.write_text(rules.read_text() + line)
