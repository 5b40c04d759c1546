"""The tools for keys through the door: several keys of one account, each with its own servers and its own end."""

import asyncio

import msgspec
import pytest
from msgspec.structs import replace

from gateway.builtins.keys import keys
from gateway.builtins.people import people
from gateway.errors import Unauthenticated
from gateway.identity import credential
from gateway.manage.key_bounds import MOST_KEYS
from gateway.manage.sign_ins import find_sign_in, sign_in
from gateway.pipeline.arriving import Arrival
from gateway.records import Server
from tests.builders import NOON, RING
from tests.builtins.house import House, Refused, house

ADA, ANN, BOB, SUE = (f"{name}@example.com" for name in ("ada", "ann", "bob", "sue"))
DAY = 24 * 3_600_000
ROWS = """\
p, user:*, main, self, gateway/directory, inspect, , allow
p, role:user, main, self, gateway/keys, manage, , allow
p, role:brief, main, self, gateway/keys, manage, args.days > 0 and args.days <= 30, allow
p, role:admin, main, *, gateway/users, manage, , allow
p, role:admin, main, *, gateway/keys, manage, not some(owner.roles, it == 'security'), allow
g, user:sue@example.com, role:security, *
"""


@pytest.fixture
async def home(store):
    found = await house(store, ROWS, lambda office: (*people(office), *keys(office)))
    await found.add(ADA, "admin", "user")
    await found.add(ANN, "user")
    await found.add(BOB, "user")
    await store.servers.add(Server(id="shop-1", owner=f"user:{ANN}", name="Shop", created_at=NOON))
    await found.follower.catch_up()
    return found


async def counts(home: House, key: str, domain: str = "main") -> bool:
    try:
        return (await home.door.pipeline.arrive(Arrival(key=key, domain=domain))).name == f"user:{ANN}"
    except Unauthenticated:
        return False


def proof(key: str) -> str:
    """The id by which a key is known."""
    return credential(RING.hash(key))


async def later(home: House, ms: int) -> None:
    home.door.now += ms
    await home.follower.catch_up()


async def test_several_keys_prove_one_user_each_where_it_counts_and_as_long_as_it_lasts(home: House):
    wide = await home.use(ANN, "add-key", name=" laptop ")
    narrow = await home.use(ANN, "add-key", name="build", servers=["shop-1", "shop-1"], expiresInDays=2)
    assert (wide["name"], wide["servers"], wide["expiresAt"]) == ("laptop", [], None)
    assert (narrow["servers"], narrow["expiresAt"]) == (["shop-1"], "2026-11-25T12:00:00.000Z")
    assert [await counts(home, each["apiKey"]) for each in (wide, narrow)] == [True, False]
    assert [await counts(home, each["apiKey"], "shop-1") for each in (wide, narrow)] == [True, True]
    await later(home, 2 * DAY - 1)
    assert await counts(home, narrow["apiKey"], "shop-1")
    await later(home, 1)
    assert not await counts(home, narrow["apiKey"], "shop-1")
    assert await counts(home, wide["apiKey"])


async def test_a_list_tells_how_keys_begin_and_never_more(home: House, store):
    made = await home.use(ANN, "add-key", name="build", servers=["main"], expiresInDays=1)
    listed = await home.use(ANN, "list-keys")
    assert listed["total"] == 2
    mine = next(each for each in listed["keys"] if each["name"] == "build")
    assert set(mine) == {"id", "email", "name", "prefix", "servers", "createdAt", "expiresAt"}
    assert mine == {name: value for name, value in made.items() if name != "apiKey"}
    assert made["apiKey"].startswith(mine["prefix"])
    assert len(mine["prefix"]) == 8
    told = str(listed) + str(await home.use(ADA, "list-keys", email=ANN))
    for record in await store.keys.page():
        assert record.id not in told
    for secret in (made["apiKey"], home.keys[ANN]):
        assert secret not in told
        assert secret not in msgspec.json.encode(home.door.entries).decode()
        assert secret not in repr(await store.keys.page())


async def test_a_rotated_key_goes_on_counting_for_its_overlap_and_not_a_moment_longer(home: House):
    former = await home.use(ANN, "add-key", name="build", servers=["main", "shop-1"], expiresInDays=9)
    fresh = await home.use(ANN, "rotate-key", id=former["id"], overlapSeconds=60)
    assert {**fresh, "id": "", "apiKey": "", "prefix": ""} == {**former, "id": "", "apiKey": "", "prefix": ""}
    assert fresh["id"] != former["id"]
    await later(home, 59_999)
    assert [await counts(home, each["apiKey"]) for each in (former, fresh)] == [True, True]
    await later(home, 1)
    assert [await counts(home, each["apiKey"]) for each in (former, fresh)] == [False, True]
    at_once = await home.use(ANN, "rotate-key", id=fresh["id"], expiresInDays=20)
    assert [await counts(home, each["apiKey"]) for each in (fresh, at_once)] == [False, True]
    assert at_once["expiresAt"] > fresh["expiresAt"]


