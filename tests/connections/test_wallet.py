"""Whose connections there are, which one a call gets, and what it puts on a request."""

import asyncio
import logging

import pytest
from msgspec import structs

from connectors.base import Credential, Secret
from connectors.oauth.terms import Failure
from gateway.errors import NotConnected, Unknown, UpstreamFailed
from gateway.policy.terms import SYSTEM
from gateway.records import Status
from tests.connections.renewal import (
    ADA,
    HOUR,
    NOON,
    Node,
    connection,
    failing,
    keyed,
    machine,
    material,
    platform,
    sealed,
    tokens,
    until,
)

BOB = "user:bob@example.com"
A, B = "a" * 24, "b" * 24


def key(id=A, **more):
    """A connection by a typed key."""
    record = connection(id, given=tokens(refresh=None, expires_at=None), connector="keyed", **more)
    return sealed(record, type(material(record))({"api_key": Secret("canary-key")}, {}))


async def open_(node, owner=ADA, id="", connector="slack"):
    return await node.of(connector).open(owner, id)


# -- whose


async def test_connections_are_listed_by_owner_the_one_made_first_in_front(node):
    await node.put(connection(B, created_at=1))
    await node.put(connection(A, created_at=2))
    await node.put(connection("c" * 24, owner=BOB))
    await node.put(connection("d" * 24, connector="github"))
    assert node.of().ids(ADA) == (B, A)
    assert node.of().ids(BOB) == ("c" * 24,)
    assert node.of().ids("user:nobody@example.com") == ()
    assert (node.of().owner(A), node.of().owner("c" * 24)) == (ADA, BOB)


async def test_an_id_of_another_connector_or_of_none_has_no_owner(node):
    await node.put(connection("d" * 24, connector="github"))
    assert node.of().owner("d" * 24) == ""
    assert node.of().owner("") == ""
    assert node.of().owner("f" * 24) == ""


async def test_one_that_has_to_be_made_anew_is_listed_and_one_that_has_ended_is_not(node):
    await node.put(connection(A, status=Status.NEEDS_REAUTH, reason="renewal_refused"))
    await node.put(connection(B, status=Status.REVOKED))
    assert node.of().ids(ADA) == (A,)
    assert node.of().owner(B) == ""
    with pytest.raises(NotConnected):
        await open_(node, id=B)


async def test_the_only_connection_need_not_be_named(node):
    await node.put(connection())
    assert (await open_(node)).id == A
    assert (await open_(node, id=A)).id == A


async def test_nothing_connected_asks_to_connect(node):
    with pytest.raises(NotConnected, match="no account of Slack is connected: connect one") as refused:
        await open_(node)
    assert (refused.value.connector, refused.value.owner, refused.value.reconnect) == ("slack", ADA, "")


async def test_several_connections_and_none_named_are_told_apart_by_label_and_id(node):
    await node.put(connection(A, label="Ada at `work`\n"))
    await node.put(connection(B, label="", created_at=NOON + 1))
    with pytest.raises(NotConnected) as refused:
        await open_(node)
    assert refused.value.text == (
        f"several accounts of Slack are connected: name one of `Ada at ?work??` (`{A}`), `{B}` (`{B}`)"
        " as x-credential-id"
    )
    assert refused.value.connector == "", "connecting one more would not help"
    assert refused.value.data == {
        "connections": [{"id": A, "label": "Ada at `work`\n"}, {"id": B, "label": B}],
    }
    assert (await open_(node, id=B)).id == B


async def test_of_many_choices_only_some_are_told(node):
    for number in range(12):
        await node.put(connection(f"{number:024x}"))
    with pytest.raises(NotConnected) as refused:
        await open_(node)
    assert refused.value.text.count("Ada at work") == 10


