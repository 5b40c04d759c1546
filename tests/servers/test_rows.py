"""What a server that a user offers lets in: through the one door, by the rows that follow from its record."""

import pytest
from msgspec.structs import replace

from connectors.base import Unasked
from gateway.errors import Barred, Unauthenticated
from gateway.pipeline import Arrival
from gateway.policy.terms import Subject
from gateway.records import Listing, Mode, Permission, Restrictions, Server, Token
from gateway.servers.known import token_proof
from gateway.servers.rows import fits
from tests.builders import AMY, NOON, ORIGIN, RING, Door, call
from tests.fakes import FakeConnector, tool

OWNER = "otto@example.com"
ID = "desk-a1b2c3d4"
TOKEN = "mcp_token_abc"
ROWS = """
p, user:otto@example.com, main, self, *, write, , allow
p, user:otto@example.com, main, self, *, connect, , allow
"""


def server(*, tokens: tuple[Token, ...] | None = None, **more) -> Server:
    known = Token(id=RING.hash(TOKEN), secret_id="k1", prefix="mcp_token_a", created_at=1, expires_at=NOON + 10_000)
    given = (known,) if tokens is None else tokens
    return Server(id=ID, owner=f"user:{OWNER}", name="Desk", mode=Mode.DIRECT, tokens=given, **more)


def house(rows: str = ROWS, **more) -> Door:
    door = Door(rows, [FakeConnector("a", [tool("x"), tool("y")]), FakeConnector("b", [tool("x")])])
    door.person(OWNER)
    door.offer(server(**more))
    return door


async def came(door: Door, token: str = TOKEN) -> Subject:
    return await door.pipeline.arrive(Arrival(domain=ID, token=token))


async def listed(door: Door, subject: Subject, domain: str = ID) -> list[str]:
    result = await door.pipeline.handle(call("tools/list", domain=domain), subject, ORIGIN, Unasked(door.heard.append))
    return [each["name"] for each in result["tools"]]


async def test_a_token_uses_what_its_owner_may_and_nothing_of_main():
    door = house()
    subject = await came(door)
    assert subject.name == f"server:{ID}"
    assert await listed(door, subject) == ["a__x", "a__y", "b__x"]
    assert await listed(door, subject, "main") == []


async def test_a_server_gives_no_more_than_its_owner_has_and_loses_it_with_him():
    door = house("p, user:otto@example.com, main, self, a/x, write, , allow\n")
    assert await listed(door, await came(door)) == ["a__x"]


async def test_a_server_on_which_nobody_named_its_token_is_closed_to_it():
    door = house(restrictions=Restrictions(users=Listing(allow=True, names=("u1",))))
    with pytest.raises(Barred):
        await came(door)
    named = Subject(f"end:{ID}/u1", credential=token_proof(server().tokens[0]))
    assert await listed(door, named) == ["a__x", "a__y", "b__x"]


@pytest.mark.parametrize("nothing", [Restrictions(connectors=Listing(allow=True)), Restrictions(permissions=())])
async def test_a_server_of_which_nothing_is_left_lets_nobody_in(nothing):
    door = house(restrictions=nothing)
    with pytest.raises(Barred):
        await came(door)
    with pytest.raises(Barred):
        await door.pipeline.arrive(Arrival(key=door.keys[OWNER], domain=ID))


@pytest.mark.parametrize(
    ("restrictions", "left"),
    [
        (Restrictions(connectors=Listing(allow=True, names=("a",))), ["a__x", "a__y"]),
        (Restrictions(connectors=Listing(allow=False, names=("a",))), ["b__x"]),
        (Restrictions(actions=Listing(allow=True, names=("x",))), ["a__x", "b__x"]),
        (Restrictions(actions=Listing(allow=True, names=("a:*",))), ["a__x", "a__y"]),
        (Restrictions(actions=Listing(allow=False, names=("a:x", "y*"))), ["b__x"]),
        (Restrictions(permissions=(Permission(connector="a", actions=("*y",)), Permission(connector="b"))), ["a__y", "b__x"]),
        (
            Restrictions(
                permissions=(Permission(connector="a"),),
                connectors=Listing(allow=True, names=("a", "b")),
                actions=Listing(allow=False, names=("a:x",)),
            ),
            ["a__y"],
        ),
    ],
)  # fmt: skip
async def test_restrictions_leave_what_every_one_of_them_lets_through(restrictions, left):
    door = house(restrictions=restrictions)
    assert await listed(door, await came(door)) == left


