"""Who may knock: Host, Origin, and the address that counts."""

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.web.hosts import ForeignHost, ForeignOrigin, Hosts, client_address

LOCAL = Hosts.of(bind="127.0.0.1:4001", public_url="")
PUBLIC = Hosts.of(bind="0.0.0.0:8080", public_url="https://mcp.example.com", origins=["https://app.example.com/"])


def headers(*pairs: tuple[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in pairs]


@pytest.mark.parametrize("host", ["127.0.0.1:4001", "localhost:4001", "LOCALHOST:4001", "[::1]:4001"])
def test_a_loopback_server_answers_to_its_loopback_names(host: str):
    LOCAL.check(headers(("host", host)))


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:4001",
        "127.0.0.1",
        "localhost:4002",
        "127.0.0.1:4001.evil.example",
        "a#@localhost:4001",
        "",
    ],
)
def test_any_other_host_is_foreign(host: str):
    with pytest.raises(ForeignHost) as caught:
        LOCAL.check(headers(("host", host)))
    assert caught.value.status == 421


def test_no_host_and_two_hosts_are_refused():
    for pairs in [(), (("host", "localhost:4001"), ("host", "localhost:4001"))]:
        with pytest.raises(ForeignHost):
            LOCAL.check(headers(*pairs))


@given(st.text(st.characters(max_codepoint=255), max_size=40))
def test_no_text_but_our_own_names_passes_as_host(host: str):
    if host.lower() not in LOCAL.hosts:
        with pytest.raises(ForeignHost):
            LOCAL.check([(b"host", host.encode("latin-1"))])


def test_a_request_without_origin_passes_and_our_own_pages_pass():
    PUBLIC.check(headers(("host", "mcp.example.com")))
    PUBLIC.check(headers(("host", "mcp.example.com"), ("origin", "https://mcp.example.com")))
    PUBLIC.check(headers(("host", "mcp.example.com"), ("origin", "https://app.example.com")))
    LOCAL.check(headers(("host", "localhost:4001"), ("origin", "http://localhost:4001")))


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://mcp.example.com", "https://mcp.example.com.evil.example", ""]
)
def test_a_foreign_origin_is_refused(origin: str):
    with pytest.raises(ForeignOrigin) as caught:
        PUBLIC.check(headers(("host", "mcp.example.com"), ("origin", origin)))
    assert caught.value.status == 403


def test_forwarded_addresses_count_only_from_trusted_proxies():
    forwarded = headers(("x-forwarded-for", "6.6.6.6, 203.0.113.9"))
    assert client_address("198.51.100.1", forwarded, ()) == "198.51.100.1"
    assert client_address("198.51.100.1", forwarded, [ip_network("10.0.0.0/8")]) == "198.51.100.1"
    assert client_address("10.0.0.1", forwarded, [ip_network("10.0.0.0/8")]) == "203.0.113.9"


def test_a_client_cannot_put_words_before_the_last_trusted_hop():
    forwarded = headers(("x-forwarded-for", "1.1.1.1, 203.0.113.9, 10.0.0.2"))
    assert client_address("10.0.0.1", forwarded, [ip_network("10.0.0.0/8")]) == "203.0.113.9"
    garbage = headers(("x-forwarded-for", "1.1.1.1, what"))
    assert client_address("10.0.0.1", garbage, [ip_network("10.0.0.0/8")]) == "10.0.0.1"
