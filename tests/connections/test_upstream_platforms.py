"""Servers behind us to which users bring credentials, as platforms: discovered, registered with, remembered."""

import asyncio
import json
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from connectors.base import Personal, Secret, UpstreamSpec
from connectors.definition.terms import AuthKind, ClientAuth
from connectors.egress import Egress
from gateway.connections.upstreams import DOUBTED_MS, FAILED_MS, REMEMBERED_MS, UpstreamPlatforms
from gateway.errors import Unknown, UpstreamFailed
from gateway.identity import KeyRing
from gateway.store.sqlite import SqliteStore
from gateway.vault import LocalKeys, Vault
from tests.corridor.house import free_port

RING = KeyRing([("k", b"0" * 32)])


class Server:
    """An MCP server and its authorization servers, on one port; counts what it was asked."""

    def __init__(self, port):
        self.url = f"http://127.0.0.1:{port}"
        self.issuer = self.url
        self.asked, self.registered = [], []
        self.more = {"registration_endpoint": f"{self.url}/register"}
        self.registration = {"client_secret": "s3cret", "token_endpoint_auth_method": "client_secret_basic"}

    async def answer(self, request):
        self.asked.append(request.path)
        if request.path == "/mcp":
            return web.Response(status=401, headers={"WWW-Authenticate": 'Bearer scope="a"'})
        if request.path == "/.well-known/oauth-protected-resource/mcp":
            return web.json_response({"resource": f"{self.url}/mcp", "authorization_servers": [self.issuer]})
        if request.path.startswith("/.well-known/oauth-authorization-server"):
            return web.json_response(
                {
                    "issuer": self.issuer,
                    "authorization_endpoint": f"{self.url}/authorize",
                    "token_endpoint": f"{self.url}/token",
                    "code_challenge_methods_supported": ["S256"],
                    **self.more,
                }
            )
        if request.path == "/register":
            self.registered.append(json.loads(await request.read()))
            return web.json_response({"client_id": f"c{len(self.registered)}", **self.registration}, status=201)
        return web.Response(status=404)


@asynccontextmanager
async def served():
    port = free_port()
    server = Server(port)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield server
    finally:
        await runner.cleanup()


@pytest.fixture
async def house(tmp_path):
    """``build(personal)`` gives the platforms of one upstream ``docs``, over one store and one clock."""
    egress, store, now = Egress(), SqliteStore(tmp_path / "s.db"), [1_000_000]
    await store.open()
    async with served() as server:

        def build(personal=None, public_url="http://127.0.0.1:4001"):
            spec = UpstreamSpec(
                id="docs",
                transport="http",
                url=f"{server.url}/mcp",
                personal=personal or Personal(True),
                private_hosts=("127.0.0.0/8",),
            )
            return UpstreamPlatforms(
                [spec, UpstreamSpec(id="plain", transport="stdio")],
                egress,
                store.registrations,
                Vault(LocalKeys(RING)),
                name="ostiary",
                public_url=public_url,
                clock=lambda: now[0],
            )

        yield build, server, now, store
    await store.close()
    await egress.close()


async def test_what_a_server_says_becomes_a_platform(house):
    build, server, _, _ = house
    platform = await build().of("docs")
    oauth = platform.definition.auth.oauth
    assert (oauth.issuer, oauth.token_url) == (server.issuer, f"{server.url}/token")
    assert (platform.scopes, platform.resource) == (("a",), f"{server.url}/mcp")
    assert (platform.client_id, platform.client_secret.reveal()) == ("c1", "s3cret")
    assert oauth.client_auth is ClientAuth.BASIC_RFC6749
    assert server.registered[0]["redirect_uris"] == ["http://127.0.0.1:4001/oauth/callback/main/docs"]


async def test_a_registration_is_kept_sealed_and_used_again_by_every_process(house):
    build, server, _, store = house
    await build().of("docs")
    assert (await build().of("docs")).client_secret.reveal() == "s3cret"
    assert len(server.registered) == 1
    (record,) = await store.registrations.page()
    assert b"s3cret" not in record.sealed


async def test_a_registration_that_ends_soon_is_made_anew(house):
    build, server, now, _ = house
    server.registration["client_secret_expires_at"] = 10_000
    await build().of("docs")
    now[0] = 9_000_000
    assert (await build().of("docs")).client_id == "c2"


