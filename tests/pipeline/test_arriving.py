"""Who comes in: what proves him, on which server, beside what else."""

from dataclasses import dataclass
from typing import Any

import pytest

from gateway.errors import Barred, Forbidden, Refusal, Unauthenticated, Unknown
from gateway.pipeline import Arrival
from gateway.pipeline.arriving import NO_PROOFS
from gateway.policy.terms import MAIN, Subject
from gateway.records import Listing, Mode, Restrictions, Server, Token
from gateway.servers.known import token_proof
from gateway.servers.rows import end_user
from gateway.snapshot import Snapshot
from tests.builders import NOON, RING, Door
from tests.fakes import FakeConnector, tool

OTTO, EVE, ID = "otto@example.com", "eve@example.com", "desk-a1b2c3d4"
TEXT = "mcp_token_of_the_desk"
TOKEN = Token(id=RING.hash(TEXT), secret_id="k1", prefix=TEXT[:11], created_at=1, expires_at=NOON + 30_000)
ROWS = "p, user:otto@example.com, main, self, *, write, , allow\n"
ACTS = "p, user:otto@example.com, main, self, gateway/end-users, act-as, , allow\n"


@dataclass
class Signed:
    """Believes a token ``of:NAME`` for a minute, and a key ``signed:NAME`` likewise."""

    async def end_user(self, token: str, domain: str, snapshot: Snapshot, now: int) -> Subject:
        if not token.startswith("of:"):
            raise Unauthenticated("no such token")
        return Subject(end_user(domain, token[3:]), credential=f"sig-{domain}/s1", expires_at=now + 60_000)

    async def bearer(self, key: str, domain: str, snapshot: Snapshot, now: int) -> Subject | None:
        if not key.startswith("signed:"):
            return None
        return await self.end_user(f"of:{key[7:]}", domain, snapshot, now)


def desk(**more: Any) -> Server:
    return Server(id=ID, owner=f"user:{OTTO}", name="Desk", mode=Mode.DIRECT, **{"tokens": (TOKEN,), **more})


def door(rows: str = ROWS, *, proofs: Any = None, **more: Any) -> Door:
    found = Door(rows, [FakeConnector("a", [tool("x")])], proofs=proofs or Signed())
    for email in (OTTO, EVE):
        found.person(email)
    found.offer(desk(**more))
    return found


async def came(at: Door, domain: str = ID, **brought: Any) -> Subject:
    return await at.pipeline.arrive(Arrival(domain=domain, **brought))


async def kept_out(at: Door, kind: type[Refusal], domain: str = ID, **brought: Any) -> Refusal:
    with pytest.raises(kind) as no:
        await came(at, domain, **brought)
    assert type(no.value) is kind
    return no.value


async def test_a_token_proves_its_server_there_and_as_long_as_it_lives():
    at = door()
    found = await came(at, token=TEXT)
    assert (found.name, found.credential) == (f"server:{ID}", token_proof(TOKEN))
    for domain, text in ((ID, f"{TEXT}x"), (ID, ""), (MAIN, TEXT), ("none-a1b2c3d4", TEXT)):
        await kept_out(at, Unauthenticated, domain, token=text)
    await kept_out(at, Unauthenticated, token=TEXT, key=at.keys[OTTO])
    at.now += 30_000
    await kept_out(at, Unauthenticated, token=TEXT)


async def test_who_brings_nothing_is_nobody():
    for domain in (ID, MAIN, "none-a1b2c3d4"):
        await kept_out(door(), Unauthenticated, domain)
        await kept_out(door(), Unauthenticated, domain, acts_as=OTTO)


async def test_that_there_is_no_such_server_is_told_to_who_is_somebody():
    at = door()
    await kept_out(at, Unknown, "none-a1b2c3d4", key=at.keys[EVE])
    await kept_out(at, Unauthenticated, "none-a1b2c3d4", key="ost_wrong")


async def test_who_may_use_nothing_of_a_server_does_not_come_in():
    at = door(restrictions=Restrictions(users=Listing(allow=True, names=("ann",))))
    assert (await came(at, key=at.keys[EVE], domain=MAIN)).name == f"user:{EVE}"
    assert (await came(at, end_user="of:ann")).name == end_user(ID, "ann")
    for brought in ({"key": at.keys[EVE]}, {"token": TEXT}, {"end_user": "of:bob"}):
        no = await kept_out(at, Barred, **brought)
        assert no.decision is not None
        assert not no.decision.allowed


async def test_an_end_user_rests_on_all_beside_which_he_came_and_ends_with_the_first_of_it():
    at = door()
    alone = await came(at, end_user="of:ann")
    assert (alone.rests_on, alone.expires_at) == ((), NOON + 60_000)
    beside = await came(at, end_user="of:ann", token=TEXT)
    assert (beside.name, beside.rests_on) == (alone.name, (token_proof(TOKEN),))
    keyed = await came(at, end_user="of:ann", key=at.keys[OTTO])
    assert keyed.rests_on == ((await came(at, key=at.keys[OTTO])).credential,)
    assert await came(at, end_user="of:ann", key="signed:ann") == alone


async def test_two_signed_tokens_of_different_users_prove_neither():
    await kept_out(door(), Unauthenticated, end_user="of:ann", key="signed:bob")


async def test_where_nobody_signs_no_signed_token_counts():
    at = door(proofs=NO_PROOFS)
    assert (await came(at, key=at.keys[OTTO])).name == f"user:{OTTO}"
    await kept_out(at, Unauthenticated, end_user="of:ann")


async def test_to_say_who_one_is_anyway_changes_nothing():
    at = door()
    assert (await came(at, key=at.keys[OTTO], acts_as="OTTO@example.com")).name == f"user:{OTTO}"
    for first in ({}, {"key": at.keys[OTTO]}, {"token": TEXT}):
        assert (await came(at, end_user="of:ann", acts_as="ann", **first)).name == end_user(ID, "ann")
    assert (await came(at, end_user="of:ann", key=at.keys[OTTO], acts_as=OTTO)).name == end_user(ID, "ann")


async def test_who_may_stands_for_an_end_user_and_nobody_else_does():
    at = door(ROWS + ACTS)
    found = await came(at, key=at.keys[OTTO], acts_as="ann")
    assert found.name == end_user(ID, "ann")
    assert found.acting is not None
    assert found.acting.subject == await came(at, key=at.keys[OTTO])
    await kept_out(at, Forbidden, MAIN, key=at.keys[OTTO], acts_as="ann")
    for brought in ({"key": at.keys[EVE]}, {"token": TEXT}, {"end_user": "of:bob"}):
        await kept_out(at, Barred, acts_as="ann", **brought)
    at.apply(ROWS)
    at.offer(desk())
    await kept_out(at, Barred, key=at.keys[OTTO], acts_as="ann")
