"""Which addresses may be reached: the registries, embedded addresses, written-out hosts, and exceptions."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from connectors.addresses import INSIDE, PUBLIC_ONLY, Exceptions, Reach, literal, parse, reach

# The IANA special-purpose registries (RFC 6890 and later) and the multicast and reserved spaces, written
# down here a second time: the blocks that are not globally reachable unicast, whatever else they are for.
REFUSED_V4 = [
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
    "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
    "224.0.0.0/4", "240.0.0.0/4",
]  # fmt: skip
REFUSED_V6 = [
    "::/128", "::1/128", "::/96", "::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "100:0:0:1::/64",
    "2001::/23", "2001::/32", "2001:2::/48", "2001:10::/28", "2001:20::/28", "2001:30::/28", "2001:db8::/32",
    "2002::/16", "3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
]  # fmt: skip


def inside(block: str) -> st.SearchStrategy[IPv4Address | IPv6Address]:
    network = ip_network(block)
    first, last = int(network.network_address), int(network.broadcast_address)
    kind = IPv4Address if network.version == 4 else IPv6Address
    return st.one_of(st.sampled_from([first, last]), st.integers(first, last)).map(kind)


refused_v4 = st.sampled_from(REFUSED_V4).flatmap(inside)
any_v4 = st.integers(0, 2**32 - 1).map(IPv4Address)


@given(st.sampled_from(REFUSED_V4 + REFUSED_V6).flatmap(inside))
def test_no_address_of_a_special_block_is_public(address):
    assert reach(address) is not Reach.PUBLIC


@given(st.one_of(any_v4, st.integers(0, 2**128 - 1).map(IPv6Address)))
@example(IPv6Address("3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff"))
def test_what_the_standard_library_calls_not_global_is_never_public(address):
    if not address.is_global or address.is_multicast or address.is_reserved:
        assert reach(address) is not Reach.PUBLIC


@given(any_v4)
def test_an_ipv4_address_is_public_exactly_outside_the_special_blocks(address):
    special = any(address in IPv4Network(block) for block in REFUSED_V4)
    assert (reach(address) is Reach.PUBLIC) is not special


@given(st.integers(int(IPv6Address("2000::")), int(IPv6Address("3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"))))
def test_an_ipv6_address_of_global_unicast_is_public_exactly_outside_the_special_blocks(number):
    address = IPv6Address(number)
    special = any(address in IPv6Network(block) for block in REFUSED_V6)
    isatap = (number >> 32) & 0xFDFFFFFF == 0x5EFE
    if not isatap:
        assert (reach(address) is Reach.PUBLIC) is not special


EMBEDDINGS = {
    "mapped": lambda v4: (0xFFFF << 32) | v4,
    "compatible": lambda v4: v4,
    "translated": lambda v4: (0xFFFF << 48) | v4,
    "nat64": lambda v4: int(IPv6Address("64:ff9b::")) | v4,
    "local nat64": lambda v4: int(IPv6Address("64:ff9b:1::")) | v4,
    "6to4": lambda v4: int(IPv6Address("2002::")) | (v4 << 80),
    "teredo server": lambda v4: int(IPv6Address("2001::")) | (v4 << 64),
    "teredo client": lambda v4: int(IPv6Address("2001::")) | (v4 ^ 0xFFFFFFFF),
    "isatap": lambda v4: int(IPv6Address("2606:4700::")) | (0x5EFE << 32) | v4,
    "isatap, unique": lambda v4: int(IPv6Address("2606:4700::")) | (0x02005EFE << 32) | v4,
}


@given(st.sampled_from(sorted(EMBEDDINGS)), refused_v4)
def test_an_ipv6_address_that_carries_a_refused_ipv4_address_is_refused(way, address):
    assert reach(IPv6Address(EMBEDDINGS[way](int(address)))) is not Reach.PUBLIC


@pytest.mark.parametrize(
    "text",
    ["8.8.8.8", "1.1.1.1", "100.63.255.255", "100.128.0.0", "172.32.0.1", "192.0.1.1", "198.20.0.1", "223.255.255.255",
     "2606:4700::1111", "2001:4860:4860::8888", "2a00:1450::1", "2620:4f:8000::1", "2606:4700::5efe:808:808"],
)  # fmt: skip
def test_ordinary_addresses_of_the_internet_are_public(text):
    assert reach(ip_address(text)) is Reach.PUBLIC


@pytest.mark.parametrize(
    "text",
    ["192.0.0.192", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "224.0.0.1", "ff02::1", "169.254.169.254", "fd00:ec2::254",
     "255.255.255.255", "fe80::1%eth0", "2606:4700::1%eth0", "4000::1", "::ffff:8.8.8.8"],
)  # fmt: skip
def test_addresses_that_a_simpler_check_lets_through_are_refused(text):
    assert reach(ip_address(text)) is not Reach.PUBLIC


@pytest.mark.parametrize(
    "host",
    ["2130706433", "127.1", "127.0.1", "0177.0.0.1", "0x7f.1", "0x7f000001", "0x7f.0x0.0x0.0x1", "127.0.0.1.", "0",
     "256.1.1.1", "1.2.3.4.5", "0x", "٣.٣.٣.٣", "a.0x1f", "a.1", "::1::", "fe80::1%", "1:2"],
)  # fmt: skip
def test_whatever_some_resolver_reads_as_an_address_must_be_a_plain_one(host):
    with pytest.raises(ValueError, match="is not a plain IP address"):
        literal(host)


@pytest.mark.parametrize("host", ["example.com", "a", "1.example", "0x7f.example", "xn--bcher-kva.de", "1and1.com."])
def test_a_name_is_not_an_address(host):
    assert literal(host) is None


@given(st.integers(0, 2**128 - 1).map(IPv6Address) | any_v4)
def test_a_written_address_is_read_as_itself(address):
    assert literal(str(address)) == address


def exceptions(*entries: str) -> Exceptions:
    parsed = parse(entries)
    assert isinstance(parsed, Exceptions), parsed
    return parsed


def test_without_exceptions_only_public_addresses_are_allowed():
    assert PUBLIC_ONLY.allows(ip_address("8.8.8.8"), host="dns.test", port=443)
    assert not PUBLIC_ONLY.allows(ip_address("10.0.0.1"), host="dns.test", port=443)
    assert not PUBLIC_ONLY.lists("dns.test", 443)


def test_a_listed_host_and_port_allows_that_port_of_that_host_only():
    allow = exceptions("Tools.Corp:9001")
    assert allow.allows(ip_address("10.1.2.3"), host="tools.corp", port=9001)
    assert allow.allows(ip_address("10.1.2.3"), host="TOOLS.corp.", port=9001)
    assert not allow.allows(ip_address("10.1.2.3"), host="tools.corp", port=9002)
    assert not allow.allows(ip_address("10.1.2.3"), host="other.corp", port=9001)
    assert not allow.allows(ip_address("10.1.2.3"), host="x.tools.corp", port=9001)


@pytest.mark.parametrize(
    "text", ["169.254.169.254", "0.0.0.0", "224.0.0.1", "fe80::1", "::ffff:127.0.0.1", "240.0.0.1"]
)
def test_a_listed_name_never_leads_beyond_inner_networks(text):
    assert reach(ip_address(text)) not in INSIDE
    assert not exceptions("tools.corp").allows(ip_address(text), host="tools.corp", port=443)


def test_a_listed_block_allows_its_addresses_by_whatever_name():
    allow = exceptions("10.0.0.0/8", "fd00::/8")
    assert allow.allows(ip_address("10.9.9.9"), host="anything.test", port=1)
    assert allow.allows(ip_address("fd00::7"), host="anything.test", port=1)
    assert not allow.allows(ip_address("192.168.0.1"), host="anything.test", port=1)
    assert allow.lists("10.9.9.9", 80)
    assert not allow.lists("anything.test", 80)


def test_a_listed_address_with_a_port_allows_that_port_only():
    allow = exceptions("127.0.0.1:9001", "[::1]:9002", "fe80::5")
    assert allow.allows(ip_address("127.0.0.1"), host="127.0.0.1", port=9001)
    assert not allow.allows(ip_address("127.0.0.1"), host="127.0.0.1", port=9002)
    assert allow.allows(ip_address("::1"), host="::1", port=9002)
    assert not allow.allows(ip_address("::1"), host="::1", port=9001)
    assert allow.allows(ip_address("fe80::5"), host="x", port=5)


BAD_ENTRIES = [
    "", "*", "*.corp", "http://x", "x:0", "x:65536", "x:y", "x:", "[::1", "[::1]9", "[x]:1", "10.0.0.1/8", "10.0.0.0/33",
    "127.1", "0x7f.1", "a b", "a..b", "x:１", "-", "a" * 64, "u@h", "é.test",
]  # fmt: skip


def test_every_unreadable_entry_is_a_problem_that_quotes_it():
    problems = parse(["good.corp", *BAD_ENTRIES])
    assert isinstance(problems, list)
    assert [problem.partition("`")[2].partition("`")[0] for problem in problems] == BAD_ENTRIES


@given(st.text(max_size=40))
def test_any_text_is_an_exception_or_a_problem(text):
    parsed = parse([text])
    assert isinstance(parsed, Exceptions) or len(parsed) == 1


@given(
    st.lists(st.sampled_from(["10.0.0.0/8", "tools.corp", "127.0.0.1:80", "fd00::1"])), any_v4, st.integers(1, 65535)
)
def test_an_exception_only_ever_opens(entries, address, port):
    if PUBLIC_ONLY.allows(address, host="h.test", port=port):
        assert exceptions(*entries).allows(address, host="h.test", port=port)
