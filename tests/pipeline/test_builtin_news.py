"""What lists have of our own tools, of what users made and of what they hide: its news reach whom they concern."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.base import Change, Event
from gateway.builtins.terms import Answer, Builtin, Could, Whose
from gateway.catalogue import Server
from gateway.manage.asking import Asker
from gateway.mcp.terms import Notification, Params
from gateway.pipeline.news import News
from gateway.policy.shelves import at_once
from gateway.policy.terms import MAIN, SYSTEM
from gateway.policy.turn import Turn
from tests.builders import AMY, BOB, Door
from tests.fakes import FakeConnector, prompt, tool
from tests.pipeline.making import letter, schema, targets, wrapper

EVE = "eve@example.com"
TOOLS, PROMPTS = (Notification(f"notifications/{kind}/list_changed") for kind in ("tools", "prompts"))
LIMITS = "[[class]]\nname = 'default'\ncalls = 1000\nwindow_s = 60\n"
MINE = "p, user:*, main, self, custom/*, write, , allow"
SLACK = "p, user:*, main, self, slack/*, write, , allow"
SHARED = f"p, user:{BOB}, main, user:{AMY}, custom/post, write, , allow"
GREETS = f"p, user:{BOB}, main, user:{AMY}, custom/prompt:greet, read, , allow"


async def never(asker: Asker, args: Params) -> Answer:
    raise AssertionError("nothing is called here")


def builtin(name: str, *could: Could, stays: bool = False) -> Builtin:
    return Builtin(name, "", "", {"type": "object"}, {}, could, never, stays)


OURS = (
    builtin("keep-user", Could("gateway/users", "manage")),
    builtin("reset", Could("gateway/keys", "manage", Whose.OWN)),
    builtin("stays", Could("gateway/directory", "inspect"), stays=True),
    builtin("share", Could("custom/*", "share")),
)


def door_of(*rows: str, **more: Any) -> Door:
    slack = FakeConnector("slack", [tool("send", schema=schema("text")), tool("list", "read"), prompt("ask")])
    more = {"connectors": [slack], "targets": targets(), "custom": True, "limits": LIMITS, **more}
    return Door("\n".join(rows), builtins=OURS, **more)


async def told(door: Door, change: Any, *emails: str, domain: str = MAIN) -> list[tuple[Notification, ...]]:
    """What each of ``emails`` is told when ``change`` is made."""
    people = [door.person(email) for email in emails]
    former = door.follower.current
    change()
    now = door.follower.current
    difference = at_once(Turn(former.policy, now.policy).compared())
    news = [await door.pipeline.turned(difference, each, domain, former=former) for each in people]
    assert all(each.lost == frozenset() for each in news)
    return [each.told for each in news]


# -- what the policy gives


@pytest.mark.parametrize(
    ("row", "heard"),
    [
        (f"p, user:{AMY}, main, *, gateway/users, manage, , allow", (TOOLS,)),
        (f"p, user:{AMY}, main, *, gateway/users, inspect, , allow", ()),
        (f"p, user:{AMY}, main, self, gateway/keys, manage, , allow", (TOOLS,)),
        (f"p, user:{AMY}, main, user:{BOB}, gateway/keys, manage, , allow", ()),
        (f"p, user:{AMY}, main, self, custom/post, share, , allow", (TOOLS,)),
        (f"p, user:{AMY}, main, *, gateway/audit, inspect, , allow", ()),
        (f"p, user:{BOB}, main, *, gateway/users, manage, , allow", ()),
    ],
)
async def test_who_gets_or_loses_one_of_our_tools_is_told(row: str, heard: tuple[Notification, ...]):
    door = door_of()
    for rows in (row, ""):
        assert await told(door, lambda rows=rows: door.apply(rows), AMY) == [heard]


async def test_a_role_that_gives_one_of_our_tools_reaches_whom_it_is_given():
    rows = "p, role:admin, main, *, gateway/users, manage, , allow"
    door = door_of(rows)
    assert await told(door, lambda: door.apply(f"{rows}\ng, user:{AMY}, role:admin, *"), AMY, BOB) == [(TOOLS,), ()]


async def test_a_share_reaches_whom_it_is_made_for_and_not_its_maker():
    door = door_of(MINE, SLACK)
    door.make(wrapper(), letter())
    assert await told(door, lambda: door.apply(f"{MINE}\n{SLACK}\n{SHARED}"), AMY, BOB, EVE) == [(), (TOOLS,), ()]
    both = f"{MINE}\n{SLACK}\n{SHARED}\n{GREETS}"
    assert await told(door, lambda: door.apply(both), AMY, BOB, EVE) == [(), (PROMPTS,), ()]
    assert await told(door, lambda: door.apply(f"{MINE}\n{SLACK}"), AMY, BOB, EVE) == [(), (TOOLS, PROMPTS), ()]


async def test_whoever_borrows_is_told_when_the_lender_may_no_more():
    own = f"p, user:{AMY}, main, self, custom/*, write, , allow"
    mine = f"p, user:{AMY}, main, self, slack/*, write, , allow"
    base = f"p, user:{BOB}, main, self, slack/send, write, tool.via == 'custom/post', allow"
    door = door_of(own, mine, base, SHARED)
    door.make(wrapper())
    assert await door.tools(BOB) == ["post"]
    assert await told(door, lambda: door.apply(f"{mine}\n{base}\n{SHARED}"), BOB, EVE) == [(TOOLS,), ()]


async def test_whoever_may_no_longer_use_what_a_tool_calls_is_told():
    door = door_of(MINE, f"p, user:{AMY}, main, self, slack/*, write, tool.via == 'custom/post', allow")
    door.make(wrapper())
    assert await door.tools(AMY) == ["post"]
    assert await told(door, lambda: door.apply(MINE), AMY) == [(TOOLS,)]


# -- what users make


async def test_what_is_made_changed_and_deleted_is_told_to_its_maker_and_to_whom_he_lends_it():
    door = door_of(MINE, SLACK, SHARED, GREETS)
    people = AMY, BOB, EVE
    assert await told(door, lambda: door.make(wrapper()), *people) == [(TOOLS,), (TOOLS,), ()]
    assert await told(door, lambda: door.make(wrapper(description="better")), *people) == [(TOOLS,), (TOOLS,), ()]
    assert await told(door, lambda: door.make(letter()), *people) == [(PROMPTS,), (PROMPTS,), ()]
    assert await told(door, lambda: door.make(wrapper("other")), *people) == [(TOOLS,), (), ()]
    gone = [f"user:{AMY}/post", f"user:{AMY}/greet"]
    assert await told(door, lambda: door.make(gone=gone), *people) == [(TOOLS, PROMPTS), (TOOLS, PROMPTS), ()]


async def test_what_changes_nothing_that_a_list_shows_is_no_news():
    door = door_of(MINE, SLACK)
    door.make(wrapper())
    assert await told(door, lambda: door.make(wrapper(rev=7, updated_at=3, by="x")), AMY) == [()]
    assert await told(door, lambda: door.make(wrapper(calls="slack/gone", name="lost")), AMY) == [()]


async def test_what_the_operator_makes_is_told_to_all_who_may_use_it():
    door = door_of(SLACK, f"p, user:{AMY}, main, system, custom/*, write, , allow")
    assert await told(door, lambda: door.make(wrapper(maker=SYSTEM)), AMY, BOB) == [(TOOLS,), ()]


async def test_a_server_that_offers_nothing_of_users_tells_nothing_of_it():
    rows = f"{MINE}\n{SLACK}".replace("main", "*")
    door = door_of(rows, servers=[Server("side", ("slack",))])
    assert await told(door, lambda: door.make(wrapper()), AMY, domain="side") == [()]
    for domain, heard in (("side", ()), (MAIN, (TOOLS,))):
        door.apply(rows)
        more = f"{rows}\np, user:*, *, *, gateway/users, manage, , allow"
        assert await told(door, lambda more=more: door.apply(more), AMY, domain=domain) == [heard]


async def test_a_tool_that_is_made_and_shared_at_once_is_told_once():
    door = door_of(MINE, SLACK)

    def both() -> None:
        door.make(wrapper())
        door.apply(f"{MINE}\n{SLACK}\n{SHARED}")

    assert await told(door, both, AMY, BOB, EVE) == [(TOOLS,), (TOOLS,), ()]


async def test_a_tool_gone_from_a_server_behind_is_told_to_whoever_calls_it_through_another():
    base = f"p, user:{BOB}, main, self, slack/send, write, tool.via == 'custom/post', allow"
    door = door_of(SLACK.replace("user:*", f"user:{AMY}"), MINE.replace("user:*", f"user:{AMY}"), base, SHARED)
    door.make(wrapper())
    assert await door.tools(BOB) == ["post"]
    [slack] = door.connectors
    slack.change(Event.TOOLS)
    change = Change("slack", Event.TOOLS)
    assert await door.pipeline.changes(change, door.person(BOB), MAIN) == [TOOLS]
    assert await door.pipeline.changes(change, door.person(EVE), MAIN) == []


# -- what they hide


@pytest.mark.parametrize(
    ("hidden", "heard"),
    [
        (("slack:send",), (TOOLS,)),
        ((f"{AMY}:post",), (TOOLS,)),
        (("system:keep-user",), (TOOLS,)),
        (("system:stays", "slack:ask", f"{AMY}:greet", "nobody:x", f"{BOB}:post"), ()),
        (("system:execute_action",), ()),
        ((f"{AMY}:always",), ()),
    ],
)
async def test_who_hides_a_tool_that_he_saw_is_told_and_nobody_else(hidden: tuple[str, ...], heard: Any):
    door = door_of(MINE, SLACK, "p, user:*, main, *, gateway/*, manage, , allow")
    door.make(wrapper(), wrapper("always", always_visible=True), letter())
    for ids in (hidden, ()):
        assert await told(door, lambda ids=ids: door.hide(AMY, *ids), AMY, BOB) == [heard, ()]


async def test_who_hides_a_meta_tool_is_told():
    door = door_of(SLACK, meta=frozenset({"slack"}))
    assert await told(door, lambda: door.hide(AMY, "system:execute_action"), AMY, BOB) == [(TOOLS,), ()]


async def test_what_is_hidden_comes_and_goes_without_news():
    door = door_of(MINE, SLACK, SHARED)
    door.make(wrapper())
    door.hide(BOB, f"{AMY}:post", "slack:send", "system:keep-user")
    assert await told(door, lambda: door.make(wrapper(description="better")), AMY, BOB) == [(TOOLS,), ()]
    rows = f"{MINE}\n{SLACK}\np, user:*, main, *, gateway/users, manage, , allow"
    assert await told(door, lambda: door.apply(rows), AMY, BOB) == [(TOOLS,), ()]
    [slack] = door.connectors
    slack.offered = [tool("send", schema=schema("text"))]
    slack.change(Event.TOOLS)
    door.hide(BOB, "slack:send", "slack:list", f"{AMY}:post", f"{BOB}:mine", "system:share")
    assert await door.pipeline.changes(Change("slack", Event.TOOLS), door.person(BOB), MAIN) == []


async def test_nobody_is_asked_anything_whom_nothing_concerns(monkeypatch: pytest.MonkeyPatch):
    door = door_of(MINE, SLACK)
    bob = door.person(BOB)
    former = door.follower.current
    door.make(wrapper())
    door.hide(AMY, "slack:send")
    monkeypatch.setattr(door.directory, "view", None)
    same = at_once(Turn(former.policy, former.policy).compared())
    assert await door.pipeline.turned(same, bob, MAIN, former=former) == News()


# -- told exactly when a list is another one

POLICIES = st.lists(
    st.sampled_from(
        [
            *(MINE, SLACK, SHARED, GREETS),
            f"p, user:{BOB}, main, user:{AMY}, custom/*, write, , allow",
            f"p, user:{BOB}, main, self, slack/send, write, tool.via == 'custom/post', allow",
            "p, *, *, *, custom/post, write, , deny",
            f"p, user:{AMY}, *, *, slack/send, write, , deny",
            "p, user:*, main, *, gateway/users, manage, , allow",
            "p, role:r, main, self, gateway/keys, manage, , allow",
            f"g, user:{BOB}, role:r, *",
            "p, user:*, *, *, *, *, tool.destructive, deny",
        ]
    ),
    max_size=6,
    unique=True,
).map("\n".join)
MADE = st.lists(
    st.sampled_from(
        [
            wrapper(),
            wrapper(description="better"),
            wrapper(calls="slack/list", takes=schema()),
            wrapper(maker=BOB),
            wrapper(maker=BOB, made=0),
            wrapper("list", calls="slack/list", always_visible=True, takes=schema()),
            letter(),
            letter(text="Hello"),
            letter(maker=BOB),
        ]
    ),
    max_size=4,
    unique_by=lambda each: (type(each), each.id),
)
HIDDEN = st.sets(st.sampled_from([f"{AMY}:post", f"{BOB}:post", f"{AMY}:list", "slack:send", "system:keep-user"]))


@given(st.lists(st.tuples(POLICIES, MADE, HIDDEN), min_size=2, max_size=3))
async def test_it_is_told_exactly_of_the_lists_that_are_others_than_before(steps):
    door = door_of()

    def put(step: Any) -> None:
        rows, made, hidden = step
        there = [*door.follower.current.custom.tools.by_id, *door.follower.current.custom.prompts.by_id]
        door.make(gone=there)
        door.make(*made)
        door.hide(BOB, *sorted(hidden))
        door.apply(rows)

    put(steps[0])
    was = await lists(door)
    for step in steps[1:]:
        [heard] = await told(door, lambda step=step: put(step), BOB)
        now = await lists(door)
        assert {each.method for each in heard} == {method for method in now if now[method] != was[method]}
        was = now


async def lists(door: Door) -> dict[str, Any]:
    """What Bob sees, by the notification that tells of it."""
    tools = (await door.ask(BOB, "tools/list"))["tools"]
    return {TOOLS.method: tools, PROMPTS.method: (await door.ask(BOB, "prompts/list"))["prompts"]}