async def test_an_overlap_never_lengthens_the_life_of_the_former_key(home: House):
    former = await home.use(ANN, "add-key", expiresInDays=1)
    await later(home, DAY - 10)
    await home.use(ANN, "rotate-key", id=former["id"], overlapSeconds=60, expiresInDays=3)
    await later(home, 10)
    assert not await counts(home, former["apiKey"])


async def test_of_two_rotations_at_once_one_succeeds(home: House, store):
    for overlap in (0, 60):
        former = await home.use(ANN, "add-key")
        before = len(await store.keys.page())
        outcomes = await asyncio.gather(
            *(home.use(ANN, "rotate-key", id=former["id"], overlapSeconds=overlap) for _ in range(3)),
            return_exceptions=True,
        )
        made = [each for each in outcomes if isinstance(each, dict)]
        assert len(made) == 1
        assert all(isinstance(each, dict | Refused) for each in outcomes)
        assert len(await store.keys.page()) == before + (overlap > 0)
        assert await counts(home, made[0]["apiKey"])


async def test_a_revoked_key_ends_at_once_and_alone(home: House):
    first, second = [await home.use(ANN, "add-key") for _ in range(2)]
    assert await home.use(ANN, "revoke-key", id=first["id"]) == {"success": True, "id": first["id"]}
    assert [await counts(home, each["apiKey"]) for each in (first, second)] == [False, True]
    with pytest.raises(Refused, match="there is no key"):
        await home.use(ANN, "revoke-key", id=first["id"])
    own, home.keys[ANN] = proof(home.keys[ANN]), second["apiKey"]
    await home.use(ANN, "revoke-key", id=own)
    await home.use(ANN, "revoke-key", id=second["id"])
    assert await home.store.keys.page()
    assert not await counts(home, second["apiKey"])


async def test_other_keys_of_others_and_keys_that_there_are_not_are_the_same(home: House):
    foreign = proof(home.keys[BOB])
    for tool in ("revoke-key", "rotate-key"):
        refusals = []
        for id in (foreign, "f" * 16, "no such", foreign[:8], RING.hash(home.keys[BOB])):
            with pytest.raises(Refused) as refused:
                await home.use(ANN, tool, id=id)
            refusals.append(str(refused.value).replace(id[:80], "ID").partition("(")[0])
        assert len(set(refusals)) == 1, refusals
    assert home.proves(home.keys[BOB]) == f"user:{BOB}"


async def test_who_administers_keys_does_so_for_others_where_the_policy_lets_him(home: House):
    made = await home.use(ADA, "add-key", email=ANN, name="from Ada")
    assert home.proves(made["apiKey"]) == f"user:{ANN}"
    fresh = await home.use(ADA, "rotate-key", id=made["id"])
    assert home.proves(fresh["apiKey"]) == f"user:{ANN}"
    await home.use(ADA, "revoke-key", id=fresh["id"])
    assert home.proves(fresh["apiKey"]) == ""
    await home.add(SUE)
    for tool, args in (("add-key", {"email": SUE}), ("list-keys", {"email": ANN})):
        with pytest.raises(Refused, match=r"(?i)not allowed|denied"):
            await home.use(ADA if tool == "add-key" else BOB, tool, **args)
    with pytest.raises(Refused, match="there is no user"):
        await home.use(ADA, "add-key", email="nobody@example.com")


