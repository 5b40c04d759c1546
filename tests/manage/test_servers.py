"""Servers that users offer: who makes, changes and ends them, and what is refused."""

import asyncio
import dataclasses

import pytest
from msgspec.structs import replace

from connectors.base import QUIET
from gateway.errors import Conflict, Denied, InvalidArguments, Unauthenticated, Unknown
from gateway.policy.engine import Policy
from gateway.policy.rules import read as read_bundle
from gateway.records import Restrictions
from gateway.servers.restrictions import Known
from gateway.servers.signers import context_of
from gateway.snapshot import Snapshot
from tests.builders import MODEL, NOON, ORIGIN, call
from tests.manage.offering import ADA, EVE, OTTO, PUB, ROWS, Market, refusal_of

DAY = 24 * 60 * 60 * 1000
SECRET = "a secret of at least thirty-two bytes"
HS = {"issuer": "https://app.example.com", "algorithm": "HS256", "secret": SECRET}
ES = {"issuer": "https://app.example.com", "algorithm": "ES256", "jwksUrl": "https://app.example.com/jwks"}
ONLY_A = {"connectors": {"mode": "allowlist", "allowedIds": ["a"]}}


async def listed(market: Market, id: str, token: str) -> list[str]:
    subject = await market.came(id, token)
    result = await market.door.pipeline.handle(call("tools/list", domain=id), subject, ORIGIN, QUIET)
    return [each["name"] for each in result["tools"] if "__" in each["name"]]


# -- making


async def test_a_new_server_lets_its_token_in_and_keeps_only_what_nobody_can_turn_back():
    market = Market()
    issued = await market.create(mode="direct", description="For the desk", instructions="Be kind.")
    token, server = issued.token.reveal(), issued.server
    assert token.startswith("mcp_token_")
    assert len(token) == len("mcp_token_") + 43, "256 random bits"
    assert server.id.startswith("desk-")
    assert len(server.id) == len("desk-") + 8
    assert server.tokens[0].prefix == token[:12]
    assert server.tokens[0].expires_at == NOON + 90 * DAY
    assert (server.owner, server.by, server.created_at) == (f"user:{OTTO}", f"user:{OTTO}", NOON)
    assert token not in repr(server) + repr(issued) + repr(market.store.servers.records) + repr(market.door.entries)
    assert await listed(market, server.id, token) == ["a__del_z", "a__x", "a__y", "b__x"]
    entry = market.door.entries[0]
    assert (entry.object, entry.action, entry.owner) == ("gateway/servers", "manage", f"user:{OTTO}")


@pytest.mark.parametrize(
    ("name", "begins"),
    [("My Server", "my-server-"), ("Büro  №1!", "buro-no1-"), ("日本", "server-"), ("x" * 100, "x" * 40 + "-")],
)
async def test_an_id_begins_like_the_name_and_ends_by_chance(name, begins):
    market = Market()
    issued = await market.create(name=name)
    assert issued.server.id.removeprefix(begins) != issued.server.id
    assert len(issued.server.id) == len(begins) + 8


@pytest.mark.parametrize("name", [" a", "a ", "a\tb", "a\u202eb", "\u2028"])
async def test_a_name_that_people_cannot_read_is_refused(name):
    refusal = await refusal_of(Market().create(name=name))
    assert isinstance(refusal, InvalidArguments)
    assert refusal.text.startswith("`name`: ")


async def test_a_name_is_one_server_of_one_owner_whatever_its_capitals():
    market = Market()
    first = await market.create(name="Straße")
    assert isinstance(await refusal_of(market.create(name="STRASSE")), Conflict)
    await market.create(PUB, name="Straße")
    other = await market.create(name="Other")
    assert isinstance(await refusal_of(market.update(other.server.id, name="straße")), Conflict)
    await market.update(first.server.id, name="STRASSE")
    assert await market.list() == ["Other", "STRASSE"]


async def test_of_one_name_given_twice_at_the_same_moment_at_most_one_stays():
    market = Market()
    plain, waiting = market.store.servers.add, asyncio.Event()

    async def add(record):
        added = await plain(record)
        if not waiting.is_set():
            waiting.set()
            await asyncio.sleep(0)
        return added

    market.store.servers.add = add
    done = await asyncio.gather(market.create(), market.create(), return_exceptions=True)
    assert any(isinstance(each, Conflict) for each in done)
    assert len(await market.list()) <= 1
    assert len(market.door.follower.current.servers.by_id) == len(market.store.servers.records) <= 1