@pytest.mark.parametrize(
    "after",
    [
        lambda door: door.offer(server(tokens=())),
        lambda door: door.offer(gone=(ID,)),
        lambda door: setattr(door, "now", NOON + 10_000),
    ],
    ids=["withdrawn", "deleted", "ended"],
)
async def test_a_token_that_no_longer_counts_neither_comes_in_nor_stays_in(after):
    door = house()
    subject = await came(door)
    after(door)
    with pytest.raises(Unauthenticated):
        await came(door)
    with pytest.raises(Unauthenticated):
        await listed(door, subject)


async def test_no_other_token_and_no_key_of_somebody_else_comes_in():
    door = house()
    for token in ("", TOKEN[:-1], f"{TOKEN}a", RING.hash(TOKEN)):
        with pytest.raises(Unauthenticated):
            await came(door, token)
    stranger = await door.pipeline.arrive(Arrival(key=door.keys[OWNER], domain=ID))
    assert stranger.name == f"user:{OWNER}"
    amy = door.person(AMY.removeprefix("user:"))
    assert await listed(door, amy) == []


async def test_a_public_server_is_open_to_every_account_with_what_is_his_own():
    door = house(public=True)
    assert await listed(door, door.person("eve@example.com")) == ["a__x", "a__y", "b__x"]


async def test_what_changes_on_a_server_is_what_its_next_list_shows():
    door = house()
    subject = await came(door)
    door.offer(replace(server(), restrictions=Restrictions(actions=Listing(allow=True, names=("b:x",)))))
    assert await listed(door, subject) == ["b__x"]
    door.offer(replace(server(), mode=Mode.UPSTREAM, upstream="a"))
    assert await listed(door, subject) == ["x", "y"]


async def test_what_a_long_list_keeps_out_is_several_rows_that_mean_the_same():
    names = tuple(f"a:{'n' * 60}{number}" for number in range(1_000))
    door = house(restrictions=Restrictions(actions=Listing(allow=False, names=(*names, "b:x"))))
    assert await listed(door, await came(door)) == ["a__x", "a__y"]


@pytest.mark.parametrize(
    ("names", "holds"), [([f"a:{'n' * 10}{number}" for number in range(900)], True), ([f"a:{'n' * 60}{number}" for number in range(900)], False)]
)  # fmt: skip
async def test_what_alone_is_let_through_has_to_fit_one_row(names, holds):
    offered = server(restrictions=Restrictions(actions=Listing(allow=True, names=(*names, "b:x"))))
    assert fits(offered, 100) == holds
    if holds:
        door = house(restrictions=offered.restrictions)
        assert await listed(door, await came(door)) == ["b__x"]


ANYWHERE = (
    "p, user:eve@example.com, *, self, *, write, , allow\np, user:eve@example.com, *, self, *, connect, , allow\n"
)


async def test_a_row_for_all_domains_lets_nobody_in_to_a_server_that_is_not_for_him():
    door = house(ROWS + ANYWHERE)
    door.person("eve@example.com")
    with pytest.raises(Barred):
        await door.pipeline.arrive(Arrival(key=door.keys["eve@example.com"], domain=ID))


@pytest.mark.parametrize(
    "restrictions",
    [
        Restrictions(connectors=Listing(allow=True, names=("b",))),
        Restrictions(actions=Listing(allow=True, names=("b:*",))),
        Restrictions(permissions=(Permission(connector="b", actions=("x",)),)),
    ],
)
async def test_a_row_for_all_domains_widens_no_restriction(restrictions):
    door = house(ROWS + ANYWHERE, restrictions=restrictions, public=True)
    assert await listed(door, door.person("eve@example.com")) == ["b__x"]
