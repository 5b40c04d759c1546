"""What a new policy means for who listens: told of exactly the lists in which he sees more or less."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.base import Change, Event
from gateway.catalogue import Server
from gateway.mcp.terms import Notification
from gateway.pipeline.news import News
from gateway.policy.shelves import at_once
from gateway.policy.terms import MAIN, SYSTEM
from gateway.policy.turn import Turn
from tests.builders import AMY, BOB, Door, policy
from tests.fakes import FakeConnector, prompt, resource, template, tool

TOOLS, PROMPTS, RESOURCES = (
    Notification(f"notifications/{kind}/list_changed") for kind in ("tools", "prompts", "resources")
)
OFFERED = [tool("t", "read"), tool("u"), prompt("p"), resource("a://1"), template("b://{x}")]


async def told(door: Door, rows: str, *, email: str = AMY, domain: str = MAIN, address: str = "", followed=()) -> News:
    """What is told when the policy becomes ``rows``."""
    subject = door.person(email)
    before = door.follower.current.policy
    door.apply(rows)
    difference = at_once(Turn(before, door.follower.current.policy).compared())
    return await door.pipeline.turned(difference, subject, domain, address=address, followed=followed)


def allow(object: str, *, sub: str = f"user:{AMY}", act: str = "write", when: str = "") -> str:
    return f"p, {sub}, main, self, {object}, {act}, {when}, allow"


@pytest.mark.parametrize(
    ("row", "heard"),
    [
        (allow("c/t"), {"tools"}),
        (allow("c/u", act="read"), set()),
        (allow("c/u", when="args.n == 1"), {"tools"}),
        (allow("c/prompt:p"), {"prompts"}),
        (allow("c/resource:a://1"), {"resources"}),
        (allow("c/resource:b://7"), {"resources"}),
        (allow("c/resource:z://*"), set()),
        (allow("c/*"), {"tools", "prompts", "resources"}),
        (allow("d/*"), set()),
        (allow("c/*", sub=f"user:{BOB}"), set()),
        (f"p, user:{AMY}, side, self, c/*, write, , allow", set()),
    ],
)
async def test_it_is_told_of_each_list_in_which_he_sees_more_and_then_less(row: str, heard: set[str]):
    door = Door("", [FakeConnector("c", OFFERED), FakeConnector("d")], servers=[Server("side", ("c",))])
    wanted = {f"notifications/{kind}/list_changed" for kind in heard}
    for rows in (row, ""):
        news = await told(door, rows)
        assert {each.method for each in news.told} == wanted
        assert len(news.told) == len(wanted)
        assert await told(door, rows) == News()


POLICIES = st.lists(
    st.sampled_from(
        [
            *(allow(object) for object in ("c/t", "c/*", "*", "c/prompt:p", "c/resource:a://*", "c/resource:b://*")),
            allow("c/u", sub="role:r", when="args.n == 1"),
            allow("*", sub="user:*"),
            *(f"p, *, *, *, {object}, read, , deny" for object in ("c/t", "c/prompt:p", "c/resource:a://1", "*")),
            f"g, user:{AMY}, role:r, *",
        ]
    ),
    max_size=4,
    unique=True,
).map("\n".join)


@given(POLICIES, POLICIES, POLICIES)
async def test_it_is_told_exactly_of_the_lists_that_are_others_than_before(first: str, second: str, third: str):
    door = Door(first, [FakeConnector("c", OFFERED)], limits=LIMITS)
    was = await lists(door)
    for rows in (second, third):
        news = await told(door, rows, followed=("a://1", "b://2"))
        now = await lists(door)
        assert {each.method for each in news.told} == {method for method in now if now[method] != was[method]}
        assert news.lost == {uri for uri in ("a://1",) if uri in was[RESOURCES.method] - now[RESOURCES.method]} | {
            uri for uri in ("b://2",) if "b://{x}" in was[RESOURCES.method] - now[RESOURCES.method]
        }
        was = now


LIMITS = "[[class]]\nname = 'default'\ncalls = 1000\nwindow_s = 60\n"


async def lists(door: Door) -> dict[str, set[str]]:
    """What Amy sees, by the notification that tells of it."""

    async def shown(method: str, field: str, key: str) -> set[str]:
        return {each[key] for each in (await door.ask(AMY, method))[field]}

    return {
        TOOLS.method: await shown("tools/list", "tools", "name"),
        PROMPTS.method: await shown("prompts/list", "prompts", "name"),
        RESOURCES.method: await shown("resources/list", "resources", "uri")
        | await shown("resources/templates/list", "resourceTemplates", "uriTemplate"),
    }


async def test_who_is_gone_is_told_nothing():
    door = Door("", [FakeConnector("c", OFFERED)])
    subject, before = door.person(AMY), door.follower.current.policy
    door.apply(allow("c/*"))
    door.dismiss(AMY)
    difference = at_once(Turn(before, door.follower.current.policy).compared())
    assert await door.pipeline.turned(difference, subject, MAIN) == News()


@pytest.mark.parametrize(("address", "heard"), [("192.0.2.7", (TOOLS,)), ("203.0.113.1", ()), ("", ())])
async def test_it_is_asked_about_from_where_the_client_is(address: str, heard: tuple[Notification, ...]):
    door = Door("", [c := FakeConnector("c", OFFERED)])
    near = allow("c/t", when="cidr(env.address, '192.0.2.0/24')")
    assert (await told(door, near, address=address)).told == heard
    c.change(Event.TOOLS)
    changes = await door.pipeline.changes(Change("c", Event.TOOLS), door.person(AMY), MAIN, address=address)
    assert changes == list(heard)


async def test_it_is_told_when_a_lender_may_no_more():
    rows = f"p, user:{AMY}, main, user:{BOB}, c/t, read, , allow"
    lent = f"p, user:{BOB}, main, self, c/t, read, , allow"
    lender = FakeConnector("c", OFFERED, lenders=(f"user:{BOB}",))
    door = Door(f"{rows}\n{lent}", [lender, FakeConnector("d", lenders=("", SYSTEM))])
    assert (await told(door, rows)).told == (TOOLS,)
    assert (await told(door, f"{rows}\n{lent}")).told == (TOOLS,)
    assert (await told(door, f"{rows}\n{lent}\n{allow('c/*', sub='user:cid@example.com')}")) == News()


async def test_resources_that_may_be_read_no_longer_are_lost_and_no_others():
    both = f"{allow('c/resource:a://*')}\n{allow('c/resource:b://*')}"
    door = Door(both, [FakeConnector("c", OFFERED)])
    news = await told(door, allow("c/resource:b://*"), followed=("a://1", "b://2", "z://3", "a://../x"))
    assert news == News((RESOURCES,), frozenset(("a://1",)))
    assert (await told(door, both, followed=("b://2",))).lost == frozenset()


async def test_only_what_a_row_covers_is_judged(monkeypatch: pytest.MonkeyPatch):
    door = Door("", [FakeConnector("c", [tool(f"t{number}", "read") for number in range(500)])])
    judged: list[str] = []
    policy_ = policy("")
    possible = type(policy_).possible
    monkeypatch.setattr(
        type(policy_),
        "possible",
        lambda self, chain, *more: judged.append(chain[0].object) or possible(self, chain, *more),
    )
    assert (await told(door, allow("c/t7"))).told == (TOOLS,)
    assert set(judged) == {"c/t7"}
