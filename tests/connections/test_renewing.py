"""Renewing an access: when, once, and without losing what a platform gave."""

import asyncio
import logging

import pytest
from msgspec import structs

from connectors.base import Secret
from connectors.oauth.terms import Failure
from gateway.connections.renewing import Pace
from gateway.errors import NotConnected, Unavailable, UpstreamFailed
from gateway.records import Status
from gateway.store import base as store_base
from tests.connections.renewal import (
    ADA,
    HOUR,
    NOON,
    VAULT,
    Node,
    connection,
    failing,
    keyed,
    material,
    platform,
    sealed,
    tokens,
    until,
)

MINUTE = 60_000
LATE = NOON + HOUR - MINUTE  # within the margin of five minutes
OVER = NOON + HOUR


@pytest.fixture
async def linked(node):
    await node.put(connection())
    return node


# -- when


async def test_a_fresh_access_is_used_as_it_is_and_the_store_is_not_asked(linked, legs, clock):
    clock.now = OVER - 5 * MINUTE - 1
    linked.records.down = True
    assert await linked.access() == "canary-access-0"
    assert legs.asked == 0


async def test_an_access_near_its_end_is_renewed_stored_and_used(linked, legs, clock):
    clock.now = OVER - 5 * MINUTE
    assert await linked.access() == "canary-access-1"
    record = await linked.stored()
    assert (record.status, record.expires_at, record.updated_at) == (Status.ACTIVE, clock.now + HOUR, clock.now)
    assert (record.leased_by, record.leased_until, record.attempts, record.retry_at) == ("", 0, 0, 0)
    assert material(record).access == "canary-access-1"
    assert material(record).refresh == "canary-refresh-1"
    assert await linked.access() == "canary-access-1", "also before the next look at the store"
    await linked.look()
    assert await linked.access() == "canary-access-1"
    assert legs.asked == 1
    assert linked.told == []


async def test_the_margin_is_at_most_half_of_a_short_life(node, legs, clock):
    await node.put(connection(given=tokens(expires_at=NOON + 60_000)))
    clock.now = NOON + 29_999
    assert await node.access() == "canary-access-0"
    clock.now = NOON + 30_000
    assert await node.access() == "canary-access-1"


async def test_an_access_of_which_nobody_knows_the_end_is_not_renewed(node, legs, clock):
    await node.put(connection(given=tokens(expires_at=None)))
    clock.now = NOON + 1_000 * HOUR
    assert await node.access() == "canary-access-0"
    assert legs.asked == 0


async def test_what_is_typed_and_kept_stays_over_a_renewal(node, clock, legs):
    record = connection()
    held = material(record)
    await node.put(sealed(record, type(held)({**held.secrets, "pin": Secret("canary-pin")}, {"team.id": "T1"})))
    clock.now = LATE
    credential = await node.of().open(ADA)
    assert {name: each.reveal() for name, each in credential.secrets.items()} == {
        "access_token": "canary-access-1",
        "pin": "canary-pin",
    }
    assert credential.plain == {"team.id": "T1", "region": "eu"}


async def test_scopes_that_the_platform_does_not_tell_stay_as_they_were(linked, legs, clock):
    clock.now, legs.changes = LATE, {"scopes": None}
    await linked.access()
    assert (await linked.stored()).scopes == ("read",)
    clock.now, legs.changes = LATE + HOUR, {"scopes": ("read", "write")}
    await linked.access()
    assert (await linked.stored()).scopes == ("read", "write")


async def test_an_access_without_renewal_serves_to_its_very_end_and_then_has_to_be_made_anew(node, legs, clock):
    await node.put(connection(given=tokens(refresh=None)))
    clock.now = OVER - 1
    assert await node.access() == "canary-access-0"
    clock.now = OVER
    with pytest.raises(NotConnected, match="gave no way to renew it") as refused:
        await node.access()
    assert (refused.value.connector, refused.value.owner, refused.value.reconnect) == ("slack", ADA, "a" * 24)
    record = await node.stored()
    assert (record.status, record.reason) == (Status.NEEDS_REAUTH, "expired")
    assert [each.status for each in node.told] == [Status.NEEDS_REAUTH]
    with pytest.raises(NotConnected):
        await node.access()
    assert len(node.told) == 1
    assert legs.asked == 0


# -- once


async def test_a_hundred_calls_at_once_renew_once(linked, legs, clock):
    clock.now = LATE
    assert await asyncio.gather(*(linked.access() for _ in range(100))) == ["canary-access-1"] * 100
    assert legs.asked == 1
    assert linked.records.reads < 10, "nor do they ask the store a hundred times"


