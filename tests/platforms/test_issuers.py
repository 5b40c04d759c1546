"""Signing in at an operator's issuer, as MCP clients do it: the SDK's own sign-in, against a certified provider."""

import asyncio
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from mcp import Client
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthClientMetadata, OAuthToken

from gateway.audit import AuditEntry
from tests.corridor.house import EVERYTHING, House, free_port, modern, running, until, write
from tests.platforms.counterparts import Authority, authorities
from tests.platforms.visiting import Person

ANN, NEW = "ann@example.com", "new@elsewhere.example.com"
BACK = "http://127.0.0.1:8080/back"
UPSTREAMS = f"""\
[upstreams.demo]
command = ["{sys.executable}", "{EVERYTHING}", "--transport", "stdio"]
sharing = "all"
trust = true
[upstreams.demo.tools]
"*" = "read"
"""
LIMITS = '[[class]]\nname = "often"\ncalls = 1000000\nwindow_s = 60\n'
POLICY = """\
p, user:ops@example.com, main, system, gateway/policy, manage, , allow
p, user:*, main, self, *, rate:often, , allow
p, user:ann@example.com, main, self, demo/echo, read, , allow
p, group:corp/example.com, main, self, demo/plus, read, , allow
p, user:ann@example.com, main, self, gateway/keys, manage, , allow
"""
SETTINGS = """\
[server]
[issuers.corp]
issuer = "{issuer}"
scopes = ["tools:read"]
create_users = true
private_hosts = ["{host}"]
"""


@dataclass
class Storage:
    """Where the SDK keeps what it was given."""

    tokens: OAuthToken | None = None
    client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info


@dataclass
class Visitor:
    """Somebody with an MCP client on the SDK, and a browser in which it lets him sign in."""

    email: str
    url: str
    storage: Storage = field(default_factory=Storage)
    went: str = ""

    async def tools(self) -> list[str]:
        metadata = OAuthClientMetadata(client_name="a client", redirect_uris=[BACK], token_endpoint_auth_method="none")
        auth = OAuthClientProvider(self.url, metadata, self.storage, self._to_the_browser, self._back)
        async with (
            httpx2.AsyncClient(auth=auth, timeout=30) as http,
            Client(streamable_http_client(self.url, http_client=http)) as client,
        ):
            return sorted(each.name for each in (await client.list_tools()).tools)

    async def _to_the_browser(self, url: str) -> None:
        self.went = url

    async def _back(self) -> AuthorizationCodeResult:
        url = await asyncio.to_thread(Person(self.email).agrees, self.went)
        told = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        return AuthorizationCodeResult(code=told["code"], state=told.get("state"), iss=told.get("iss"))

    @property
    def token(self) -> str:
        assert self.storage.tokens
        return self.storage.tokens.access_token


@dataclass
class Place:
    house: House
    authority: Authority

    async def visitor(self, email: str) -> Visitor:
        """Who has signed in."""
        found = Visitor(email, f"{self.house.url}/mcp")
        await found.tools()
        return found

    async def entries(self, method: str, email: str) -> list[AuditEntry]:
        """What was written down of him, as soon as there is anything."""

        def found() -> list[AuditEntry]:
            return [each for each in self.house.entries() if (each.method, each.subject) == (method, f"user:{email}")]

        return await asyncio.to_thread(until, found)

    def asked(self, token: str | None, path: str = "/mcp", **more: Any) -> httpx2.Response:
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        with self.house.client(None, **headers) as client:
            return client.post(path, **(modern("tools/list") | more))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("issuers")
    house = House(folder, free_port(), str(folder / "var" / "ostiary.db"))
    resources = [f"{house.url}/mcp", f"{house.url}/mcp/other"]
    with authorities(redirects=[BACK], resources=resources, format="jwt") as authority:
        settings = SETTINGS.format(issuer=authority.issuer, host=authority.host)
        write(folder, policy=POLICY, limits=LIMITS, upstreams=UPSTREAMS, settings=settings)
        with running(house):
            yield Place(house, authority)


