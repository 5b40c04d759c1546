"""Reading token answers: whatever comes, it is tokens or a failure with a name."""

import json
import time
from urllib.parse import urlencode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from connectors.base import Secret
from connectors.definition.terms import Equals, Expiry, TokenAnswer
from connectors.oauth.answer import Reply, decoded, merged, tokens_of
from connectors.oauth.failures import Leg
from connectors.oauth.terms import Failure, OAuthFailed, Tokens
from tests.oauth.quirks import NOW, definition_of, tried

LATEST = NOW + 10 * 366 * 86_400_000

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(min_value=-(10**30), max_value=10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
names = st.sampled_from(
    ["access_token", "refresh_token", "expires_in", "scope", "error", "ok", "error_description", "team", "message"]
)
answers = st.dictionaries(names, json_values, max_size=8)
statuses = st.sampled_from([200, 200, 200, 201, 204, 304, 400, 401, 403, 404, 408, 429, 500, 503])
hows = st.builds(
    TokenAnswer,
    ok_when=st.none() | st.just(Equals("ok", True)),
    access=st.sampled_from([("access_token",), ("team.access_token", "access_token"), ("team",), ("",)]),
    keep=st.sampled_from([(), ("team",), ("team.id", "message")]),
    expires=st.builds(
        Expiry, st.just(("expires_in",)), st.sampled_from(["s", "ms", "at"]), st.none() | st.integers(0, 10**12)
    ),
)
kinds = st.sampled_from(["application/json", "application/x-www-form-urlencoded", "text/html", "", "no/type; json"])


def read(reply, how=None, leg=Leg.CODE, hidden=()):
    definition = definition_of(**({} if how is None else {"answer": how}))
    return tokens_of(reply, definition, definition.auth.oauth, leg, now=NOW, hidden=hidden)


def sound(reply, how, leg):
    """Reads; whatever comes of it keeps what the types promise."""
    tokens = tried(read, reply, how, leg)
    if isinstance(tokens, OAuthFailed):
        assert tokens.kind in Failure
        assert tokens.sentence.isprintable()
        assert len(tokens.detail) <= 300
        assert all(" " <= each <= "~" for each in tokens.detail)
        assert tokens.retry_after is None or 0 <= tokens.retry_after <= 86_400
        return
    assert 200 <= reply.status < 300
    for token in (tokens.access, tokens.refresh):
        assert token is None or (token.reveal() and all(" " <= each <= "~" for each in token.reveal()))
    assert tokens.expires_at is None or NOW <= tokens.expires_at <= LATEST
    assert tokens.scopes is None or all(scope and " " not in scope for scope in tokens.scopes)
    assert set(tokens.kept) <= set(how.keep)
    assert all(isinstance(value, str) and value for value in tokens.kept.values())


@given(st.builds(Reply, statuses, kinds, st.text(max_size=30), st.binary(max_size=200)), hows, st.sampled_from(Leg))
@example(Reply(200, "application/json", "", b'{"access_token":' + b"[" * 100_000), TokenAnswer(), Leg.CODE)
@example(
    Reply(200, "application/json", "", b'{"access_token":"a","expires_in":' + b"9" * 5000 + b"}"),
    TokenAnswer(),
    Leg.CODE,
)
@example(Reply(200, "", "", b"a=1&" * 1000 + b"access_token=a"), TokenAnswer(), Leg.CODE)
@example(Reply(200, "", "", b"access_token=\xff\xfe"), TokenAnswer(), Leg.CODE)
@example(Reply(503, "", "1e400", b""), TokenAnswer(), Leg.RENEWAL)
@example(Reply(503, "", "-5", b""), TokenAnswer(), Leg.RENEWAL)
@example(Reply(503, "", "Mon, 99 Xyz 99999 99:99:99 GMT", b""), TokenAnswer(), Leg.RENEWAL)
@example(Reply(503, "", "Mon, 01 Jan 2024 00:00:00 -" + "9" * 30, b""), TokenAnswer(), Leg.RENEWAL)
@example(Reply(503, "", "Fri, 31 Dec 9999 23:59:59 -2359", b""), TokenAnswer(), Leg.RENEWAL)
def test_any_bytes_are_tokens_or_a_failure(reply, how, leg):
    sound(reply, how, leg)


@given(statuses, answers, hows, st.sampled_from(Leg))
@example(
    200, {"access_token": "a", "expires_in": "9999-12-31T23:59:59"}, TokenAnswer(expires=Expiry(unit="at")), Leg.CODE
)
@example(200, {"access_token": "a", "expires_in": "0001-01-01"}, TokenAnswer(expires=Expiry(unit="at")), Leg.CODE)
@example(400, {"error": 10**5000}, TokenAnswer(), Leg.CODE)
def test_any_json_is_tokens_or_a_failure(status, said, how, leg):
    try:
        body = json.dumps(said).encode()
    except ValueError:
        body = b'{"error":1' + b"0" * 5000 + b"}"
    sound(Reply(status, "application/json", "", body), how, leg)


fields = st.dictionaries(names, st.text(st.characters(codec="utf-8"), max_size=30), min_size=1, max_size=6)


@given(fields)
def test_a_form_reads_as_the_same_words_in_json_do(said):
    form = Reply(200, "application/x-www-form-urlencoded", "", urlencode(said).encode())
    assert decoded(form) == said
    assert decoded(Reply(200, "application/json", "", json.dumps(said).encode())) == said


@given(answers, hows)
def test_a_refusal_never_gives_tokens(said, how):
    reply = Reply(400, "application/json", "", json.dumps({**said, "access_token": "at-1"}).encode())
    with pytest.raises(OAuthFailed):
        read(reply, how)


@given(answers)
def test_an_error_is_never_overlooked(said):
    reply = Reply(200, "application/json", "", json.dumps({**said, "access_token": "at-1", "error": "x"}).encode())
    with pytest.raises(OAuthFailed):
        read(reply)


plain_tokens = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=60)


