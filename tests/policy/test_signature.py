"""Signed bundles: what one key said of one bundle counts for nothing else."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from gateway.policy.signature import (
    PREFIX,
    TrustedKey,
    distrust,
    public_text,
    read_private,
    read_public,
    sign,
    signer,
)

ANN, BOB = (Ed25519PrivateKey.from_private_bytes(bytes([each]) * 32) for each in (1, 2))
ANNS, BOBS = (TrustedKey(id, read_public(public_text(key))) for id, key in (("ann", ANN), ("bob", BOB)))
ONE, TWO = "1" * 64, "2" * 64
PLAIN = (Encoding.PEM, PrivateFormat.PKCS8)


def test_a_bundle_that_a_trusted_key_signed_may_be_used():
    assert distrust(sign(ANN, ONE), ONE, [BOBS, ANNS]) == ""
    assert signer(sign(ANN, ONE), ONE, [BOBS, ANNS]) == ANNS


def test_without_trusted_keys_anything_may_be_used():
    assert distrust("", ONE, []) == ""
    assert distrust("nonsense", ONE, []) == ""
    assert signer(sign(ANN, ONE), ONE, []) is None


def test_an_unsigned_bundle_is_refused_with_what_to_do():
    assert distrust("", ONE, [ANNS]) == "it is not signed, and `trusted_keys` is set; apply it with `--sign FILE`"


def test_the_signature_of_a_key_that_is_not_trusted_is_refused():
    assert "which is not one of `trusted_keys`" in distrust(sign(BOB, ONE), ONE, [ANNS])


def test_the_signature_of_another_bundle_is_refused():
    assert "was altered" in distrust(sign(ANN, TWO), ONE, [ANNS])


def test_a_signature_made_for_something_else_than_a_bundle_is_refused():
    algorithm, mark, _ = sign(ANN, ONE).split(":")
    bare = base64.b64encode(ANN.sign(ONE.encode())).decode()
    assert "was altered" in distrust(f"{algorithm}:{mark}:{bare}", ONE, [ANNS])
    right = base64.b64encode(ANN.sign(PREFIX + ONE.encode())).decode()
    assert f"{algorithm}:{mark}:{right}" == sign(ANN, ONE)


def test_a_key_that_claims_to_be_another_one_is_refused():
    algorithm, mark, _ = sign(ANN, ONE).split(":")
    forged = sign(BOB, ONE).split(":")[2]
    assert "was altered" in distrust(f"{algorithm}:{mark}:{forged}", ONE, [ANNS])


def test_a_broken_trusted_key_makes_nothing_trusted():
    mark = sign(ANN, ONE).split(":")[1]
    assert mark
    for broken in (b"", b"x" * 31):
        assert distrust(sign(ANN, ONE), ONE, [TrustedKey("broken", broken)])


@given(st.one_of(st.text(), st.text().map(lambda text: f"ed25519:{text}"), st.binary().map(
    lambda body: f"ed25519:{sign(ANN, ONE).split(':')[1]}:{base64.b64encode(body).decode()}"
)))  # fmt: skip
def test_no_other_text_is_a_signature(text: str):
    assert signer(text, ONE, [ANNS]) is None
    assert distrust(text, ONE, [ANNS])


@given(st.integers(0, 10_000), st.sampled_from("0123456789abcdef"))
def test_a_signature_with_one_sign_changed_is_refused(at: int, other: str):
    whole = sign(ANN, ONE)
    at %= len(whole) - len("x==")  # the last sign of base64 has bits that say nothing
    changed = whole[:at] + other + whole[at + 1 :]
    assert (signer(changed, ONE, [ANNS]) is not None) is (changed == whole)


@given(st.binary(min_size=32, max_size=32), st.from_regex("[0-9a-f]{64}", fullmatch=True))
def test_every_key_is_read_back_and_verifies_what_it_signed(seed: bytes, bundle: str):
    key = Ed25519PrivateKey.from_private_bytes(seed)
    again = read_private(key.private_bytes(*PLAIN, NoEncryption()).decode())
    trusted = TrustedKey("x", read_public(f" {public_text(again)}\n"))
    assert distrust(sign(key, bundle), bundle, [trusted]) == ""


@pytest.mark.parametrize(
    "text", ["", "ed25519:", "ed25519:AAAA", "rsa:" + "A" * 43 + "=", "ed25519:\u00fc", "A" * 43 + "="]
)
def test_what_is_no_public_key_is_refused(text: str):
    with pytest.raises(ValueError, match="is not a public key such as `ed25519:…`"):
        read_public(text)


def test_what_is_no_private_key_is_refused_without_repeating_it():
    other = X25519PrivateKey.generate().private_bytes(*PLAIN, NoEncryption()).decode()
    locked = ANN.private_bytes(*PLAIN, BestAvailableEncryption(b"x")).decode()
    for text in ("", "secret words", other, locked):
        with pytest.raises(ValueError, match="is not an Ed25519 private key") as refused:
            read_private(text)
        assert not text or text not in str(refused.value)
