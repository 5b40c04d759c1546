"""From the URL of an MCP server to who lets users in, and to being known there."""

import json

import pytest

from connectors.definition.terms import ClientAuth
from connectors.oauth.discovery import asked, discover
from connectors.oauth.metadata import Challenge, presumed_server
from connectors.oauth.registration import document, method_of, register
from gateway.errors import UpstreamFailed
from tests.connectors.raw_http import LOCAL, answer

RESOURCE = "/.well-known/oauth-protected-resource"
SERVER = "/.well-known/oauth-authorization-server"


def site(pages):
    """A server of JSON pages by path; `{me}` in them is its own address. Everything else is not there."""

    async def reply(heard, writer):
        said = pages.get(heard.target)
        if isinstance(said, bytes):
            writer.write(said)
            return
        me = f"http://{heard.header('host')}"
        body = b"{}" if said is None else json.dumps(said).replace("{me}", me).encode()
        writer.write(answer(body, status="404 Not Found" if said is None else "200 OK"))

    return reply


def metadata(issuer="{me}", **more):
    return {
        "issuer": issuer,
        "authorization_endpoint": "{me}/authorize",
        "token_endpoint": "{me}/token",
        "code_challenge_methods_supported": ["S256"],
        **more,
    }


async def test_a_challenge_is_heard_from_the_server_itself(serve, egress):
    refusal = answer(b"{}", status="401 Unauthorized", headers='WWW-Authenticate: Bearer scope="a b"\r\n')
    server = await serve(site({"/mcp": refusal}))
    assert await asked(egress, f"{server.url}/mcp", allow=LOCAL) == Challenge("", ("a", "b"))
    assert server.heard[0].header("authorization") is None
    open_to_all = await serve(site({}))
    assert await asked(egress, f"{open_to_all.url}/mcp", allow=LOCAL) is None


async def test_the_place_in_the_challenge_goes_first_and_alone(serve, egress):
    pages = {
        "/here": {"resource": "{me}/mcp", "authorization_servers": ["{me}"]},
        SERVER: metadata(scopes_supported=["offline_access"]),
    }
    server = await serve(site(pages))
    said = Challenge(f"{server.url}/here", ("a",))
    found = await discover(egress, f"{server.url}/mcp", said, allow=LOCAL)
    assert (found.resource, found.scopes) == (f"{server.url}/mcp", ("a", "offline_access"))
    assert [each.target for each in server.heard] == ["/here", SERVER]


async def test_without_a_challenge_the_well_known_places_are_tried(serve, egress):
    pages = {RESOURCE: {"resource": "{me}", "authorization_servers": ["{me}/t"], "scopes_supported": ["s"]}}
    pages["/t/.well-known/openid-configuration"] = metadata("{me}/t")
    server = await serve(site(pages))
    found = await discover(egress, f"{server.url}/mcp", None, allow=LOCAL)
    assert (found.server.issuer, found.scopes) == (f"{server.url}/t", ("s",))
    assert [each.target for each in server.heard] == [
        f"{RESOURCE}/mcp",
        RESOURCE,
        f"{SERVER}/t",
        "/.well-known/openid-configuration/t",
        "/t/.well-known/openid-configuration",
    ]


async def test_a_server_of_the_first_revision_is_its_own(serve, egress):
    server = await serve(site({SERVER: metadata(registration_endpoint="{me}/reg")}))
    found = await discover(egress, f"{server.url}/mcp", None, allow=LOCAL)
    assert (found.server.register_url, found.resource) == (f"{server.url}/reg", "")
    silent = await serve(site({}))
    found = await discover(egress, f"{silent.url}/mcp", None, allow=LOCAL)
    assert found.server == presumed_server(silent.url)