async def test_an_mcp_client_finds_the_issuer_signs_in_and_sees_what_the_policy_gives(place: Place):
    visitor = Visitor(ANN, f"{place.house.url}/mcp")
    async with asyncio.timeout(20):
        while "demo__echo" not in await visitor.tools():
            assert visitor.token  # he signs in once; the upstream may not be there yet
    assert visitor.went.startswith(place.authority.issuer)
    entries = await place.entries("tools/list", ANN)
    assert {each.credential for each in entries} == {f"iss-corp/{ANN}"}
    assert visitor.token not in repr(await asyncio.to_thread(place.house.entries))
    assert visitor.token not in place.house.log


async def test_who_comes_first_by_a_token_has_an_account_without_a_role_and_without_a_key(place: Place):
    visitor = await place.visitor(NEW)
    assert await visitor.tools() == []
    made = await place.entries("users.enrol", NEW)
    assert [(each.outcome, each.owner) for each in made] == [("ok", f"user:{NEW}")]
    shown = await asyncio.to_thread(place.house.cli, "users", "list", "--json")
    assert NEW in shown


async def test_whose_address_nobody_verified_is_nobody(place: Place):
    visitor = Visitor("unverified@example.com", f"{place.house.url}/mcp")
    with pytest.raises(BaseException) as caught:  # the SDK raises a group of what went wrong
        await visitor.tools()
    assert visitor.token not in repr(caught.value)
    assert place.asked(visitor.token).status_code == 401


async def test_one_token_serves_the_other_endpoints_of_the_main_server_and_no_other_server(place: Place):
    token = (await place.visitor(ANN)).token
    assert place.asked(token).status_code == 200
    assert place.asked(token, "/mcp/other").status_code == 401
    with place.house.client(None, authorization=f"Bearer {token}") as client:
        assert client.get("/api/keys").status_code == 200
        assert client.get("/api/keys", headers={"authorization": f"Bearer {token[:-2]}"}).status_code == 401
        with client.stream("GET", "/sse") as stream:
            assert stream.status_code == 200
    with place.house.client(None) as client:
        for query in (f"apiKey={token}", f"access_token={token}", f"apikey={token}"):
            assert client.post(f"/mcp?{query}", **modern("tools/list")).status_code == 401


async def test_a_token_that_was_not_given_for_it_is_told_what_it_lacks(place: Place):
    """Its client asked for no scope at all."""
    url = f"{place.house.url}/mcp"
    with httpx2.Client(base_url=place.authority.issuer, timeout=20) as http:
        basic = ("ostiary-machine", "gw-machine-secret")
        form = {"grant_type": "client_credentials", "resource": url}
        token = http.post("/token", data=form, auth=basic).json()["access_token"]
    answer = place.asked(token)
    assert answer.status_code == 403
    said = answer.headers["www-authenticate"]
    assert 'error="insufficient_scope"' in said
    assert 'scope="tools:read"' in said
    assert f'resource_metadata="{place.house.url}/.well-known/oauth-protected-resource/mcp"' in said
    assert token not in answer.text


def test_each_endpoint_says_who_gives_tokens_for_it(place: Place):
    known = f"{place.house.url}/.well-known/oauth-protected-resource"
    for path in ("", "/mcp", "/mcp/any-server", "/sse", "/sse/any-server"):
        document = httpx2.get(f"{known}{path}", timeout=20).json()
        assert document["resource"] == f"{place.house.url}{path}"
        assert document["authorization_servers"] == [place.authority.issuer]
        assert (document["scopes_supported"], document["bearer_methods_supported"]) == (["tools:read"], ["header"])
    for path in ("/api", "/mcp/a/b", "/messages", "/mcp/", "/mcp/A"):
        assert httpx2.get(f"{known}{path}", timeout=20).status_code == 404
    for path in ("/mcp", "/mcp/any-server"):
        said = place.asked(None, path).headers["www-authenticate"]
        assert f'resource_metadata="{known}{path}"' in said
        assert 'scope="tools:read"' in said
    said = httpx2.get(f"{place.house.url}/api/keys", timeout=20).headers["www-authenticate"]
    assert f'resource_metadata="{known}"' in said
