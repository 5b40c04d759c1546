"""What an ID token proves, and everything that proves nothing."""

import base64
import hashlib
import hmac
import json

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws, jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey

from connectors.oauth.id_token import OLDEST_S, SLACK_S, Expected, Proven, proven, signed_by_known, told_of
from connectors.oauth.signed import MOST_BYTES, NotProven, read_keys

ISSUER, CLIENT, NONCE, NOW = "https://login.example.com", "gateway", "n-0S6_WzA2Mj", 1_800_000_000
EXPECTED = Expected(ISSUER, CLIENT, NONCE, NOW)
CLAIMS = {
    "iss": ISSUER, "aud": CLIENT, "sub": "1", "exp": NOW + 300, "iat": NOW - 5, "nonce": NONCE,
    "email": "Ann@Example.com", "email_verified": True,
}  # fmt: skip
RSA = RSAKey.generate_key(2048, {"kid": "r1"})
EC = ECKey.generate_key("P-256", {"kid": "e1"})
ED = OKPKey.generate_key("Ed25519", {"kid": "d1"})
KEYS = read_keys(json.dumps({"keys": [key.as_dict(private=False) for key in (RSA, EC, ED)]}).encode())


def token(claims=CLAIMS, *, key=RSA, alg="RS256", **header) -> str:
    return jwt.encode({"alg": alg, "kid": key.kid, **header}, claims, key, algorithms=[alg])


def changed(**claims) -> str:
    return token({name: value for name, value in {**CLAIMS, **claims}.items() if value is not ...})


def refused(text, keys=KEYS, expected=EXPECTED) -> str:
    with pytest.raises(NotProven) as no:
        proven(text, keys, expected)
    return str(no.value)


@pytest.mark.parametrize(("key", "alg"), [(RSA, "RS256"), (RSA, "PS512"), (EC, "ES256"), (ED, "Ed25519")])
def test_a_good_token_proves_its_address(key, alg):
    assert proven(token(key=key, alg=alg), KEYS, EXPECTED) == Proven("1", "Ann@Example.com")


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://login.example.com/"}, {"iss": "https://evil.example.com"}, {"iss": ...}, {"iss": [ISSUER]},
        {"aud": "other"}, {"aud": ...}, {"aud": []}, {"aud": ["other"]}, {"aud": [CLIENT, "other"]}, {"aud": {CLIENT: 1}},
        {"aud": [CLIENT, "other"], "azp": "other"}, {"azp": "other"},
        {"exp": NOW - SLACK_S}, {"exp": ...}, {"exp": "soon"}, {"exp": True}, {"exp": None},
        {"iat": NOW + SLACK_S + 1}, {"iat": ...}, {"iat": NOW - OLDEST_S - SLACK_S - 1}, {"nbf": NOW + SLACK_S + 1},
        {"nonce": "another"}, {"nonce": ...}, {"nonce": ""}, {"nonce": [NONCE]},
        {"sub": ...}, {"sub": ""}, {"sub": 1},
        {"email": None}, {"email": 5}, {"email": ["a@example.com"]}, {"email_verified": ...}, {"email_verified": False}, {"email_verified": "false"},
        {"email_verified": 1}, {"email_verified": None}, {"email_verified": ["true"]},
    ],
    ids=str,
)  # fmt: skip
def test_a_token_that_says_something_else_proves_nothing(claims):
    text = changed(**claims)
    assert not any(part in refused(text) for part in text.split("."))


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": [CLIENT]}, {"aud": [CLIENT, "other"], "azp": CLIENT}, {"azp": CLIENT}, {"email_verified": "true"},
        {"exp": NOW - SLACK_S + 1}, {"iat": NOW + SLACK_S}, {"exp": NOW + 0.5}, {"nbf": NOW},
    ],
    ids=str,
)  # fmt: skip
def test_what_providers_also_say_is_taken(claims):
    assert proven(changed(**claims), KEYS, EXPECTED).email == "Ann@Example.com"


def unsigned(header, claims=CLAIMS, signature=b"") -> str:
    return ".".join(
        base64.urlsafe_b64encode(each).rstrip(b"=").decode()
        for each in (json.dumps(header).encode(), json.dumps(claims).encode(), signature)
    )


@pytest.mark.parametrize("body", [b"5", b"[]", b'{"nonce":"\\ud800"}', b"\xff", b"", b'{"iss":1e999}', b"[" * 5000])
def test_a_payload_that_is_no_object_proves_nothing(body):
    assert refused(jws.serialize_compact({"alg": "RS256", "kid": "r1"}, body, RSA))


def test_no_signature_is_no_signature():
    for alg in ("none", "None", "NONE", "", None, 5, ["RS256"]):
        assert refused(unsigned({"alg": alg, "kid": "r1"}))
    assert refused(unsigned({"kid": "r1"}))


def test_a_public_key_is_never_a_shared_secret():
    """Key confusion: the text of the public key, which everybody has, as the key of an HMAC."""
    pem = RSA.as_pem(private=False)
    for secret in (pem, pem.strip(), json.dumps(RSA.as_dict(private=False)).encode()):
        text = unsigned({"alg": "HS256", "kid": "r1"}).rpartition(".")[0]
        mac = base64.urlsafe_b64encode(hmac.digest(secret, text.encode(), hashlib.sha256)).rstrip(b"=").decode()
        assert refused(f"{text}.{mac}")


def test_a_key_that_the_token_brings_itself_counts_for_nothing():
    own = RSAKey.generate_key(2048, {"kid": "r1"})
    for header in (
        {},
        {"jwk": own.as_dict(private=False)},
        {"jku": "https://evil.example.com/keys"},
        {"x5u": "https://e"},
    ):
        assert refused(token(key=own, **header))