async def test_a_foreign_and_a_missing_connection_are_refused_alike(node):
    await node.put(connection(A, owner=BOB))
    await node.put(connection(B, owner=ADA, connector="github"))
    refusals = []
    for id in (A, B, "f" * 24, "system-slack", "x"):
        with pytest.raises(NotConnected) as refused:
            await open_(node, id=id)
        refusals.append((refused.value.text, refused.value.data, refused.value.connector))
    assert len(set(map(str, refusals))) == 1


async def test_one_that_has_to_be_made_anew_says_which_and_why(node):
    await node.put(connection(status=Status.NEEDS_REAUTH, reason="renewal_refused"))
    with pytest.raises(NotConnected) as refused:
        await open_(node)
    assert refused.value.text.startswith(
        "the connection `Ada at work` to Slack has to be made anew: the platform does not renew its access any more"
    )
    assert (refused.value.connector, refused.value.owner, refused.value.reconnect) == ("slack", ADA, A)


async def test_a_connection_that_was_removed_serves_nobody(node, store):
    await node.put(connection())
    await open_(node)
    await store.connections.remove(A)
    await node.look()
    with pytest.raises(NotConnected):
        await open_(node)


async def test_a_connector_that_is_not_set_up_any_more_is_unknown(node):
    async def gone(_):
        raise Unknown("there is no connector `slack`")

    compartment = node.of()
    await node.put(connection())
    node.wallet._platform_of = gone
    with pytest.raises(Unknown):
        await compartment.open(ADA)


# -- what it puts on a request


async def test_a_credential_holds_what_templates_use_and_no_refresh_token(node):
    held = material(connection())
    kept = type(held)(held.secrets, {"team.id": "T1", "region": "told"})
    await node.put(sealed(connection(inputs={"site": "acme"}), kept))
    credential = await open_(node)
    assert {name: each.reveal() for name, each in credential.secrets.items()} == {"access_token": "canary-access-0"}
    assert credential.plain == {"team.id": "T1", "site": "acme", "region": "eu"}, "the operator's word is the last"
    assert "canary" not in repr(credential)


async def test_a_typed_key_is_put_on_requests_as_it_is(node):
    node.platforms["keyed"] = keyed()
    await node.put(key())
    assert (await open_(node, connector="keyed")).secrets["api_key"].reveal() == "canary-key"


# -- after a refusal of the platform


async def renew(node, used, connector="slack"):
    renewed = await node.of(connector).renew(used)
    return renewed and renewed.secrets["access_token"].reveal()


async def test_a_refused_access_is_renewed_before_its_time(node, legs, clock):
    await node.put(connection())
    used = await open_(node)
    clock.now += 30_000
    assert await renew(node, used) == "canary-access-1"
    assert legs.asked == 1


async def test_many_calls_with_one_refused_access_renew_it_once(node, legs, clock):
    await node.put(connection())
    used = await open_(node)
    clock.now += 30_000
    assert await asyncio.gather(*(renew(node, used) for _ in range(20))) == ["canary-access-1"] * 20
    assert await renew(node, used) == "canary-access-1", "and who comes late gets what there is"
    assert legs.asked == 1


async def test_an_access_that_is_refused_although_it_is_new_is_left_as_it_is(node, legs, clock):
    await node.put(connection())
    used = await open_(node)
    clock.now += 29_999
    assert await renew(node, used) is None
    assert legs.asked == 0


async def test_an_access_that_is_refused_because_it_ended_on_the_way_is_renewed_however_new_it_was(node, legs, clock):
    await node.put(connection(given=tokens(expires_at=NOON + 10_000)))
    used = await open_(node)
    clock.now += 10_000
    assert await renew(node, used) == "canary-access-1"
    assert legs.asked == 1


async def test_a_platform_that_does_not_renew_a_refused_access_now_says_when(node, legs, clock):
    await node.put(connection())
    used = await open_(node)
    clock.now += 30_000
    legs.faults = [failing()]
    with pytest.raises(UpstreamFailed, match="did not renew"):
        await renew(node, used)
    with pytest.raises(UpstreamFailed, match="try again in 30 seconds"):
        await renew(node, used)
    assert (await node.access()) == "canary-access-0", "the platform may take it again"
    assert legs.asked == 1