@pytest.mark.parametrize(
    ("said", "days"), [({}, 90), ({"tokenExpiresInDays": 1}, 1), ({"tokenExpiresInDays": None}, None),
                       ({"tokenExpiresInDays": 0}, None)],
)  # fmt: skip
async def test_a_token_counts_for_ninety_days_unless_something_else_is_said(said, days):
    market = Market()
    issued = await market.create(**said)
    assert issued.server.tokens[0].expires_at == (None if days is None else NOON + days * DAY)
    market.later((days or 10_000) * DAY)
    if days is None:
        await market.came(issued.server.id, issued.token.reveal())
    else:
        with pytest.raises(Unauthenticated):
            await market.came(issued.server.id, issued.token.reveal())


async def test_the_policy_says_who_may_make_what():
    market = Market()
    assert isinstance(await refusal_of(market.create(EVE)), Denied)
    assert isinstance(await refusal_of(market.create(isPublic=True)), Denied)
    assert (await market.create(PUB, isPublic=True)).server.public
    assert next(iter(market.store.servers.records.values())).owner == f"user:{PUB}"


@pytest.mark.parametrize(
    ("when", "said", "allowed"),
    [
        ("args.days <= 30", {"tokenExpiresInDays": 30}, True),
        ("args.days <= 30", {"tokenExpiresInDays": 31}, False),
        ("args.days <= 30", {"tokenExpiresInDays": None}, False),
        ("args.mode == 'direct'", {"mode": "direct"}, True),
        ("args.mode == 'direct'", {}, False),
        ("every(args.connectors, it in ['a'])", {"restrictions": ONLY_A}, True),
        ("every(args.connectors, it in ['a'])", {}, False),
        (
            "every(args.connectors, it in ['a'])",
            {"restrictions": {"connectors": {"mode": "blocklist", "blockedIds": ["b"]}}},
            False,
        ),
        ("every(args.connectors, it in ['a'])", {"restrictions": {"permissions": [{"connector": "a"}]}}, True),
        ("every(args.connectors, it in ['b'])", {"mode": "upstream", "upstream": "b"}, True),
        ("every(args.users, it in ['u1'])", {}, False),
        ("every(args.issuers, it in ['https://i.example'])", {"jwt": [HS]}, False),
        ("every(args.redirects, starts(it, 'https://app.'))", {"redirectUris": ["https://app.example.com/x"]}, True),
        ("args.restricted", {}, False),
    ],
)
async def test_conditions_may_ask_of_the_whole_record_that_would_be(when, said, allowed):
    rows = ROWS + f"p, user:eve@example.com, main, self, gateway/servers, manage, {when}, allow\n"
    market = Market(rows)
    if allowed:
        await market.create(EVE, **said)
    else:
        assert isinstance(await refusal_of(market.create(EVE, **said)), Denied)
        assert market.store.servers.records == {}


async def test_everything_that_is_wrong_is_told_at_once_and_nothing_is_made():
    market = Market()
    refusal = await refusal_of(
        market.create(
            name=" x",
            upstream="b",
            redirectUris=["http://app.example.com/", "https://app.example.com/#x"],
            jwt=[
                {**HS, "secret": "short"},
                {**HS, "issuer": "ostiary"},
                {**ES, "jwksUrl": "http://app.example.com/jwks"},
            ],
            restrictions={"actions": {"mode": "allowlist", "allowedActions": ["a*b"], "blockedActions": ["x"]}},
        )
    )
    places = ("name", "upstream", "redirectUris[0]", "redirectUris[1]", "jwt[0].secret", "jwt[1].issuer", "jwt[2].jwksUrl",
              "restrictions.actions.blockedActions", "restrictions.actions")  # fmt: skip
    assert all(f"`{place}`: " in refusal.text for place in places)
    assert market.store.servers.records == {}


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"restrictions": {"connectors": {"mode": "blocklist", "blockedIds": ["A"]}}}, "there is no connector `A`"),
        ({"restrictions": {"actions": {"mode": "blocklist", "blockedActions": ["z"]}}}, "no connector has an action `z`"),
        ({"restrictions": {"actions": {"mode": "blocklist", "blockedActions": ["b:y"]}}}, "`b` has no action `y`"),
        ({"restrictions": {"permissions": [{"connector": "b", "actions": ["y"]}]}}, "`b` has no action `y`"),
        ({"restrictions": {"permissions": [{"connector": "c"}]}}, "there is no connector `c`"),
        ({"mode": "upstream", "upstream": "a"}, "no server behind the gateway called `a`"),
        ({"mode": "upstream"}, "`upstream`: "),
    ],
)  # fmt: skip
async def test_what_nothing_has_is_refused_and_not_ignored(said, told):
    market = Market()
    refusal = await refusal_of(market.create(**said))
    assert isinstance(refusal, InvalidArguments)
    assert told in refusal.text
    assert market.store.servers.records == {}


