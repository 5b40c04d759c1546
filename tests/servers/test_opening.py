"""What a change of a server opens is told: never too little."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.records import Listing, Mode, Permission, Restrictions, Server, Signer
from gateway.servers.opening import opened
from tests.servers.forms import ACTIONS, FORMS, USERS, lets, restrictions_of

PLAIN = Server(id="desk-a1b2c3d4", owner="user:otto@example.com", name="Desk")
NOTHING_SAID = {"connectors": None, "actions": None, "users": None, "permissions": None}


def server(form, *, public: bool = False) -> Server:
    return replace(PLAIN, public=public, restrictions=restrictions_of(form))


def uses(form, *, public: bool) -> set[tuple[str, str, str]]:
    """Who may use what: end users by their names, and the account of one of them as ``user:``."""
    found = {(user, connector, each) for user in USERS for connector in ACTIONS for each in ACTIONS[connector]}
    by_end = {each for each in found if lets(form, *each)}
    users = form["users"]
    member = public or (users is not None and users["mode"] == "allowlist" and "eve@example.com" in users["allowedIds"])
    by_account = {(f"user:{each[0]}", *each[1:]) for each in by_end if "@" in each[0] and member}
    token = {("", *each[1:]) for each in by_end if each[0] == "u1" and users is None}
    return by_end | by_account | token


@given(FORMS, FORMS, st.booleans(), st.booleans())
@example(
    NOTHING_SAID, {**NOTHING_SAID, "users": {"mode": "allowlist", "allowedIds": ["eve@example.com"]}}, False, False
)
@example({**NOTHING_SAID, "users": {"mode": "blocklist", "blockedIds": []}}, NOTHING_SAID, False, False)
def test_whoever_is_let_in_anew_is_told_of(before, after, was_public, is_public):
    told = opened(server(before, public=was_public), server(after, public=is_public))
    if uses(after, public=is_public) - uses(before, public=was_public):
        assert told


@given(FORMS, st.booleans())
def test_nothing_is_opened_by_what_stays_or_by_taking_more_away(form, public):
    known = server(form, public=public)
    assert opened(known, known) == ()
    assert opened(known, replace(known, public=False)) == ()
    everything = server(NOTHING_SAID, public=True)
    told = opened(everything, known)
    assert not [each for each in told if "users" not in each], "accounts that are named, at most"


RENAMED = replace(PLAIN, name="Other", description="d", instructions="i", shaping=True, cache_s=60)
KNOWN = Signer(id="s1", issuer="https://a.example", algorithm="ES256", jwks_url="https://a.example/jwks")


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (PLAIN, RENAMED, ()),
        (PLAIN, replace(PLAIN, public=True), ("`isPublic`: everybody who has an account may use it now",)),
        (PLAIN, replace(PLAIN, signers=(KNOWN,)), ("`jwt`: end users come in by tokens of `https://a.example` now",)),
        (replace(PLAIN, signers=(KNOWN,)), PLAIN, ()),
        (
            PLAIN,
            replace(PLAIN, redirects=("https://a.example/", "https://b.example/")),
            ("`redirectUris`: browsers may be sent to `https://a.example/`, `https://b.example/` now",),
        ),
        (PLAIN, replace(PLAIN, mode=Mode.DIRECT), ("`mode`: other tools are reached now than in mode `connectivity`",)),
        (replace(PLAIN, mode=Mode.DIRECT), PLAIN, ()),
        (PLAIN, replace(PLAIN, mode=Mode.UPSTREAM, upstream="b"), ()),
        (
            replace(PLAIN, mode=Mode.UPSTREAM, upstream="b"),
            replace(PLAIN, mode=Mode.UPSTREAM, upstream="c"),
            ("`mode`: other tools are reached now than in mode `upstream`",),
        ),
        (
            replace(PLAIN, restrictions=Restrictions(permissions=(Permission(connector="a", actions=("x",)),))),
            replace(
                PLAIN,
                restrictions=Restrictions(permissions=(Permission(connector="a", actions=("x", "y")), Permission(connector="b"))),
            ),
            ("`restrictions.permissions`: let in now: `a:y`, `b:*`",),
        ),
        (
            replace(PLAIN, restrictions=Restrictions(connectors=Listing(allow=True))),
            replace(PLAIN, restrictions=Restrictions(connectors=Listing(allow=True, names=tuple("abcdefghijkl")))),
            ("`restrictions.connectors`: let in now: `a`, `b`, `c`, `d`, `e`, `f`, `g`, `h`, `i`, `j` and 2 more",),
        ),
    ],
)  # fmt: skip
def test_what_is_opened_is_said_in_the_words_of_the_form(before, after, told):
    assert opened(before, after) == told