async def test_a_refused_access_whose_renewal_is_refused_has_to_be_made_anew(node, legs, clock):
    await node.put(connection())
    used = await open_(node)
    clock.now += 30_000
    legs.faults = [failing(Failure.INVALID_GRANT)]
    with pytest.raises(NotConnected):
        await renew(node, used)
    assert (await node.stored()).status is Status.NEEDS_REAUTH


@pytest.mark.parametrize("make", [key, lambda: connection(given=tokens(refresh=None, expires_at=None))])
async def test_what_cannot_be_renewed_is_tried_on_the_account_itself_before_it_is_given_up(node, legs, clock, make):
    node.platforms["keyed"] = keyed()
    record = await node.put(make())
    used = await open_(node, connector=record.connector)
    clock.now += 30_000
    assert await node.of(record.connector).renew(used) is None, "it still opens the account"
    legs.accepts = UpstreamFailed("not now")
    assert await node.of(record.connector).renew(used) is None, "nobody knows"
    assert (await node.stored()).status is Status.ACTIVE
    legs.accepts = NotConnected("refused")
    with pytest.raises(NotConnected, match="does not accept it any more") as refused:
        await node.of(record.connector).renew(used)
    assert refused.value.reconnect == A
    stored = await node.stored()
    assert (stored.status, stored.reason) == (Status.NEEDS_REAUTH, "access_refused")
    assert [each.reason for each in node.told] == ["access_refused"]


async def test_a_refused_credential_of_a_connection_that_was_ended_meanwhile_is_not_renewed(node, store):
    await node.put(connection())
    used = await open_(node)
    await store.connections.remove(A)
    await node.look()
    assert await node.of().renew(used) is None


async def test_a_credential_of_no_connection_is_not_renewed(node):
    assert await node.of().renew(Credential()) is None


# -- when it was used


async def test_a_use_is_written_in_the_background_at_most_once_an_hour(node, clock):
    await node.put(connection(used_at=0, given=tokens(expires_at=None)))
    for _ in range(10):
        await open_(node)
    await until(lambda: not node.uses._writing)
    assert (await node.stored()).used_at == NOON
    rev = (await node.stored()).rev
    assert rev == 2
    clock.now = NOON + HOUR - 1
    await open_(node)
    assert not node.uses._writing
    clock.now += 1
    await open_(node)
    await until(lambda: not node.uses._writing)
    assert ((await node.stored()).used_at, (await node.stored()).rev) == (NOON + HOUR, rev + 1)


async def test_nodes_that_did_not_look_write_a_use_once(nodes, clock):
    first, second, _ = nodes
    await first.put(connection(used_at=0))
    await second.look()
    for node in (first, second):
        await open_(node)
        await until(lambda node=node: not node.uses._writing)
    assert (await first.stored()).rev == 2


async def test_no_call_fails_or_waits_because_a_use_cannot_be_written(node, caplog):
    await node.put(connection(used_at=0))
    node.records.down = True
    with caplog.at_level(logging.WARNING):
        assert await node.access() == "canary-access-0"
        await until(lambda: not node.uses._writing)
    assert "could not be noted" in caplog.text


async def test_stopping_does_not_wait_for_uses(node):
    await node.put(connection(used_at=0))
    await open_(node)
    await node.uses.close()
    assert (await node.stored()).used_at == 0


async def test_noting_a_use_changes_nothing_else(node, store):
    await node.put(connection(used_at=0))
    await store.connections.replace(structs.replace(await node.stored(), label="New", rev=1))
    await open_(node)
    await until(lambda: not node.uses._writing)
    stored = await node.stored()
    assert (stored.label, stored.updated_at) == ("New", NOON)


# -- the operator's own