async def test_a_connector_that_cannot_be_asked_now_is_named():
    market = Market(silent=True)
    blocked = {"actions": {"mode": "blocklist", "blockedActions": ["a:x"]}}
    refusal = await refusal_of(market.create(restrictions=blocked))
    assert "`a` cannot be asked now; try again later" in refusal.text
    await market.create(restrictions={"actions": {"mode": "blocklist", "blockedActions": ["a:*", "b:x"]}})


async def test_nobody_has_more_servers_than_fit(monkeypatch):
    monkeypatch.setattr("gateway.manage.servers.MOST", 2)
    market = Market()
    for name in ("one", "two"):
        await market.create(name=name)
    assert "which is all that fit" in (await refusal_of(market.create(name="three"))).text
    await market.update(next(iter(market.store.servers.records)), description="still changed")


async def test_restrictions_that_become_too_many_rows_are_refused_before_they_cost_anything():
    market = Market()
    names = [f"u{number}@example.com" for number in range(1_000)]
    allowed = {"mode": "allowlist", "allowedIds": names}
    actions = {"mode": "allowlist", "allowedActions": [f"a:{'n' * 60}{number}*" for number in range(900)]}
    refusal = await refusal_of(market.create(restrictions={"users": allowed, "actions": actions}))
    assert "too long for one server" in refusal.text
    assert market.store.servers.records == {}


async def test_what_must_never_be_is_refused_to_its_maker():
    never = "never:\n  - {name: nobody deletes, who: '*', do: write, on: a/del_z}\n"
    market = Market()
    market.door.apply(ROWS)
    market.door.follower.current = _with_cases(market, never)
    refusal = await refusal_of(market.create())
    assert "it would allow what must never be" in refusal.text
    blocked = {"actions": {"mode": "blocklist", "blockedActions": ["a:del_*"]}}
    made = await market.create(restrictions=blocked)
    refusal = await refusal_of(market.update(made.server.id))
    assert "it would allow what must never be" in refusal.text, "what was kept out is not kept out any more"
    assert market.store.servers.records[made.server.id].restrictions.actions is not None
    await market.update(made.server.id, restrictions=blocked, description="the same")


def _with_cases(market: Market, text: str) -> Snapshot:
    bundle = read_bundle({"policies/model.conf": MODEL, "policies/rules.csv": ROWS, "policies/tests/n.yaml": text})
    assert not isinstance(bundle, list), bundle
    return dataclasses.replace(market.door.follower.current, policy=Policy.build(bundle, (), "3.0"))


# -- signers


async def test_a_secret_is_sealed_for_its_place_and_never_told():
    market = Market()
    server = (await market.create(jwt=[HS, ES])).server
    secret, public = server.signers
    assert market.vault.open(secret.sealed, context_of(server.id, secret.id)).decode() == SECRET
    assert (public.sealed, public.jwks_url, secret.jwks_url) == (b"", ES["jwksUrl"], "")
    assert SECRET not in repr(server) + repr(market.door.entries)


async def test_a_signer_stays_as_it_is_or_is_another_one():
    market = Market()
    server = (await market.create(jwt=[HS, ES])).server
    secret, public = server.signers
    kept = {"issuer": HS["issuer"], "algorithm": "HS256", "id": secret.id}
    assert (await market.update(server.id, jwt=[kept, ES])).server.signers == (secret, public)
    changed = (await market.update(server.id, jwt=[HS, {**ES, "algorithm": "RS256"}])).server.signers
    assert not {each.id for each in changed} & {secret.id, public.id}
    assert (await market.update(server.id)).server.signers == ()
    refusal = await refusal_of(market.update(server.id, jwt=[kept]))
    assert "`jwt[0].id`: " in refusal.text, "it went, and its secret with it"


@pytest.mark.parametrize(
    "changed", [{"issuer": "https://other.example.com"}, {"algorithm": "RS256", "jwksUrl": "https://x.example/jwks"}]
)
async def test_an_id_does_not_carry_a_secret_to_another_signer(changed):
    market = Market()
    server = (await market.create(jwt=[HS])).server
    kept = {"issuer": HS["issuer"], "algorithm": "HS256", "id": server.signers[0].id}
    assert "`jwt[0].id`: " in (await refusal_of(market.update(server.id, jwt=[{**kept, **changed}]))).text


# -- seeing