def test_a_header_that_must_be_understood_is_not():
    assert refused(unsigned({"alg": "RS256", "kid": "r1", "crit": ["exp"], "exp": NOW}))


def test_a_token_of_another_key_or_with_another_text_proves_nothing():
    assert refused(token(key=RSAKey.generate_key(2048, {"kid": "r1"})))
    head, body, signature = token().split(".")
    other = token({**CLAIMS, "email": "eve@example.com"}).split(".")[1]
    assert refused(f"{head}.{other}.{signature}")
    assert refused(f"{head}.{body}.")
    assert refused(f"{head}.{body}.{signature}." + "x" * MOST_BYTES)


def test_a_key_may_be_named_or_not_and_counts_for_its_own_algorithm_alone():
    assert proven(jwt.encode({"alg": "ES256"}, CLAIMS, EC), KEYS, EXPECTED)
    only_512 = read_keys(json.dumps({"keys": [{**RSA.as_dict(private=False), "alg": "RS512"}]}).encode())
    assert refused(token(), only_512)
    assert proven(token(alg="RS512"), only_512, EXPECTED)


def test_an_unknown_key_is_told_from_a_known_one():
    assert signed_by_known(token(), KEYS)
    assert not signed_by_known(token(key=RSAKey.generate_key(2048, {"kid": "new"})), KEYS)


def test_a_token_may_leave_the_address_to_be_asked_for():
    assert proven(changed(email=..., email_verified=...), KEYS, EXPECTED) == Proven("1", "")


TOLD = {"sub": "1", "email": "ann@example.com", "email_verified": True}


def test_what_is_told_of_somebody_else_or_of_no_verified_address_counts_for_nothing():
    assert told_of(json.dumps(TOLD).encode(), "1").email == "ann@example.com"
    for changes in ({"sub": "2"}, {"sub": 1}, {"email": ""}, {"email": None}, {"email_verified": False}):
        with pytest.raises(NotProven):
            told_of(json.dumps({**TOLD, **changes}).encode(), "1")
    for body in (b"", b"[]", b"null", b"eyJhbGciOiJub25lIn0.e30.", b"[" * 9999):
        with pytest.raises(NotProven):
            told_of(body, "1")


# -- key sets


def test_keys_of_other_kinds_are_passed_over_and_weak_ones_too():
    modulus = rsa.generate_private_key(65537, 1024).public_key().public_numbers().n.to_bytes(128)
    weak = {"kty": "RSA", "e": "AQAB", "n": base64.urlsafe_b64encode(modulus).rstrip(b"=").decode(), "kid": "weak"}
    listed = [
        {"kty": "oct", "k": "c2VjcmV0", "kid": "s1"}, {"kty": "RSA", "kid": "broken"}, {"kty": "AKP", "kid": "later"},
        {**RSA.as_dict(private=False), "use": "enc"}, weak, 5, None, EC.as_dict(private=False),
    ]  # fmt: skip
    assert [key.kid for key in read_keys(json.dumps({"keys": listed}).encode())] == ["e1"]


@pytest.mark.parametrize(
    ("bits", "exponent", "fits"),
    [(2048, 65537, True), (8192, 65537, True), (2040, 65537, False), (8208, 65537, False), (3072, 2**72 + 1, False)],
)
def test_a_key_that_would_cost_much_to_check_by_is_passed_over(bits, exponent, fits):
    n, e = (each.to_bytes(-(-each.bit_length() // 8)) for each in (2**bits - 1, exponent))
    key = {
        "kty": "RSA",
        "kid": "k",
        **{name: base64.urlsafe_b64encode(each).rstrip(b"=").decode() for name, each in (("n", n), ("e", e))},
    }
    listed = [key, EC.as_dict(private=False)]
    assert [key.kid for key in read_keys(json.dumps({"keys": listed}).encode())] == (["k", "e1"] if fits else ["e1"])


@given(st.one_of(st.binary(max_size=60), st.sampled_from([b"{}", b"[]", b'{"keys":[]}', b'{"keys":{}}', b"[" * 9999])))
def test_any_bytes_are_keys_or_none(body):
    with pytest.raises(NotProven):
        read_keys(body)


# -- anything at all


@given(st.one_of(st.text(max_size=200), st.from_regex(r"[\w-]{0,40}\.[\w-]{0,40}\.[\w-]{0,40}", fullmatch=True)))
def test_any_text_proves_nothing(text):
    assert len(refused(text)) < 100


@given(st.data())
def test_a_token_with_one_letter_changed_proves_nothing(data):
    text = token()
    at = data.draw(st.integers(0, len(text.rpartition(".")[0]) - 1))
    letter = data.draw(st.sampled_from("ABCxyz019-_."))
    if text[at] != letter:
        refused(text[:at] + letter + text[at + 1 :])


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5), st.lists, max_leaves=3)


@given(st.dictionaries(st.sampled_from(sorted(CLAIMS)), JSON, min_size=1))
def test_any_other_claims_prove_nothing_or_the_very_same(claims):
    """A claim that is changed at all is refused, but for those that say the same or more."""
    text = token({**CLAIMS, **claims})
    try:
        found = proven(text, KEYS, EXPECTED)
    except NotProven:
        return
    assert set(claims) <= {"email", "sub", "exp", "iat", "email_verified"} or all(
        CLAIMS[n] == v for n, v in claims.items()
    )
    assert found.email == claims.get("email", CLAIMS["email"])
    assert found.subject == claims.get("sub", CLAIMS["sub"])