@pytest.mark.parametrize(
    ("pages", "sentence"),
    [
        ({RESOURCE: {"resource": "https://evil.example.com", "authorization_servers": ["{me}"]}}, "not this server"),
        ({RESOURCE: {"resource": "{me}", "authorization_servers": ["{me}"]}}, "publishes no metadata"),
        (
            {RESOURCE: {"resource": "{me}", "authorization_servers": ["{me}"]}, SERVER: metadata("{me}/")},
            "another issuer",
        ),
        ({f"{RESOURCE}/mcp": answer(b"", status="500 Oops")}, "HTTP 500"),
        ({f"{RESOURCE}/mcp": answer(b"{}", status="302 Found", headers="Location: /else\r\n")}, "redirects"),
        ({RESOURCE: {"resource": "{me}", "authorization_servers": ["http://169.254.169.254"]}}, "not public"),
    ],
)
async def test_what_cannot_be_trusted_ends_the_search(pages, sentence, serve, egress):
    server = await serve(site(pages))
    with pytest.raises(UpstreamFailed, match=sentence):
        await discover(egress, f"{server.url}/mcp", None, allow=LOCAL)


# -- being known


async def known(serve, egress, said, *, status="201 Created", **metadata_of):
    server = await serve(site({"/register": answer(json.dumps(said).encode(), status=status)}))
    about = presumed_server(server.url)
    registered = await register(
        egress, about, name="ostiary", redirect_uri="http://127.0.0.1:4001/oauth/callback/main/x", allow=LOCAL
    )
    return registered, json.loads(server.heard[0].body)


async def test_registering_says_what_we_are_and_keeps_what_we_became(serve, egress):
    registered, asked_for = await known(serve, egress, {"client_id": "c1"})
    assert (registered.client_id, registered.secret, registered.method) == ("c1", None, ClientAuth.NONE)
    assert asked_for["redirect_uris"] == ["http://127.0.0.1:4001/oauth/callback/main/x"]
    assert (asked_for["application_type"], asked_for["token_endpoint_auth_method"]) == ("native", "none")


async def test_a_server_may_choose_another_method(serve, egress):
    said = {
        "client_id": "c1",
        "client_secret": "s3cret",
        "token_endpoint_auth_method": "client_secret_post",
        "client_secret_expires_at": 2_000_000_000,
    }
    registered, _ = await known(serve, egress, said)
    assert registered.method is ClientAuth.POST
    assert registered.secret.reveal() == "s3cret"
    assert registered.expires_at == 2_000_000_000_000
    assert "s3cret" not in repr(registered)


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ({"error": "invalid_redirect_uri"}, "400 Bad Request"),
        ({"client_id": ""}, "201 Created"),
        ([], "201 Created"),
        ({"client_id": "c", "token_endpoint_auth_method": "private_key_jwt"}, "201 Created"),
        ({"client_id": "c", "token_endpoint_auth_method": "client_secret_basic"}, "201 Created"),
    ],
)
async def test_a_registration_that_cannot_be_used_is_refused(said, status, serve, egress):
    with pytest.raises(UpstreamFailed, match="authorization server"):
        await known(serve, egress, said, status=status)


@pytest.mark.parametrize(
    ("methods", "secret", "method"),
    [
        ((), True, ClientAuth.BASIC_RFC6749),
        (("none", "client_secret_post"), True, ClientAuth.POST),
        (("none",), True, ClientAuth.BASIC_RFC6749),
        (("client_secret_basic",), False, ClientAuth.NONE),
    ],
)
def test_a_client_proves_itself_as_the_server_takes_it(methods, secret, method):
    about = presumed_server("https://as.example.com")
    assert method_of(type(about)(about.issuer, "a", "t", auth_methods=methods), secret=secret) is method


def test_the_document_about_us_is_its_own_client_id():
    said = document("https://gw.example.com/oauth/client/x", name="ostiary", redirect_uri="https://gw.example.com/cb")
    assert said["client_id"] == "https://gw.example.com/oauth/client/x"
    assert (said["redirect_uris"], said["application_type"]) == (["https://gw.example.com/cb"], "web")