async def test_three_nodes_at_once_renew_once(nodes, legs, clock):
    await nodes[0].put(connection())
    for node in nodes:
        await node.look()
    clock.now = OVER
    answers = await asyncio.gather(*(node.access() for node in nodes for _ in range(5)))
    assert answers == ["canary-access-1"] * 15
    assert (legs.asked, legs.dead) == (1, False)


async def test_a_node_that_has_not_looked_yet_finds_what_another_one_renewed(nodes, legs, clock):
    await nodes[0].put(connection())
    await nodes[1].look()
    clock.now = OVER
    assert await nodes[0].access() == "canary-access-1"
    assert await nodes[1].access() == "canary-access-1"
    assert legs.asked == 1


async def test_who_loses_the_race_goes_on_with_an_access_that_still_serves(nodes, legs, clock):
    first, second, _ = nodes
    await first.put(connection())
    await second.look()
    clock.now, legs.gate = LATE, asyncio.Event()
    renewal = asyncio.create_task(first.access())
    await legs.arrived.wait()
    assert await second.access() == "canary-access-0"
    legs.gate.set()
    assert await renewal == "canary-access-1"


async def test_who_loses_the_race_waits_for_a_new_one_when_the_old_one_is_over(nodes, legs, clock):
    first, second, _ = nodes
    await first.put(connection())
    await second.look()
    clock.now, legs.gate = OVER, asyncio.Event()
    both = [asyncio.create_task(node.access()) for node in (first, second)]
    await legs.arrived.wait()
    await until(lambda: first.records.reads + second.records.reads > 5)
    assert not any(each.done() for each in both)
    legs.gate.set()
    assert await asyncio.gather(*both) == ["canary-access-1"] * 2
    assert legs.asked == 1


async def test_a_caller_who_gives_up_ends_no_renewal(linked, legs, clock):
    clock.now, legs.gate = OVER, asyncio.Event()
    impatient = asyncio.create_task(linked.access())
    await legs.arrived.wait()
    impatient.cancel()
    await asyncio.wait({impatient})
    legs.gate.set()
    assert await linked.access() == "canary-access-1"
    assert legs.asked == 1


async def test_waiting_has_an_end_and_the_renewal_goes_on(store, legs, clock):
    node = Node(store, legs, clock, pace=Pace(lease=3, request=10, wait=0.02, look=0.01))
    await node.put(connection())
    clock.now, legs.gate = OVER, asyncio.Event()
    with pytest.raises(UpstreamFailed, match="renewing the access to Slack takes long"):
        await node.access()
    legs.gate.set()
    await until(lambda: node.latest.get("a" * 24).updated_at == OVER)
    assert await node.access() == "canary-access-1"


async def test_who_waits_for_one_renewal_is_refused_by_an_own_refusal(linked, legs, clock):
    clock.now = OVER
    legs.faults = [failing()]
    refusals = await asyncio.gather(*(linked.access() for _ in range(3)), return_exceptions=True)
    assert {type(each) for each in refusals} == {UpstreamFailed}
    assert len({id(each) for each in refusals}) == 3
    assert legs.asked == 1


# -- losing nothing


async def test_a_use_noted_meanwhile_does_not_lose_the_renewal(linked, legs, clock, store):
    clock.now = OVER

    async def meanwhile():
        record = await store.connections.get("a" * 24)
        await store.connections.replace(structs.replace(record, used_at=7))

    legs.after = meanwhile
    assert await linked.access() == "canary-access-1"
    record = await linked.stored()
    assert (record.used_at, material(record).access) == (7, "canary-access-1")


async def test_a_connection_made_anew_meanwhile_is_not_overwritten(linked, legs, clock, store):
    clock.now = OVER

    async def meanwhile():
        record = await store.connections.get("a" * 24)
        fresh = connection(
            given=tokens(77, now=OVER), account="B", updated_at=OVER, rev=record.rev, expires_at=OVER + HOUR
        )
        await store.connections.replace(fresh)

    legs.after = meanwhile
    assert await linked.access() == "canary-access-77"
    assert legs.revoked == []


async def test_a_connection_ended_meanwhile_stays_ended_and_what_was_given_is_revoked(linked, legs, clock, store):
    clock.now = OVER
    legs.after = lambda: store.connections.remove("a" * 24)
    with pytest.raises(NotConnected):
        await linked.access()
    assert await linked.stored() is None
    assert legs.revoked == ["canary-access-1"]


