"""What holds credentials, put together from settings: as a gateway has it from its start to its end."""

import asyncio
import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
from msgspec import structs

from connectors.base import Secret
from connectors.oauth.legs import Legs
from gateway.app import Gateway
from gateway.assembly.held import held, vault_of, webhook_of
from gateway.connections.material import context_of_connection
from gateway.errors import NotConnected
from gateway.identity import KeyRing
from gateway.records import Connected, Status
from gateway.settings import ConnectionSettings, load
from tests.builders import MODEL
from tests.connections.renewal import ADA, HOUR, NOON, VAULT, Clock, Node, Rotating, connection, platform, tokens
from tests.connectors.conftest import egress, serve  # noqa: F401 (fixtures)


@pytest.fixture
def settings(tmp_path):
    tmp_path.chmod(0o700)
    for name, text in {
        "config/ostiary.toml": "",
        "policies/model.conf": MODEL,
        "policies/rules.csv": "",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(mode=0o755, exist_ok=True)
        path.write_text(text)
        path.chmod(0o644)
    return load(tmp_path / "config", {"PORT": "4999"})


async def test_a_gateway_does_not_start_while_a_credential_needs_a_secret_that_is_not_set(settings):
    gateway = Gateway(settings)
    await gateway.store.open()
    record = Connected(id="a" * 24, owner=ADA, connector="slack")
    elsewhere = vault_of(KeyRing([("former", b"f" * 32)]))
    await gateway.store.connections.add(
        structs.replace(record, sealed=elsewhere.seal(b"x", context_of_connection(record)))
    )
    try:
        with pytest.raises(ValueError, match=r"under secrets that are not set: `former` \(1\)"):
            await gateway.start()
    finally:
        await gateway.stop()


@pytest.fixture
async def put_together(settings, store, egress, serve, legs):  # noqa: F811
    """Everything over one store and a webhook that listens here, with a renewing twin in place of the platform."""

    async def answered(_, writer):
        writer.write(b"HTTP/1.1 204 x\r\nContent-Length: 0\r\n\r\n")

    hook = await serve(answered)
    told = ConnectionSettings(
        webhook=f"{hook.url}/hooks", webhook_secret=Secret("s" * 32), webhook_private_hosts=("127.0.0.0/8",)
    )
    follower = SimpleNamespace(current=SimpleNamespace(connections=None))
    node = Node(store, legs, legs.clock)
    parts = held(
        replace(settings, connections=told),
        store=store,
        vault=VAULT,
        follower=follower,
        platform_of=node.platform_of,
        egress=egress,
        legs=legs,
        clock=legs.clock,
    )
    return parts, follower, node, hook


@pytest.fixture
def legs():
    return Rotating(Clock(NOON + HOUR))


async def test_a_credential_comes_out_of_the_wallet_and_a_broken_one_is_told_to_the_webhook(put_together):
    parts, follower, node, hook = put_together
    await node.put(connection())
    await node.put(connection("b" * 24, given=tokens(refresh=None), owner="user:bob@example.com"))
    follower.current.connections = node.known
    credential = await parts.wallet.of(platform()).open(ADA)
    assert credential.secrets["access_token"].reveal() == "canary-access-1"
    assert set(parts.loops) == {"tending", "webhook"}
    task = asyncio.create_task(parts.loops["webhook"]())
    with pytest.raises(NotConnected, match="has to be made anew"):
        await parts.wallet.of(platform()).open("user:bob@example.com")
    heard = await hook.until(1)
    assert json.loads(heard.body)["data"]["reason"] == "expired"
    task.cancel()
    await asyncio.wait({task})
    await parts.close()


async def test_without_a_webhook_nobody_is_told_and_nothing_waits(settings, store, egress):  # noqa: F811
    assert webhook_of(settings, egress) is None
    follower = SimpleNamespace(current=SimpleNamespace(connections=None))
    given = {"vault": VAULT, "follower": follower, "platform_of": None, "legs": Legs(egress, Clock())}
    parts = held(settings, store=store, egress=egress, **given)
    assert set(parts.loops) == {"tending"}
    parts.told(connection(status=Status.REVOKED))
    await parts.close()