async def test_everybody_sees_the_servers_that_he_may_see_and_no_other():
    market = Market()
    mine, theirs = await market.create(name="b"), await market.create(PUB, name="c", isPublic=True)
    await market.create(name="A")
    assert await market.list() == ["A", "b"]
    assert await market.list(owner="*") == ["A", "b"]
    assert await market.list(owner=PUB) == []
    assert await market.list(ADA) == []
    assert await market.list(ADA, "*") == ["A", "b", "c"]
    assert await market.list(ADA, PUB) == await market.list(ADA, f"user:{PUB}") == ["c"]
    assert isinstance(await refusal_of(market.list(EVE)), Denied)
    assert isinstance(await refusal_of(market.list(owner="nobody")), InvalidArguments)
    assert (await market.read(mine.server.id)).name == "b"
    assert isinstance(await refusal_of(market.read(theirs.server.id)), Denied)
    assert (await market.read(theirs.server.id, ADA)).name == "c"
    for id in ("nowhere-00000000", "", "main", "\udc80"):
        assert isinstance(await refusal_of(market.read(id)), Unknown)


# -- changing


async def test_an_update_puts_the_whole_in_the_place_of_what_was_and_says_what_it_opened():
    market = Market()
    made = await market.create(restrictions=ONLY_A, mode="direct", description="d", instructions="i", shaping=True)
    id, token = made.server.id, made.token.reveal()
    assert await listed(market, id, token) == ["a__del_z", "a__x", "a__y"]
    changed = await market.update(id, mode="direct")
    assert changed.opened == ("`restrictions.connectors`: every connector is let in now",)
    after = changed.server
    assert (after.name, after.description, after.instructions, after.shaping) == ("Desk", "", "", False)
    assert after.restrictions == Restrictions()
    assert after.tokens == made.server.tokens
    assert await listed(market, id, token) == ["a__del_z", "a__x", "a__y", "b__x"]
    assert (await market.update(id, mode="direct", restrictions=ONLY_A)).opened == ()
    assert await listed(market, id, token) == ["a__del_z", "a__x", "a__y"]


async def test_of_two_writers_the_second_is_told():
    market = Market()
    server = (await market.create()).server
    await market.update(server.id, description="first", revs={server.rev})
    refusal = await refusal_of(market.update(server.id, description="second", revs={server.rev}))
    assert (type(refusal), refusal.status) == (Conflict, 412)
    assert (await refusal_of(market.delete(server.id, revs=()))).status == 412
    assert (await market.read(server.id)).description == "first"

    plain = market.store.servers.replace

    async def late(record):
        await plain(replace(market.store.servers.records[record.id], description="meanwhile"))
        return await plain(record)

    market.store.servers.replace = late
    refusal = await refusal_of(market.update(server.id, description="third"))
    assert (type(refusal), refusal.status) == (Conflict, 409)
    market.store.servers.replace = plain
    assert (await market.read(server.id)).description == "meanwhile"


async def test_an_action_that_went_does_not_keep_its_server_from_being_changed():
    market = Market()
    restrictions = {
        "connectors": {"mode": "blocklist", "blockedIds": ["b"]},
        "actions": {"mode": "blocklist", "blockedActions": ["a:x"]},
        "permissions": [{"connector": "a", "actions": ["y"]}],
    }
    server = (await market.create(restrictions=restrictions)).server
    market.counter = type(market.counter)(market.office, market.vault, _nothing_known)
    assert (await market.update(server.id, restrictions=restrictions, description="d")).opened == ()
    more = {**restrictions, "actions": {"mode": "blocklist", "blockedActions": ["a:x", "a:y"]}}
    assert isinstance(await refusal_of(market.update(server.id, restrictions=more)), InvalidArguments)


async def _nothing_known(_: str):
    return Known()


async def test_who_administers_servers_of_others_only_takes_away():
    market = Market()
    made = await market.create(PUB, isPublic=True, restrictions=ONLY_A)
    id = made.server.id
    for opening in (
        {"isPublic": True},
        {"isPublic": True, "restrictions": {"connectors": {"mode": "allowlist", "allowedIds": ["a", "b"]}}},
        {"restrictions": ONLY_A, "jwt": [HS]},
        {"restrictions": ONLY_A, "redirectUris": ["https://app.example.com/"]},
        {"restrictions": ONLY_A, "mode": "direct"},
        {"restrictions": {**ONLY_A, "users": {"mode": "allowlist", "allowedIds": [ADA, EVE]}}, "isPublic": False,
         "redirectUris": ["https://app.example.com/"]},
    ):  # fmt: skip
        refusal = await refusal_of(market.update(id, ADA, **opening))
        assert "only its owner opens a server" in refusal.text
    assert market.store.servers.records[id] == made.server
    changed = await market.update(id, ADA, restrictions={"connectors": {"mode": "allowlist", "allowedIds": []}})
    assert (changed.server.public, changed.server.owner, changed.server.by) == (False, f"user:{PUB}", f"user:{ADA}")
    assert isinstance(await refusal_of(market.update(id, OTTO)), Denied)
    assert isinstance(await refusal_of(market.update("nowhere-00000000", ADA)), Unknown)