async def test_what_was_given_is_stored_as_soon_as_the_store_is_back(linked, legs, clock, caplog):
    clock.now = OVER

    async def break_down():
        linked.records.down = True

    legs.after = break_down
    with caplog.at_level(logging.ERROR):
        call = asyncio.create_task(linked.access())
        await until(lambda: "cannot be stored yet" in caplog.text)
        assert not call.done()
        linked.records.down = False
        assert await call == "canary-access-1"
    assert material(await linked.stored()).refresh == "canary-refresh-1"
    assert legs.asked == 1
    assert "canary" not in caplog.text


async def test_a_write_whose_answer_was_lost_is_found_done(linked, legs, clock, store):
    clock.now = OVER
    replace, lost = linked.records.replace, []

    async def loses_the_answer(record):
        stored = await replace(record)
        if record.leased_by == "" and not lost:
            lost.append(record)
            raise store_base.Unavailable("the answer was lost")
        return stored

    linked.records.replace = loses_the_answer
    assert await linked.access() == "canary-access-1"
    assert lost
    assert material(await linked.stored()).refresh == "canary-refresh-1"


async def test_a_store_that_is_down_before_the_renewal_costs_no_token(linked, legs, clock):
    linked.records.down = True
    clock.now = LATE
    assert await linked.access() == "canary-access-0", "what still serves is used"
    clock.now = OVER
    with pytest.raises(Unavailable, match="has to be renewed"):
        await linked.access()
    assert legs.asked == 0
    linked.records.down = False
    assert await linked.access() == "canary-access-1"


async def test_stopping_waits_for_what_is_being_stored(linked, legs, clock):
    clock.now, legs.gate = OVER, asyncio.Event()
    call = asyncio.create_task(linked.access())
    await legs.arrived.wait()
    closing = asyncio.create_task(linked.renewing.close())
    await asyncio.sleep(0)
    legs.gate.set()
    await closing
    assert await call == "canary-access-1"
    assert material(await linked.stored()).refresh == "canary-refresh-1"


async def test_stopping_waits_only_so_long(store, legs, clock):
    node = Node(store, legs, clock, pace=Pace(lease=3, request=10, farewell=0.01))
    await node.put(connection())
    clock.now, legs.gate = OVER, asyncio.Event()
    call = asyncio.create_task(node.access())
    await legs.arrived.wait()
    await node.renewing.close()
    with pytest.raises(Unavailable, match="stopping"):
        await call


# -- refused for good


async def test_a_refused_renewal_ends_in_needs_reauth_once_and_without_a_loop(linked, legs, clock):
    clock.now, legs.dead = LATE, True
    for _ in range(3):
        with pytest.raises(NotConnected, match="does not renew its access any more") as refused:
            await linked.access()
        assert refused.value.reconnect == "a" * 24
    record = await linked.stored()
    assert (record.status, record.reason, record.leased_by) == (Status.NEEDS_REAUTH, "renewal_refused", "")
    assert [(each.status, each.reason) for each in linked.told] == [(Status.NEEDS_REAUTH, "renewal_refused")]
    assert legs.asked == 1


async def test_a_node_that_stopped_between_answer_and_write_leaves_a_clear_reason(nodes, legs, clock):
    first, second, _ = nodes
    await first.put(connection())
    await second.look()
    clock.now = OVER

    async def power_cut():
        await asyncio.Event().wait()

    legs.after = power_cut
    call = asyncio.create_task(first.access())
    await until(lambda: legs.granted == 1)
    for task in [*first.renewing._running.values()]:
        task.cancel()
    await asyncio.wait({call})
    assert isinstance(call.exception(), Unavailable)
    legs.after = None
    clock.now += 3_001  # the lease is over
    for _ in range(2):
        with pytest.raises(NotConnected, match="the gateway was stopped while the platform renewed"):
            await second.access()
    assert (await second.stored()).reason == "renewal_interrupted"
    assert legs.asked == 2
    assert [each.reason for each in second.told] == ["renewal_interrupted"]


async def test_a_token_that_another_node_rotated_meanwhile_is_found(nodes, legs, clock):
    """A lease that ran out under a slow node: the platform refuses the old token, and the new one is in the store."""
    first, second, _ = nodes
    await first.put(connection())
    await second.look()
    clock.now = OVER
    legs.gate = asyncio.Event()
    slow = asyncio.create_task(first.access())
    await legs.arrived.wait()
    gate, legs.gate, legs.forgiving = legs.gate, None, 1
    clock.now += 3_001
    assert await second.access() == "canary-access-1"
    gate.set()
    assert await slow == "canary-access-1"
    assert (legs.asked, legs.granted) == (2, 1)
    assert (await first.stored()).status is Status.ACTIVE


