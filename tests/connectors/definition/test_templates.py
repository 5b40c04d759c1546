"""A value stays inside of its place in a template, and a URL never leaves the hosts that a definition allows."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from connectors.base import Credential, Secret
from connectors.definition.hosts import covers, host_of, is_allowed
from connectors.definition.platform import Platform
from connectors.definition.templates import (
    allowed_hosts,
    authorization,
    fields,
    filled,
    filled_url,
    segment,
    values_of,
)
from tests.connectors.definition.texts import EVERYTHING, changed, read

HOSTS = ("*.desk.example", "api.example", "127.0.0.1")


@pytest.mark.parametrize(
    ("template", "value", "url"),
    [
        ("https://{x}.desk.example/a", "eu", "https://eu.desk.example/a"),
        ("https://{x}.desk.example/a", "eu.west", "https://eu.west.desk.example/a"),
        ("https://{x}/a", "api.example", "https://api.example/a"),
        ("https://{x}/a", "api.example:8443", "https://api.example:8443/a"),
        ("https://api.example/t/{x}", "a b/c?d#e", None),
        ("https://api.example/t/{x}", "a b?d#e%2e", "https://api.example/t/a%20b%3Fd%23e%252e"),
        ("https://api.example/t?x={x}", "a&b=c/../d", "https://api.example/t?x=a%26b%3Dc%2F..%2Fd"),
        ("{x}/v1", "https://api.example/", "https://api.example/v1"),
        ("{x}", "https://na1.desk.example/services", "https://na1.desk.example/services"),
        ("{x}", "http://127.0.0.1:8000", "http://127.0.0.1:8000"),
    ],
)
def test_a_url_is_filled(template, value, url):
    if url is None:
        with pytest.raises(ValueError, match=r"`x`|none of it"):
            filled_url(template, {"x": "a/../b"}, HOSTS)
    else:
        assert filled_url(template, {"x": value}, HOSTS) == url


@pytest.mark.parametrize(
    ("template", "value"),
    [
        *(
            ("https://{x}.desk.example/a", value)
            for value in ("evil.example/", "evil.example#", "evil.example?", "a@evil.example", "", ".", "-", "a b", "é")
        ),
        *(("https://{x}.desk.example/a", value) for value in ("evil.example\\", "evil.example:1", "a:", "a:b", "[::1]")),
        *(
            ("https://{x}/a", value)
            for value in ("evil.example", "desk.example", "xdesk.example", "127.0.0.2", "2130706433", "localhost", "api.example.")
        ),
        *(("https://api.example/t/{x}", value) for value in ("", ".", "..", "a/../b", "a\\..\\b", "..;x", "a\nb", "a/")),
        ("https://api.example/t?x={x}", "a\r\nb"),
        *(
            ("{x}/v1", value)
            for value in (
                "https://evil.example",
                "https://api.example@evil.example",
                "https://evil.example\\@api.example",
                "https://api.example#",
                "https://api.example?x=",
                "https://api.example/..",
                "https://api.example/a/../b",
                "https://user:pw@api.example",
                "//api.example",
                "javascript:alert(1)//api.example",
                "ftp://api.example",
                "api.example",
                "https://api.example\n",
                " https://api.example",
                "https://",
                "https://xapi.example",
                "https://api.example.evil.example",
                "https://[::1]",
                "https://api.example/a\nb",
                "https://api.example/a b",
                "https://api.example/a\\b",
            )
        ),
    ],
)  # fmt: skip
def test_a_value_that_leads_elsewhere_is_refused_and_not_repeated(template, value):
    with pytest.raises(ValueError) as caught:
        filled_url(template, {"x": value}, HOSTS)
    assert value not in str(caught.value) or len(value) < 3 or host_of(template.replace("{x}", value)) == value


@given(
    st.text(max_size=60),
    st.sampled_from(["https://{x}.desk.example/a", "https://{x}/a", "{x}/b", "https://api.example/{x}/c?d={x}"]),
)
def test_whatever_the_value_the_host_is_an_allowed_one(value, template):
    try:
        url = filled_url(template, {"x": value}, HOSTS)
    except ValueError:
        return
    read_ = URL(url)
    assert covers(HOSTS, str(read_.raw_host))
    assert read_.raw_user is None
    if "{x}/c" in template:
        assert read_.raw_parts[0] == "/"
        assert len(read_.raw_parts) == 3
        assert read_.query["d"] == value


@given(st.text(min_size=1, max_size=30))
def test_a_step_of_a_path_holds_the_value_as_it_is(value):
    try:
        step = segment(value, "x")
    except ValueError:
        return
    url = URL(f"https://api.example/a/{step}/b")
    assert url.parts == ("/", "a", value, "b")


def test_several_steps_are_each_checked():
    assert segment("docs/a b/c.md", "x", deep=True) == "docs/a%20b/c.md"
    for value in ("/a", "a/", "a//b", "a/./b", "../a", "a/..", "a/..;p/b", "a\\..\\b"):
        with pytest.raises(ValueError, match="another path"):
            segment(value, "x", deep=True)


def test_names_of_a_template_are_found_and_stray_braces_refused():
    assert fields("a {team.id} b {x}{y}") == ("team.id", "x", "y")
    for template in ("{", "a}", "{}", "{a b}", "{{a}}"):
        with pytest.raises(ValueError, match="brace"):
            fields(template)
    with pytest.raises(ValueError, match="there is no value for `b`"):
        filled("{a}{b}", {"a": "1"})


PLATFORM = Platform("desk", read(EVERYTHING), inputs={"region": "us"})


def test_what_the_operator_fixed_counts_before_what_was_typed_and_that_before_the_default():
    assert values_of(Platform("desk", read(EVERYTHING)), Credential()).plain == {"region": "eu"}
    typed = Credential("1", {"extra": Secret("abc"), "access_token": Secret("t0k")}, {"region": "de", "team.id": "T1"})
    assert values_of(Platform("desk", read(EVERYTHING)), typed).plain == {"region": "de", "team.id": "T1"}
    assert values_of(PLATFORM, typed).plain == {"region": "us", "team.id": "T1"}
    assert values_of(PLATFORM, typed).secret == {"extra": "abc", "access_token": "t0k"}
    assert values_of(PLATFORM, Credential()).secret == {"extra": ""}
    assert "abc" not in repr(values_of(PLATFORM, typed))
    assert "t0k" not in f"{PLATFORM} {typed}"


def test_what_a_platform_told_never_widens_the_allowed_hosts():
    text = changed('["*.desk.example", files.example]', '["*.desk.example", "{region}.files.example"]')
    platform = Platform("desk", read(text))
    assert allowed_hosts(platform, {"region": "EU", "team.id": "x"}) == ("*.desk.example", "eu.files.example")
    whole = Platform("desk", read(changed('["*.desk.example", files.example]', '["*.desk.example", "{region}"]')))
    assert allowed_hosts(whole, {"region": "https://box.example:8443/api"}) == ("*.desk.example", "box.example")
    with pytest.raises(ValueError, match="there is no value for `region`"):
        allowed_hosts(platform, {})
    told = replace(platform.definition, api=replace(platform.definition.api, allowed_hosts=("{team.id}",)))
    with pytest.raises(ValueError, match="there is no value"):
        allowed_hosts(Platform("desk", told), {"team.id": "evil.example"})


def test_hosts_below_a_domain_are_covered_by_its_star_and_nothing_else_is():
    assert covers(("*.desk.example",), "eu.desk.example")
    for host in ("desk.example", "xdesk.example", "eu.desk.example.evil", "", "*.desk.example.x"):
        assert not covers(("*.desk.example",), host)


@pytest.mark.parametrize("entry", ["api.example", "localhost", "*.desk.example", "127.0.0.1", "::1", "a_b.example"])
def test_a_host_may_be_allowed(entry):
    assert is_allowed(entry)


@pytest.mark.parametrize(
    "entry", ["", "*", "*.", "*.com", "a.*.example", "http://a", "a/b", "127.1", "*.127.0.0.1", "a:1"]
)
def test_what_is_no_host_cannot_be_allowed(entry):
    assert not is_allowed(entry)


def test_a_user_with_a_colon_would_be_read_otherwise():
    assert authorization("Ann", "pä:ss") == "Basic QW5uOnDDpDpzcw=="
    with pytest.raises(ValueError, match="holds no `:`"):
        authorization("a:b", "c")
