"""Who asks: the places of a key, the keyed hash, the snapshot of accounts."""

import base64
import pickle
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import structs

from gateway.errors import Unauthenticated
from gateway.identity import (
    INVALID,
    Identities,
    KeyRing,
    credential,
    missing,
    new_key,
    normal_email,
    offered,
)
from gateway.policy.rows import link_sentences
from gateway.policy.terms import Subject
from gateway.records import ApiKey, User

NOW = 1_000_000
RING = KeyRing([("two", b"b" * 32), ("one", b"a" * 32)])


def record(key: str, user: str = "ada@example.com", *, ring: KeyRing = RING, created: int = 10, **rest) -> ApiKey:
    return ApiKey(id=ring.hash(key), secret_id=ring.current, user=user, prefix=key[:8], created_at=created, **rest)


def account(email: str = "ada@example.com", created: int = 10) -> User:
    return User(id=email, created_at=created)


# -- what a request offers


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ([(b"x-apikey", b"ost_k")], b""),
        ([(b"apikey", b"ost_k")], b""),
        ([(b"X-ApiKey", b" ost_k ")], b""),
        ([(b"authorization", b"Bearer ost_k")], b""),
        ([(b"authorization", b"bearer   ost_k")], b""),
        ([], b"apiKey=ost_k"),
        ([], b"x=1&apikey=ost_k&y"),
        ([], b"%61piKey=ost%5Fk"),
        ([(b"authorization", b"Basic eDp5"), (b"apikey", b"ost_k")], b""),
    ],
)
def test_a_key_is_found_in_every_place(headers, query):
    assert offered(headers, query, accept_query=True) == "ost_k"


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ([], b""),
        ([(b"accept", b"ost_k")], b"apikeys=1&monkey=apiKey&key=ost_k"),
        ([(b"authorization", b"Basic eDp5")], b""),
        ([(b"authorization", b"Bearerost_k")], b""),
    ],
)
def test_a_request_that_offers_nothing_gives_nothing(headers, query):
    assert offered(headers, query, accept_query=True) is None


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ([], b"apiKey=a&apiKey=a"),
        ([], b"apiKey=a&apikey=a"),
        ([], b"apiKey=a&%61piKey=b"),
        ([], b"apiKey[$ne]="),
        ([], b"apiKey%5B%24ne%5D=x"),
        ([], b"apiKey[]=a"),
        ([], b"apikey.x=a"),
        ([], b"apiKey[a]=x&apiKey=ost_k"),
        ([], b"APIKEY=ost_k"),
        ([], b"apiKey="),
        ([], b"apiKey"),
        ([], b"apiKey=a,b"),
        ([], b"apiKey=a%00b"),
        ([], b"apiKey=" + b"a" * 5000),
        ([], "apiKey=é".encode()),
        ([], b"apiKey=%C3%A9"),
        ([(b"x-apikey", b"")], b""),
        ([(b"x-apikey", b"a, b")], b""),
        ([(b"x-apikey", b"a"), (b"x-apikey", b"a")], b""),
        ([(b"x-apikey", b"a"), (b"X-APIKEY", b"b")], b""),
        ([(b"x-apikey", b"a"), (b"apikey", b"b")], b""),
        ([(b"x-apikey", b""), (b"apikey", b"b")], b""),
        ([(b"x-apikey", b"a")], b"apiKey=b"),
        ([(b"authorization", b"Bearer a"), (b"authorization", b"Basic b")], b""),
        ([(b"authorization", b"Bearer a b")], b""),
        ([(b"authorization", b"Bearer")], b""),
        ([(b"authorization", b"Bearer ")], b""),
        ([(b"x-apikey", b"k\xff")], b""),
        ([(b"x-apikey", b'{"$ne":1}')], b""),
    ],
)
def test_anything_but_one_plain_value_is_refused(headers, query):
    with pytest.raises(Unauthenticated) as refused:
        offered(headers, query, accept_query=True)
    assert refused.value.text == INVALID
    assert refused.value.status == 401