async def test_conditions_see_the_whole_new_key(home: House, store):
    await home.add("tim@example.com", "brief")
    tim = "tim@example.com"
    made = await home.use(tim, "add-key", expiresInDays=30)
    entry = home.door.last
    assert (entry.method, entry.object, entry.action, entry.owner) == (
        *("tools/call", "gateway/keys", "manage"),
        f"user:{tim}",
    )
    for args in ({}, {"expiresInDays": 31}):
        with pytest.raises(Refused):
            await home.use(tim, "add-key", **args)
    await later(home, DAY // 2)
    assert (await home.use(tim, "rotate-key", id=made["id"]))["expiresAt"] == made["expiresAt"]
    with pytest.raises(Refused):
        await home.use(tim, "rotate-key", id=proof(home.keys[tim]))


async def test_a_key_for_some_servers_makes_none_that_can_more_or_lives_longer(home: House):
    made = await home.use(ANN, "add-key", servers=["main"], expiresInDays=10)
    before = {each.id for each in home.follower.current.identities.keys.values()}
    wide, home.keys[ANN] = proof(home.keys[ANN]), made["apiKey"]
    for tool, args in (
        ("add-key", {}),
        ("add-key", {"servers": ["shop-1"], "expiresInDays": 1}),
        ("add-key", {"servers": ["main", "shop-1"], "expiresInDays": 1}),
        ("add-key", {"servers": ["main"]}),
        ("add-key", {"servers": ["main"], "expiresInDays": 11}),
        ("rotate-key", {"id": wide}),
        ("rotate-key", {"id": made["id"], "expiresInDays": 11}),
        ("reset-api-key", {"userConfirmed": True}),
    ):
        with pytest.raises(Refused, match=r"your key counts on `main` alone|outlives"):
            await home.use(ANN, tool, **args)
    assert {each.id for each in home.follower.current.identities.keys.values()} == before
    child = await home.use(ANN, "add-key", servers=["main"], expiresInDays=10)
    home.keys[ANN] = child["apiKey"]
    assert (await home.use(ANN, "rotate-key", id=child["id"]))["expiresAt"] == made["expiresAt"]


async def test_an_administrators_key_for_some_servers_makes_no_account(home: House):
    made = await home.use(ADA, "add-key", servers=["main"])
    home.keys[ADA] = made["apiKey"]
    for tool, args in (
        ("add-user", {"email": "new@example.com"}),
        ("reset-api-key", {"email": ANN, "userConfirmed": True}),
        ("add-key", {"email": ANN}),
    ):
        with pytest.raises(Refused, match="counts on `main` alone"):
            await home.use(ADA, tool, **args)
    assert "new@example.com" not in home.follower.current.identities.users
    assert home.proves(home.keys[ANN]) == f"user:{ANN}"
    assert (await home.use(ADA, "add-key", email=ANN, servers=["main"]))["email"] == ANN


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({"servers": ["shop-2"]}, "there is no server `shop-2`"),
        ({"servers": [""]}, "servers"),
        ({"expiresInDays": 0}, "expiresInDays"),
        ({"expiresInDays": 3651}, "expiresInDays"),
        ({"name": "x" * 101}, "name"),
        ({"name": "a\nb"}, "printable"),
        ({"email": "nobody"}, "email"),
        ({"user": ANN}, "user"),
    ],
)
async def test_what_no_key_can_be_is_refused_and_nothing_is_made(home: House, store, args, said):
    before = len(await store.keys.page())
    with pytest.raises(Refused, match=said):
        await home.use(ANN, "add-key", **args)
    assert len(await store.keys.page()) == before


async def test_an_account_has_a_bounded_number_of_keys_and_ended_ones_make_room(home: House, store):
    one = (await store.keys.page())[0]
    for number in range(MOST_KEYS - 1):
        await store.keys.add(
            replace(
                one, id=f"{number:016}{0:048}", user=ANN, created_at=NOON, expires_at=NOON + 5 if number == 7 else None
            )
        )
    await home.follower.catch_up()
    full = home.follower.current.identities.keys_of(ANN, NOON)
    for tool, args in (("add-key", {}), ("rotate-key", {"id": full[0].id[:16], "overlapSeconds": 5})):
        with pytest.raises(Refused, match=f"has {MOST_KEYS} keys"):
            await home.use(ANN, tool, **args)
    await later(home, 5)
    await home.use(ANN, "add-key")
    assert await store.keys.get(f"{7:016}{0:048}") is None


async def test_a_further_key_ends_no_sign_in_and_a_reset_ends_them_all(home: House, store):
    home.door.now += 10
    cookie = await sign_in(store, RING, f"user:{ANN}", how="mail", now=home.door.now)
    signed = await find_sign_in(store, RING, cookie.reveal(), now=home.door.now)
    home.door.now += 10
    made = await home.use(ANN, "add-key")
    await home.use(ANN, "rotate-key", id=proof(home.keys[ANN]))
    identities = home.follower.current.identities
    assert identities.signed_in(signed, home.door.now).name == f"user:{ANN}"
    home.keys[ANN] = made["apiKey"]
    await home.use(ANN, "reset-api-key", userConfirmed=True)
    with pytest.raises(Unauthenticated):
        home.follower.current.identities.signed_in(signed, home.door.now)
    assert not await counts(home, made["apiKey"])


async def test_each_sees_the_tools_for_keys_that_he_could_use(home: House):
    tools = {"list-keys", "add-key", "rotate-key", "revoke-key"}
    assert tools <= set(await home.listed(ANN))
    await home.add("pat@example.com")
    assert not tools & set(await home.listed("pat@example.com"))