async def test_the_slower_of_two_answers_does_not_displace_the_newer(nodes, legs, clock):
    first, second, _ = nodes
    await first.put(connection())
    await second.look()
    clock.now = OVER
    waits = asyncio.Event()
    legs.after = waits.wait
    slow = asyncio.create_task(first.access())
    await until(lambda: legs.granted == 1)
    legs.after = None
    clock.now += 3_001
    legs.number = 0  # a platform that lets the old token serve once more
    assert await second.access() == "canary-access-1"
    newer = await second.stored()
    waits.set()
    assert await slow == "canary-access-1"
    assert (await first.stored()).sealed == newer.sealed


async def test_a_failure_that_comes_late_puts_off_nothing_that_another_node_renewed(nodes, legs, clock):
    first, second, _ = nodes
    await first.put(connection())
    await second.look()
    clock.now, legs.gate = LATE, asyncio.Event()
    legs.faults = [None, failing()]
    slow = asyncio.create_task(first.access())
    await legs.arrived.wait()
    gate, legs.gate = legs.gate, None
    clock.now += 3_001
    assert await second.access() == "canary-access-1"
    gate.set()
    await slow
    record = await first.stored()
    assert (record.attempts, record.retry_at, material(record).access) == (0, 0, "canary-access-1")


async def test_a_refusal_that_comes_late_gives_up_nothing_that_was_made_anew(linked, legs, clock, store):
    clock.now, legs.dead = OVER, True

    async def anew():
        record = await store.connections.get("a" * 24)
        await store.connections.replace(connection(given=tokens(77, now=OVER), updated_at=OVER, rev=record.rev))

    async def before_the_mark():
        linked.records.before_replace = anew

    linked.records.before_replace = before_the_mark
    with pytest.raises(NotConnected):
        await linked.access()
    record = await linked.stored()
    assert (record.status, material(record).access) == (Status.ACTIVE, "canary-access-77")
    assert linked.told == []


async def test_an_answer_that_comes_after_another_node_gave_up_counts_and_is_told(nodes, legs, clock):
    first, second, _ = nodes
    await first.put(connection())
    await second.look()
    clock.now = OVER
    waits = asyncio.Event()
    legs.after = waits.wait
    slow = asyncio.create_task(first.access())
    await until(lambda: legs.granted == 1)
    clock.now += 3_001
    with pytest.raises(NotConnected):
        await second.access()
    assert (await second.stored()).status is Status.NEEDS_REAUTH
    waits.set()
    assert await slow == "canary-access-1"
    assert (await first.stored()).status is Status.ACTIVE
    assert [each.status for each in first.told] == [Status.ACTIVE]


async def test_where_an_old_token_serves_for_a_while_it_is_tried_twice(store, legs, clock):
    node = Node(store, legs, clock, {"slack": platform(reuse_grace_s=60)})
    await node.put(connection())
    clock.now, legs.faults = OVER, [failing(Failure.INVALID_GRANT)]
    assert await node.access() == "canary-access-1"
    assert legs.asked == 2


async def test_twice_and_no_more(store, legs, clock):
    node = Node(store, legs, clock, {"slack": platform(reuse_grace_s=60)})
    await node.put(connection())
    clock.now, legs.dead = OVER, True
    with pytest.raises(NotConnected):
        await node.access()
    assert legs.asked == 2


async def test_a_token_is_never_sent_to_another_issuer_than_its_own(node, legs, clock):
    record = connection()
    held = material(record)
    await node.put(sealed(record, type(held)(held.secrets, {"issuer": "https://former.example"})))
    clock.now = OVER
    with pytest.raises(NotConnected, match="another server gives access"):
        await node.access()
    assert (await node.stored()).reason == "issuer_changed"
    assert legs.asked == 0


# -- not now


async def test_a_platform_in_trouble_is_left_alone_while_the_access_serves(linked, legs, clock, caplog):
    clock.now, legs.faults = LATE, [failing(), failing()]
    assert await linked.access() == "canary-access-0"
    record = await linked.stored()
    assert (record.status, record.attempts, record.retry_at) == (Status.ACTIVE, 1, LATE + 30_000)
    assert record.leased_by == ""
    clock.now = LATE + 29_999
    assert await linked.access() == "canary-access-0"
    assert legs.asked == 1
    clock.now = LATE + 30_000
    assert await linked.access() == "canary-access-0"
    assert (await linked.stored()).retry_at == clock.now + 60_000, "twice as long"
    clock.now = LATE + 95_000
    assert await linked.access() == "canary-access-1"
    record = await linked.stored()
    assert (record.attempts, record.retry_at) == (0, 0)
    assert linked.told == []
    assert "tried again in 30 seconds" in caplog.text
    assert "canary" not in caplog.text