def test_several_places_may_agree_on_one_value():
    assert offered([(b"x-apikey", b"k"), (b"authorization", b"Bearer k")], b"apiKey=k", accept_query=True) == "k"


def test_a_key_in_the_query_is_refused_where_that_is_switched_off():
    with pytest.raises(Unauthenticated, match="as the header x-apikey"):
        offered([(b"x-apikey", b"k")], b"apiKey=k", accept_query=False)
    assert offered([(b"x-apikey", b"k")], b"page=2", accept_query=False) == "k"


@given(
    st.lists(
        st.tuples(st.sampled_from([b"x-apikey", b"apikey", b"authorization", b"host"]), st.binary(max_size=20)),
        max_size=4,
    ),
    st.one_of(st.binary(max_size=40), st.text(alphabet="apikeyAPIKEY=&[]$%+.0", max_size=40).map(str.encode)),
)
def test_any_bytes_offer_one_plain_value_or_nothing_or_are_refused(headers, query):
    try:
        value = offered(headers, query, accept_query=True)
    except Unauthenticated:
        return
    assert value is None or (value.isascii() and value.isprintable() and value and not set(value) & set(" ,;[]{}$&\"'"))


@given(st.text(alphabet="abcXYZ019-_", min_size=1, max_size=50))
def test_a_key_survives_percent_encoding_in_the_query(key):
    encoded = "".join(f"%{ord(each):02x}" for each in key).encode()
    assert offered([], b"apiKey=" + encoded, accept_query=True) == key
    assert offered([], b"apiKey=" + quote(key).encode(), accept_query=True) == key


# -- keys and their hashes


def test_a_new_key_has_256_random_bits_behind_a_fixed_prefix():
    keys = {new_key() for _ in range(100)}
    assert len(keys) == 100
    for key in keys:
        assert key.startswith("ost_")
        assert len(base64.urlsafe_b64decode(key[4:] + "=")) == 32
        assert offered([(b"x-apikey", key.encode())], b"", accept_query=True) == key


def test_the_stored_hash_depends_on_the_secret_and_never_holds_the_key():
    other = KeyRing([("two", b"c" * 32)])
    assert RING.hash("ost_k") != other.hash("ost_k")
    assert "ost_k" not in RING.hash("ost_k")
    assert list(RING.hashes("ost_k")) == [RING.hash("ost_k"), KeyRing([("one", b"a" * 32)]).hash("ost_k")]


def test_every_use_of_a_secret_derives_another_key():
    derived = {RING.derive(id, use) for id in ("one", "two") for use in ("api-key", "vault", "audit")}
    assert len(derived) == 6
    assert all(len(each) == 32 for each in derived)


def test_a_key_ring_shows_no_secret_and_needs_one():
    assert "b" * 32 not in repr(RING)
    assert repr(RING) == "KeyRing(two, one)"
    with pytest.raises(ValueError):
        KeyRing([])
    with pytest.raises(ValueError):
        KeyRing([("one", b"a" * 32), ("one", b"b" * 32)])


# -- the snapshot


def test_a_live_key_proves_its_user():
    key = record("ost_k")
    subject = Identities.of(RING, [account()], [key]).authenticate("ost_k", NOW)
    assert subject == Subject("user:ada@example.com", credential=credential(key.id))


def test_a_key_made_under_an_older_secret_still_counts_while_the_secret_is_known():
    old = KeyRing([("one", b"a" * 32)])
    identities = Identities.of(RING, [account()], [record("ost_k", ring=old)])
    assert identities.authenticate("ost_k", NOW).name == "user:ada@example.com"
    retired = Identities.of(KeyRing([("two", b"b" * 32)]), [account()], [record("ost_k", ring=old)])
    with pytest.raises(Unauthenticated):
        retired.authenticate("ost_k", NOW)