@given(plain_tokens, st.none() | plain_tokens, st.integers(1, 10**8))
def test_what_a_good_answer_says_is_what_comes_out(access, refresh, seconds):
    said = {"access_token": access, "refresh_token": refresh, "expires_in": seconds}
    tokens = read(Reply(200, "application/json", "", json.dumps(said).encode()))
    assert tokens.access.reveal() == access
    assert (tokens.refresh and tokens.refresh.reveal()) == refresh
    assert tokens.expires_at == NOW + seconds * 1000


words = st.dictionaries(st.sampled_from("abc"), st.text(min_size=1, max_size=5))
scopes = st.none() | st.lists(st.sampled_from(["x", "y"]), max_size=2).map(tuple)
held = st.builds(
    Tokens, st.builds(Secret, plain_tokens), st.none() | st.builds(Secret, plain_tokens), st.none(), scopes, words
)


@given(held, held)
def test_a_renewal_loses_nothing_that_it_does_not_replace(old, new):
    tokens = merged(old, new)
    assert tokens.access is new.access
    assert tokens.refresh is (new.refresh or old.refresh)
    assert tokens.scopes == (old.scopes if new.scopes is None else new.scopes)
    assert tokens.kept == {**old.kept, **new.kept}


@pytest.fixture
def in_tokyo(monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("in_tokyo")
def test_a_time_without_a_zone_is_universal_wherever_we_stand():
    said = {"access_token": "a", "expires_in": "2027-01-15T08:01:30"}
    reply = Reply(200, "application/json", "", json.dumps(said).encode())
    assert read(reply, TokenAnswer(expires=Expiry(unit="at"))).expires_at == NOW + 90_000


def test_an_id_token_can_be_kept():
    token = "e" * 6000
    said = {"access_token": "a", "id_token": token, "huge": "x" * 20_000}
    reply = Reply(200, "application/json", "", json.dumps(said).encode())
    assert read(reply, TokenAnswer(keep=("id_token", "huge"))).kept == {"id_token": token}


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        ("a b", ("a", "b")),
        ("a,b", ("a", "b")),
        ("a, b  a", ("a", "b")),
        (["a", "b", 3, "", "c d"], ("a", "b")),
        ("", ()),
        (None, None),
        ({"a": 1}, None),
    ],
)
def test_scopes_are_read_however_they_are_written(scope, expected):
    said = {"access_token": "a", "scope": scope}
    assert read(Reply(200, "application/json", "", json.dumps(said).encode())).scopes == expected