async def test_a_platform_in_trouble_for_long_is_asked_rarely_and_needs_nobody_when_it_is_back(linked, legs, clock):
    clock.now, legs.faults = OVER, [failing()] * 1000
    for _ in range(60):  # ten hours, a call every ten minutes
        with pytest.raises(UpstreamFailed, match="Slack did not renew this access"):
            await linked.access()
        with pytest.raises(UpstreamFailed, match=r"try again in \d+ seconds"):
            await linked.access()
        clock.now += 600_000
    assert legs.asked == 60
    legs.faults = []
    assert await linked.access() == "canary-access-1"
    assert (await linked.stored()).status is Status.ACTIVE
    assert linked.told == []


async def test_the_pause_never_grows_beyond_five_minutes(linked, legs, clock):
    clock.now, legs.faults = OVER, [failing()] * 50
    pauses = []
    for _ in range(20):
        with pytest.raises(UpstreamFailed):
            await linked.access()
        pauses.append(((await linked.stored()).retry_at - clock.now) // 1000)
        clock.now = (await linked.stored()).retry_at
    assert pauses == [30, 60, 120, 240, *[300] * 16]


async def test_a_platform_is_left_alone_for_as_long_as_it_asks(linked, legs, clock):
    clock.now, legs.faults = OVER, [failing(retry_after=90)]
    with pytest.raises(UpstreamFailed):
        await linked.access()
    assert (await linked.stored()).retry_at == OVER + 90_000


@pytest.mark.parametrize(
    "kind", [Failure.INVALID_CLIENT, Failure.INVALID_SCOPE, Failure.PROVIDER_ERROR, Failure.BAD_ANSWER]
)
async def test_what_nobody_can_mend_by_connecting_anew_asks_nobody_to(linked, legs, clock, kind):
    clock.now, legs.faults = OVER, [failing(kind)]
    with pytest.raises(UpstreamFailed, match="the platform does not answer"):
        await linked.access()
    assert (await linked.stored()).status is Status.ACTIVE


async def test_a_platform_that_hangs_is_given_up_before_the_lease_ends(store, legs, clock):
    node = Node(store, legs, clock, pace=Pace(lease=3, request=0.05))
    await node.put(connection())
    clock.now, legs.gate = OVER, asyncio.Event()
    with pytest.raises(UpstreamFailed, match="did not answer in time"):
        await node.access()
    record = await node.stored()
    assert (record.attempts, record.leased_by) == (1, "")


async def test_a_lease_that_took_long_to_store_leaves_less_time_to_ask(store, legs, clock):
    node = Node(store, legs, clock, pace=Pace(lease=3, request=10))
    await node.put(connection())
    clock.now, legs.gate = OVER, asyncio.Event()

    async def slow():
        clock.now += 2_990

    node.records.before_replace = slow
    async with asyncio.timeout(5):
        with pytest.raises(UpstreamFailed, match="did not answer in time"):
            await node.access()


async def test_a_store_that_is_down_after_a_failure_leaves_the_lease_to_run_out(linked, legs, clock):
    clock.now = LATE

    async def break_down():
        linked.records.down = True
        raise failing()

    legs.after = break_down
    assert await linked.access() == "canary-access-0"
    assert (await linked.stored()).leased_by != ""


# -- what cannot be opened


async def test_a_credential_that_was_moved_to_somebody_else_does_not_open(node, legs, caplog):
    mine, theirs = connection(), connection("b" * 24, owner="user:bob@example.com")
    await node.put(structs.replace(mine, sealed=theirs.sealed))
    with pytest.raises(NotConnected, match="cannot be opened") as refused:
        await node.access()
    assert refused.value.reconnect == "a" * 24
    assert "it belongs elsewhere" in caplog.text


async def test_a_credential_under_a_secret_that_is_not_set_asks_nobody_to_connect_anew(node, caplog):
    from_elsewhere = VAULT.seal(b"x", ()).replace(b"k1", b"k2")
    await node.put(structs.replace(connection(), sealed=from_elsewhere))
    with pytest.raises(Unavailable, match="ask the operator"):
        await node.access()
    assert "under the secret `k2`, which is not set" in caplog.text


async def test_a_definition_that_has_no_legs_any_more_renews_nothing(node, legs, clock):
    node.platforms["slack"] = keyed("slack")
    await node.put(connection())
    clock.now = OVER
    with pytest.raises(NotConnected):
        await node.access()
    assert legs.asked == 0