@pytest.mark.parametrize(
    ("users", "keys"),
    [
        ([], []),
        ([account()], []),
        ([], [record("ost_k")]),
        ([account("bob@example.com")], [record("ost_k")]),
        ([account()], [record("ost_k", expires_at=NOW)]),
        ([account(created=11)], [record("ost_k", created=10)]),
        ([account()], [record("ost_other")]),
        ([account()], [structs.replace(record("ost_k"), id=credential(RING.hash("ost_k")) + "0" * 48)]),
    ],
    ids=[
        "empty",
        "no key",
        "no user",
        "another user",
        "expired",
        "key of an earlier account",
        "another key",
        "a key of the same short form",
    ],
)
def test_no_subject_without_a_live_key_of_a_living_account(users, keys):
    with pytest.raises(Unauthenticated) as refused:
        Identities.of(RING, users, keys).authenticate("ost_k", NOW)
    assert refused.value.text == INVALID
    assert "ost_k" not in refused.value.detail


def test_a_subject_stays_valid_exactly_as_long_as_its_key():
    key = record("ost_k", expires_at=NOW + 5)
    identities = Identities.of(RING, [account(), account("bob@example.com")], [key])
    subject = identities.authenticate("ost_k", NOW)
    assert identities.next_expiry(NOW) == NOW + 5
    assert identities.next_expiry(NOW + 5) is None
    assert identities.still_valid(subject, NOW + 4)
    assert not identities.still_valid(subject, NOW + 5)
    assert not identities.still_valid(Subject("user:bob@example.com", credential=subject.credential), NOW)
    assert not identities.still_valid(Subject(subject.name), NOW)
    assert not identities.changed(removed=[("keys", key.id)]).still_valid(subject, NOW)
    assert not identities.changed(removed=[("users", "ada@example.com")]).still_valid(subject, NOW)
    assert not identities.changed(users=[account(created=20)]).still_valid(subject, NOW)
    assert identities.still_valid(subject, NOW), "a snapshot never changes"


@given(
    st.one_of(
        st.text(max_size=60),
        st.sampled_from(
            [
                record("ost_k").id,
                credential(record("ost_k").id),
                "ost_",
                "OST_K",
                "ost_k ",
                "ost_k\n",
                "user:ada@example.com",
            ]
        ),
    )
)
@example("")
def test_no_fabricated_bearer_proves_anybody(text):
    identities = Identities.of(RING, [account()], [record("ost_k")])
    if text == "ost_k":
        return
    with pytest.raises(Unauthenticated):
        identities.authenticate(text, NOW)


def test_a_snapshot_prints_no_secret_and_the_refusal_of_nothing_has_its_own_text():
    assert "b" * 8 not in repr(Identities.of(RING))
    assert missing().text == "Missing apiKey"


def test_a_key_ring_does_not_leave_the_process():
    with pytest.raises(TypeError):
        pickle.dumps(RING)


# -- e-mail addresses


@pytest.mark.parametrize(
    ("text", "email"),
    [
        ("Ada@Example.COM", "ada@example.com"),
        (" ada+x@example.com ", "ada+x@example.com"),
        ("jose\u0301@example.com", "jos\u00e9@example.com"),
        ("admin@localhost", "admin@localhost"),
    ],
)
def test_an_address_has_one_spelling(text, email):
    assert normal_email(text) == email


@pytest.mark.parametrize(
    "text",
    [
        "", "ada", "@example.com", "ada@", "a@b@c", "a b@example.com", "a\n@example.com", "a\x00@example.com", "a\u202e@example.com",
        "user:ada@example.com", "*@example.com", "a/b@example.com", "a,b@example.com", "x" * 250 + "@example.com", "a\u2028@example.com",
        "\ud800@example.com", "ma\u212aer@example.com",
    ],
)  # fmt: skip
def test_what_is_not_one_plain_address_is_refused(text):
    with pytest.raises(ValueError) as wrong:
        normal_email(text)
    assert str(wrong.value).isprintable()


@given(st.one_of(st.emails(), st.text(max_size=20).map(lambda name: f"{name}@example.com")))
@example("\u0130@example.com")
def test_normalising_twice_changes_nothing(text):
    try:
        email = normal_email(text)
    except ValueError:
        return
    assert normal_email(email) == email
    assert link_sentences((f"user:{email}", "role:user", "*")) == [], "every account can be named in a row"
    assert email.isprintable()