async def test_another_authorization_server_is_registered_with_for_itself(house):
    build, server, now, store = house
    platforms = build()
    await platforms.of("docs")
    server.issuer = f"{server.url}/moved"
    assert (await platforms.of("docs")).definition.auth.oauth.issuer == server.url  # remembered
    now[0] += REMEMBERED_MS + 1
    moved = await platforms.of("docs")
    assert (moved.definition.auth.oauth.issuer, moved.client_id) == (f"{server.url}/moved", "c2")
    assert len(await store.registrations.page()) == 2


async def test_a_server_that_refuses_somebody_is_asked_anew_but_not_each_time(house):
    build, server, now, _ = house
    platforms = build()
    platforms.doubt("docs")()  # before anything is known of it
    await platforms.of("docs")
    server.issuer = f"{server.url}/moved"
    platforms.doubt("docs")()
    assert (await platforms.of("docs")).definition.auth.oauth.issuer == f"{server.url}/moved"
    server.issuer = f"{server.url}/again"
    for _ in range(3):
        platforms.doubt("docs")()
    now[0] += DOUBTED_MS - 1
    platforms.doubt("docs")()
    assert (await platforms.of("docs")).definition.auth.oauth.issuer == f"{server.url}/moved"
    now[0] += 1
    assert (await platforms.of("docs")).definition.auth.oauth.issuer == f"{server.url}/again"


async def test_what_a_server_said_before_holds_while_it_says_nothing_that_can_be_used(house):
    build, server, now, _ = house
    platforms = build()
    first = await platforms.of("docs")
    issuer, server.issuer = server.issuer, "http://192.168.7.7"
    now[0] += REMEMBERED_MS
    assert await platforms.of("docs") is first
    asked = len(server.asked)
    assert await platforms.of("docs") is first
    assert len(server.asked) == asked
    now[0] += FAILED_MS
    server.issuer = f"{issuer}/moved"
    assert (await platforms.of("docs")).definition.auth.oauth.issuer == f"{issuer}/moved"


async def test_however_many_want_to_know_a_server_is_asked_once_and_registered_with_once(house):
    build, server, _, _ = house
    platforms = build()
    found = await asyncio.gather(*(platforms.of("docs") for _ in range(5)))
    assert len({id(each) for each in found}) == 1
    assert (server.asked.count("/mcp"), len(server.registered)) == (1, 1)


async def test_as_the_operator_registered_us_goes_before_everything(house):
    build, server, _, _ = house
    platform = await build(Personal(True, client_id="mine", client_secret=Secret("x"), scopes=("z",))).of("docs")
    assert (platform.client_id, platform.client_secret.reveal(), platform.scopes) == ("mine", "x", ("z",))
    assert server.registered == []


async def test_the_operator_s_secret_goes_to_no_other_issuer(house):
    build, server, _, _ = house
    ours = Personal(True, client_id="mine", client_secret=Secret("x"), issuer=server.url)
    assert (await build(ours).of("docs")).client_id == "mine"
    server.issuer = f"{server.url}/elsewhere"
    with pytest.raises(UpstreamFailed, match="not at the `issuer` that is set"):
        await build(ours).of("docs")


async def test_a_document_about_us_goes_before_registering(house):
    build, server, _, _ = house
    server.more["client_id_metadata_document_supported"] = True
    platform = await build(public_url="https://gw.example.com").of("docs")
    assert (platform.client_id, platform.client_secret) == ("https://gw.example.com/oauth/client/docs", None)
    assert platform.definition.auth.oauth.client_auth is ClientAuth.NONE
    assert server.registered == []
    assert (await build().of("docs")).client_id == "c1"  # nobody could read a document on this machine


async def test_who_lets_nobody_register_is_told_so(house):
    build, server, _, _ = house
    server.more = {}
    with pytest.raises(UpstreamFailed, match="set `client_id`"):
        await build().of("docs")


async def test_a_key_is_asked_of_the_user_and_of_nobody_else(house):
    build, server, _, _ = house
    platform = await build(Personal(False, header="X-Key", prefix="", label="Docs key")).of("docs")
    (asked,) = platform.definition.inputs
    assert (platform.definition.auth.kind, asked.name, asked.label, asked.secret) == (
        AuthKind.API_KEY,
        "api_key",
        "Docs key",
        True,
    )
    assert build(Personal(False)).sketches["docs"].definition.auth.kind is AuthKind.API_KEY
    assert build().sketches["docs"].definition.auth.kind is AuthKind.OAUTH2
    assert server.asked == []


async def test_only_upstreams_with_credentials_of_users_are_platforms(house):
    build, *_ = house
    assert set(build().sketches) == {"docs"}
    for id in ("plain", "nothing"):
        with pytest.raises(Unknown):
            await build().of(id)
