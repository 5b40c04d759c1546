"""Renewing at a certified authorization server that forgets a whole family when a token comes twice: nodes in processes
of their own, a power cut between answer and write, and a server in trouble.
"""

import asyncio
import json
import os
import secrets
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from connectors.base import Secret
from connectors.definition.terms import AuthKind
from connectors.egress import Egress
from connectors.oauth.flow import begin, returned
from connectors.oauth.legs import Legs
from connectors.oauth.terms import Client
from gateway.connections.material import tokens_of
from gateway.connections.renewing import Pace, client_of
from gateway.errors import NotConnected, UpstreamFailed
from gateway.records import Status
from gateway.store.opening import open_store
from tests.connections.renewal import HOUR, NOON, Clock, Node, connection, material
from tests.connections.renewing_node import at_authority
from tests.platforms.counterparts import CALLBACK
from tests.platforms.seeds import CLIENTS
from tests.platforms.visiting import Person

ROOT = Path(__file__).parents[2]
ID = "a" * 24


@pytest.fixture(params=["sqlite", "mongo"])
def target(request, tmp_path):
    """Where the store is, and the name of the database in it."""
    if request.param == "mongo":
        return request.getfixturevalue("secantus"), f"t_{secrets.token_hex(6)}"
    return str(tmp_path / "shared.db"), "ostiary"


@pytest.fixture
async def shared(target):
    store = open_store(target[0], database=target[1])
    await store.open()
    yield store
    await store.close()


@pytest.fixture
async def real():
    """The legs that go out."""
    egress = Egress()
    yield Legs(egress, Clock(NOON))
    await egress.close()


async def agreed(platform, legs):
    """Tokens of somebody who agreed, with the token for renewal."""
    known = CLIENTS["basic"]
    client = Client(known.id, Secret(known.secret), f"{CALLBACK}oidc")
    begun = begin(platform, client, state="s-1", inputs={})
    back = await asyncio.to_thread(Person("ada@example.com").agrees, begun.url)
    code = returned(platform, parse_qsl(urlsplit(back).query), inputs={})
    return await legs.exchange(platform, client, code, begun.verifier, {})


async def linked(store, authority, legs):
    """A stored connection, whose access is over in an hour from noon, and its tokens."""
    given = await agreed(at_authority(authority.issuer), legs)
    await store.connections.add(connection(given=given, connector="oidc"))
    return given


def granted(authority, since=None):
    """How many renewals were granted and refused, and how many families were forgotten, beyond ``since``."""
    counts = authority.counts()
    names = ("granted refresh_token", "refused refresh_token invalid_grant", "forgot a family")
    now = tuple(counts.get(name, 0) for name in names)
    return now if since is None else tuple(here - there for here, there in zip(now, since, strict=True))


@contextmanager
def process(target, authority, **more):
    told = {"store": target[0], "database": target[1], "issuer": authority.issuer, "now": NOON + HOUR, **more}
    command = (sys.executable, "-m", "tests.connections.renewing_node", json.dumps(told))
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=ROOT, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}, **pipes) as node:
        try:
            yield node
        finally:
            node.kill()


async def line(node):
    async with asyncio.timeout(60):
        return (await asyncio.to_thread(node.stdout.readline)).strip()


def go(node):
    node.stdin.write("go\n")
    node.stdin.flush()


async def test_four_processes_and_one_rotating_token_refresh_once_and_all_succeed(target, shared, authority, real):
    before, given = granted(authority), await linked(shared, authority, real)
    with ExitStack() as stack:
        four = [stack.enter_context(process(target, authority)) for _ in range(4)]
        assert [await line(node) for node in four] == ["ready"] * 4
        for node in four:
            go(node)
        answers = [json.loads(await line(node)) for node in four]
    record = await shared.connections.get(ID)
    assert answers == [{"access": material(record).access}] * 4
    assert material(record).access != given.access.reveal()
    assert granted(authority, before) == (1, 0, 0)
    assert (record.status, record.leased_by) == (Status.ACTIVE, "")
    platform = at_authority(authority.issuer)
    again = await real.renew(platform, client_of(platform), tokens_of(material(record), record), {})
    assert again.access.reveal(), "the family lives"


async def test_a_process_killed_between_answer_and_write_ends_in_needs_reauth_and_no_loop(
    target, shared, authority, real
):
    before = granted(authority)
    await linked(shared, authority, real)
    with process(target, authority, stops=True) as node:
        assert await line(node) == "ready"
        go(node)
        assert await line(node) == "given"
    assert (await shared.connections.get(ID)).leased_by != ""
    clock = Clock(NOON + HOUR + 30_001)
    other = Node(shared, real, clock, {"oidc": at_authority(authority.issuer)})
    await other.look()
    for _ in range(3):
        with pytest.raises(NotConnected, match="the gateway was stopped while the platform renewed") as refused:
            await other.access("oidc")
        assert refused.value.reconnect == ID
    record = await shared.connections.get(ID)
    assert (record.status, record.reason) == (Status.NEEDS_REAUTH, "renewal_interrupted")
    assert granted(authority, before)[:2] == (1, 1), "one was given and lost, one refused, and nobody asks again"


async def test_a_server_in_trouble_for_ten_minutes_needs_nobody_to_agree_again(store, authority, real):
    await linked(store, authority, real)
    clock = Clock(NOON + HOUR)
    node = Node(store, real, clock, {"oidc": at_authority(authority.issuer)}, pace=Pace())
    await node.look()
    before = authority.counts().get("POST /token", 0)
    with authority.trouble("/token", 500):
        for _ in range(20):
            with pytest.raises(UpstreamFailed):
                await node.access("oidc")
            clock.now += 30_000
    assert 4 <= authority.counts()["POST /token"] - before <= 6, "30, 60, 120, 240, 300 seconds apart"
    clock.now += 300_000
    assert await node.access("oidc")
    assert (await store.connections.get(ID)).status is Status.ACTIVE
    assert node.told == []


async def test_the_clients_own_tokens_come_from_the_server_once(store, authority, real):
    machine = at_authority(authority.issuer, "machine", AuthKind.CLIENT_CREDENTIALS)
    node = Node(store, real, Clock(NOON), {"oidc": machine})
    before = authority.counts().get("granted client_credentials", 0)
    first = await asyncio.gather(*(node.of("oidc").open("system") for _ in range(10)))
    assert len({each.secrets["access_token"].reveal() for each in first}) == 1
    assert first[0].id == "system-oidc"
    assert authority.counts()["granted client_credentials"] - before == 1