async def test_an_operators_fixed_credential_serves_as_system(store, legs, clock):
    node = Node(store, legs, clock, fixed={"slack": {"access_token": Secret("canary-fixed")}, "github": {}})
    node.platforms["github"] = platform("github")
    assert node.of().ids(SYSTEM) == ("system-slack",)
    assert node.of().owner("system-slack") == SYSTEM
    credential = await open_(node, SYSTEM)
    assert (credential.id, credential.secrets["access_token"].reveal()) == ("system-slack", "canary-fixed")
    assert credential.plain == {"region": "eu"}
    assert await node.of().renew(credential) is None
    assert node.of("github").ids(SYSTEM) == ()
    assert node.of("github").owner("system-github") == ""


async def test_nobody_but_system_opens_the_operators_credential(store, legs, clock):
    node = Node(store, legs, clock, fixed={"slack": {"access_token": Secret("canary-fixed")}})
    assert node.of().ids(ADA) == ()
    with pytest.raises(NotConnected):
        await open_(node, ADA, "system-slack")


async def test_an_account_connected_for_system_stands_beside_the_fixed_one(store, legs, clock):
    node = Node(store, legs, clock, fixed={"slack": {"access_token": Secret("canary-fixed")}})
    await node.put(connection(owner=SYSTEM))
    assert node.of().ids(SYSTEM) == ("system-slack", A)
    with pytest.raises(NotConnected, match="the operator's own"):
        await open_(node, SYSTEM)
    assert (await open_(node, SYSTEM, A)).secrets["access_token"].reveal() == "canary-access-0"


@pytest.fixture
def robot(store, legs, clock):
    return Node(store, legs, clock, {"machine": machine()})


async def own(node):
    return (await open_(node, SYSTEM, connector="machine")).secrets["access_token"].reveal()


async def test_a_clients_own_token_is_asked_for_once_and_kept_until_near_its_end(robot, legs, clock):
    assert robot.of("machine").ids(SYSTEM) == ("system-machine",)
    assert await asyncio.gather(*(own(robot) for _ in range(10))) == ["canary-access-1"] * 10
    clock.now = NOON + HOUR - 300_001
    assert await own(robot) == "canary-access-1"
    clock.now += 1
    assert await own(robot) == "canary-access-2"
    assert legs.asked == 2
    assert await robot.store.connections.page() == [], "nothing of it is stored"


async def test_a_clients_own_token_of_which_nobody_knows_the_end_is_kept(robot, legs, clock):
    legs.changes = {"expires_at": None}
    await own(robot)
    clock.now += 1_000 * HOUR
    assert await own(robot) == "canary-access-1"


async def test_a_refused_token_of_the_client_is_asked_for_anew_unless_it_is_new(robot, legs, clock):
    used = await open_(robot, SYSTEM, connector="machine")
    assert await renew(robot, used, "machine") is None
    clock.now += 30_000
    assert await asyncio.gather(*(renew(robot, used, "machine") for _ in range(5))) == ["canary-access-2"] * 5
    assert legs.asked == 2


async def test_a_platform_that_gives_the_client_nothing_is_left_alone_for_a_while(robot, legs, clock):
    legs.faults = [failing(Failure.INVALID_CLIENT), None]
    for _ in range(3):
        with pytest.raises(UpstreamFailed, match="Machine gives this gateway no access: the platform does not answer"):
            await own(robot)
    assert legs.asked == 1
    clock.now += 30_000
    assert await own(robot) == "canary-access-1"


async def test_a_client_whose_settings_changed_asks_anew(robot, legs):
    await own(robot)
    robot.platforms["machine"] = machine().__class__(
        **{name: getattr(machine(), name) for name in machine().__slots__} | {"scopes": ("more",)}
    )
    assert await own(robot) == "canary-access-2"


async def test_a_client_without_a_secret_has_no_token_of_its_own(robot):
    bare = machine()
    robot.platforms["machine"] = type(bare)(bare.id, bare.definition, bare.client_id)
    assert robot.of("machine").ids(SYSTEM) == ()
    with pytest.raises(NotConnected):
        await own(robot)
