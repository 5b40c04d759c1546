"""What servers say of their own authorization, read strictly."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from connectors.oauth.metadata import (
    Challenge,
    challenge,
    presumed_server,
    read_resource,
    read_server,
    resource_places,
    server_places,
    wanted,
)

ISSUER = "https://as.example.com/tenant"
SERVER = {
    "issuer": ISSUER,
    "authorization_endpoint": f"{ISSUER}/authorize",
    "token_endpoint": f"{ISSUER}/token",
    "code_challenge_methods_supported": ["plain", "S256"],
}
URL = "https://mcp.example.com/team/mcp"


def body(**more) -> bytes:
    said = {**SERVER, **more}
    return json.dumps({name: value for name, value in said.items() if value is not None}).encode()


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("", None),
        ("Basic realm=x", None),
        ("Bearer", Challenge()),
        ('Bearer resource_metadata="https://a/b", scope="x y x"', Challenge("https://a/b", ("x", "y"))),
        ("bearer error=insufficient_scope, scope=a", Challenge("", ("a",), "insufficient_scope")),
        ('Basic realm="Bearer", Bearer scope="a"', Challenge("", ("a",))),
        ('Bearer scope="a", Basic realm="r", error="x"', Challenge("", ("a",))),
        ('Bearer scope=""', Challenge("", ())),
        (r'Bearer resource_metadata="https://a/\"b"', Challenge('https://a/"b')),
    ],
)
def test_a_challenge_says_where_and_for_what(header, said):
    assert challenge(header) == said


@given(st.text(max_size=300))
@example('Bearer a="' + "\\" * 100)
def test_any_header_is_a_challenge_or_none(header):
    found = challenge(f"Bearer {header}")
    assert found is None or all(" " not in scope and scope for scope in found.scopes or ())


def test_the_metadata_of_a_resource_is_sought_for_its_path_and_then_for_its_host():
    where = "https://mcp.example.com/.well-known/oauth-protected-resource"
    assert resource_places(URL) == (f"{where}/team/mcp", where)
    assert resource_places("https://MCP.example.com/") == (where,)


def test_the_metadata_of_a_server_is_sought_in_the_order_of_the_protocol():
    assert server_places("https://a.example.com") == (
        "https://a.example.com/.well-known/oauth-authorization-server",
        "https://a.example.com/.well-known/openid-configuration",
    )
    assert server_places(ISSUER) == (
        "https://as.example.com/.well-known/oauth-authorization-server/tenant",
        "https://as.example.com/.well-known/openid-configuration/tenant",
        "https://as.example.com/tenant/.well-known/openid-configuration",
    )


@pytest.mark.parametrize("resource", [URL, "https://mcp.example.com", "https://MCP.example.com/team/", f"{URL}/"])
def test_a_resource_speaks_for_what_lies_below_it(resource):
    said = {"resource": resource, "authorization_servers": [ISSUER, 7], "scopes_supported": ["a", "a", "b c"]}
    found = read_resource(json.dumps(said).encode(), URL)
    assert (found.resource, found.servers, found.scopes) == (resource, (ISSUER,), ("a",))


@pytest.mark.parametrize(
    "said",
    [
        {"resource": "https://evil.example.com/team/mcp", "authorization_servers": [ISSUER]},
        {"resource": "https://mcp.example.com/team/mcp/more", "authorization_servers": [ISSUER]},
        {"resource": "https://mcp.example.com/tea", "authorization_servers": [ISSUER]},
        {"resource": "http://mcp.example.com/team/mcp", "authorization_servers": [ISSUER]},
        {"resource": URL, "authorization_servers": []},
        {"resource": URL},
        {"authorization_servers": [ISSUER]},
        [URL],
    ],
)
def test_metadata_of_something_else_or_without_a_server_is_refused(said):
    with pytest.raises(ValueError, match="metadata"):
        read_resource(json.dumps(said).encode(), URL)


def test_what_a_server_says_is_taken_over():
    found = read_server(
        body(
            registration_endpoint=f"{ISSUER}/register",
            revocation_endpoint=f"{ISSUER}/revoke",
            token_endpoint_auth_methods_supported=["none"],
            authorization_response_iss_parameter_supported=True,
            client_id_metadata_document_supported=True,
        ),
        ISSUER,
    )
    assert (found.register_url, found.revoke_url) == (f"{ISSUER}/register", f"{ISSUER}/revoke")
    assert (found.auth_methods, found.promises_iss, found.takes_documents) == (("none",), True, True)


@pytest.mark.parametrize(
    "changed",
    [
        {"issuer": f"{ISSUER}/"},
        {"issuer": None},
        {"code_challenge_methods_supported": None},
        {"code_challenge_methods_supported": ["plain"]},
        {"token_endpoint": None},
        {"authorization_endpoint": ""},
        {"authorization_endpoint": "https://as.example.com/{subdomain}"},
        {"revocation_endpoint": 7},
    ],
)
def test_a_server_that_is_another_or_lacks_what_is_needed_is_refused(changed):
    with pytest.raises(ValueError, match=r"metadata|PKCE"):
        read_server(body(**changed), ISSUER)


@given(st.binary(max_size=200))
@example(b"[" * 100_000)
def test_any_bytes_are_metadata_or_a_sentence(said):
    for read in (lambda: read_server(said, ISSUER), lambda: read_resource(said, URL)):
        with pytest.raises(ValueError, match="metadata"):
            read()


def test_a_server_without_any_metadata_stands_for_itself():
    presumed = presumed_server("https://mcp.example.com/team/mcp")
    assert (presumed.issuer, presumed.token_url) == ("https://mcp.example.com", "https://mcp.example.com/token")


@pytest.mark.parametrize(
    ("challenged", "resource", "server", "chosen"),
    [
        (("a",), ("b",), None, ("a",)),
        (None, ("b",), None, ("b",)),
        ((), ("b",), None, ()),
        (None, None, ("c",), ()),
        (None, ("b",), ("offline_access",), ("b", "offline_access")),
        (("offline_access",), None, ("offline_access",), ("offline_access",)),
    ],
)
def test_scopes_are_those_of_the_challenge_then_those_of_the_resource(challenged, resource, server, chosen):
    assert wanted(challenged, resource, server) == chosen
