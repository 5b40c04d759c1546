"""How restrictions and addresses are read, and how an id begins."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.records import Server
from gateway.servers.forms import ServerRestrictions, ServerSigner, ServerWanted
from gateway.servers.reading import Draft, drafted, redirect_problem, same_name, slug
from gateway.servers.restrictions import Known, form_of, read_restrictions, unknown
from tests.servers.forms import ACTIONS, FORMS, restrictions_of

PLAIN = Server(id="desk-a1b2c3d4", owner="user:otto@example.com", name="Desk")
KNOWN = Known({id: frozenset(names) for id, names in ACTIONS.items()}, frozenset({"b"}))


def problems_of(form) -> list[str]:
    problems: list[str] = []
    read_restrictions(msgspec.convert(form, type=ServerRestrictions), problems)
    return problems


@given(FORMS)
def test_what_is_read_is_told_in_words_that_are_read_as_the_same(form):
    read = restrictions_of(form)
    problems: list[str] = []
    assert read_restrictions(form_of(read), problems) == read
    assert not problems


@given(FORMS)
def test_what_stands_there_already_is_never_asked_about(form):
    read = restrictions_of(form)
    assert [*unknown(read, read, Known())] == []


@given(st.text(max_size=120))
def test_any_name_begins_an_id_that_a_row_and_a_path_can_hold(name):
    found = slug(name)
    assert 1 <= len(found) <= 40
    assert all(each in "abcdefghijklmnopqrstuvwxyz0123456789-" for each in found)
    assert found == found.strip("-")


@given(st.text(min_size=1, max_size=100))
def test_a_name_is_the_same_as_itself_in_capitals(name):
    assert same_name(name, name)
    assert same_name(name.casefold(), name)


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ({"connectors": {"mode": "allowlist"}}, ["`restrictions.connectors.allowedIds`: it is missing; mode `allowlist` needs it"]),
        ({"users": {"mode": "blocklist", "allowedIds": []}}, ["`restrictions.users.blockedIds`: it is missing; mode `blocklist` needs it"]),
        (
            {"connectors": {"mode": "blocklist", "blockedIds": ["a"], "allowedIds": ["b"]}},
            ["`restrictions.connectors.allowedIds`: mode `blocklist` has no use for it; leave it out"],
        ),
        ({"connectors": {"mode": "blocklist", "blockedIds": ["a"], "allowedIds": []}}, []),
        ({"users": {"mode": "allowlist", "allowedIds": ["*"]}}, ["`restrictions.users`: `*` is nobody; leave `users` out to let everybody in"]),
        ({"actions": {"mode": "allowlist", "allowedActions": ["a:"]}}, ["`restrictions.actions`: the name of an action is missing"]),
        ({"actions": {"mode": "allowlist", "allowedActions": ["*x*"]}}, ["`restrictions.actions`: in `*x*`, one `*` may begin the name or end it"]),
        ({"actions": {"mode": "allowlist", "allowedActions": ["**"]}}, ["`restrictions.actions`: in `**`, one `*` may begin the name or end it"]),
        ({"permissions": [{"connector": "a"}, {"connector": "a"}]}, ["`restrictions.permissions[1].connector`: `a` stands in the list already; say all at once"]),
        ({"permissions": [{"connector": "a", "actions": ["b:x"]}]}, ["`restrictions.permissions[0].actions`: `b:x` is not one of `a`"]),
        ({"permissions": [{"connector": "a", "actions": ["a:x"]}]}, []),
        ({"users": {"mode": "allowlist", "allowedIds": ["u" * 10_000] * 2}}, []),
        (
            {"users": {"mode": "allowlist", "allowedIds": [f"{'u' * 9_990}{number}" for number in range(11)]}},
            ["`restrictions`: all names together are longer than 100000 characters; use `*`"],
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_told_with_its_place(form, told):
    assert problems_of(form) == told


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("make_x", ""), ("a:x", ""), ("b:make_*", ""), ("nothing_*", ""), ("custom:anything", ""), ("http:api.example.com", ""),
        ("c:x", "there is no connector `c`"), ("*:x", "there is no connector `*`"), ("b:x", "`b` has no action `x`"),
        ("Make_x", "no connector has an action `Make_x`; a tool that a user made is `custom:NAME`"),
    ],
)  # fmt: skip
def test_an_action_is_known_by_its_exact_name(name, told):
    assert KNOWN.action_problem(name) == told


def test_an_action_that_an_asked_connector_has_needs_nobody_else():
    known = Known({**KNOWN.actions, "c": None})
    assert known.action_problem("make_x") == ""
    assert known.action_problem("new") == "`new` is not known, and `c` cannot be asked now; try again later"
    assert known.action_problem("a:new") == "`a` has no action `new`"


@pytest.mark.parametrize(
    ("uri", "good"),
    [
        ("https://app.example.com/back", True),
        ("https://app.example.com:8443/back?x=1", True),
        ("http://127.0.0.1:3000/cb", True),
        ("http://[::1]/cb", True),
        ("http://localhost/cb", True),
        ("http://app.example.com/back", False),
        ("http://localhost.example.com/", False),
        ("https://user@app.example.com/", False),
        ("https://app.example.com/#x", False),
        ("https://app.example.com/a b", False),
        ("https://app.example.com\\@evil.example/", False),
        ("https:///back", False),
        ("https://app.example.com:99999/", False),
        ("//app.example.com/", False),
        ("javascript:alert(1)", False),
        ("https://[::1/", False),
        ("app://back", False),
    ],
)
def test_browsers_are_sent_to_whole_addresses_alone(uri, good):
    assert (redirect_problem(uri) == "") == good


@pytest.mark.parametrize(
    ("said", "place"),
    [
        ({"algorithm": "HS256", "secret": "s" * 31}, "jwt[0].secret"),
        ({"algorithm": "HS256"}, "jwt[0].secret"),
        ({"algorithm": "HS256", "secret": "s" * 32, "jwksUrl": "https://x.example/"}, "jwt[0].jwksUrl"),
        ({"algorithm": "RS256", "secret": "s" * 32, "jwksUrl": "https://x.example/"}, "jwt[0].secret"),
        ({"algorithm": "EdDSA"}, "jwt[0].jwksUrl"),
        ({"algorithm": "ES256", "jwksUrl": "http://localhost/jwks"}, "jwt[0].jwksUrl"),
        ({"algorithm": "PS256", "jwksUrl": "https://x.example/", "issuer": "ostiary"}, "jwt[0].issuer"),
        ({"algorithm": "PS256", "jwksUrl": "https://x.example/", "issuer": "a\nb"}, "jwt[0].issuer"),
        ({"algorithm": "PS256", "jwksUrl": "https://x.example/", "id": "none"}, "jwt[0].id"),
    ],
)
def test_a_signer_is_whole_or_refused(said, place):
    form = msgspec.convert({"jwt": [{"issuer": "https://i.example", **said}]}, type=ServerWanted)
    found = drafted(PLAIN, form, new_id=lambda: "s1")
    assert not isinstance(found, Draft)
    assert any(each.startswith(f"`{place}`: ") for each in found)


@pytest.mark.parametrize("algorithm", ["none", "HS512", "hs256", "RS512", ""])
def test_an_algorithm_is_one_of_the_five(algorithm):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"issuer": "i", "algorithm": algorithm}, type=ServerSigner)


def test_a_secret_is_not_printable():
    form = msgspec.convert({"jwt": [{"issuer": "i", "algorithm": "HS256", "secret": "canary" * 6}]}, type=ServerWanted)
    found = drafted(PLAIN, form, new_id=lambda: "s1")
    assert isinstance(found, Draft)
    assert found.secrets["s1"].reveal() == "canary" * 6
    assert "canary" not in repr(form) + str(form) + repr(found)
