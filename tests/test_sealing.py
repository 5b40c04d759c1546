"""What is sealed can be opened by those who hold a key, and by nobody else read or changed."""

import base64

from hypothesis import assume, given
from hypothesis import strategies as st

from gateway.identity import KeyRing
from gateway.sealing import Seal

OLD, NEW = b"o" * 32, b"n" * 32
SEAL = Seal([NEW, OLD])


@given(st.binary(max_size=300))
def test_what_was_closed_opens_to_the_same(plain: bytes):
    text = SEAL.close(plain)
    assert SEAL.open(text) == plain
    assert text != SEAL.close(plain)
    assert text.replace("-", "").replace("_", "").isalnum()


@given(st.binary(max_size=40), st.data())
def test_a_text_that_was_altered_anywhere_does_not_open(plain: bytes, data: st.DataObject):
    text = SEAL.close(plain)
    at = data.draw(st.integers(0, len(text)))
    cut = data.draw(st.integers(0, 3))
    put = data.draw(st.text(max_size=3))
    altered = text[:at] + put + text[at + cut :]
    assume(altered != text)
    assert SEAL.open(altered) is None


@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda each: base64.urlsafe_b64encode(each).decode()))
def test_no_other_text_opens(text: str):
    assert SEAL.open(text) is None


@given(st.binary(max_size=40).filter(lambda plain: (len(plain) + 28) % 3))
def test_another_spelling_of_the_same_bytes_does_not_open(plain: bytes):
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    text = SEAL.close(plain)
    other = text[:-1] + letters[letters.index(text[-1]) + 1]
    assert base64.urlsafe_b64decode(other + "==") == base64.urlsafe_b64decode(text + "==")
    assert SEAL.open(other) is None


def test_an_older_key_still_opens_and_a_foreign_one_does_not():
    text = Seal([OLD]).close(b"kept")
    assert SEAL.open(text) == b"kept"
    assert Seal([NEW]).open(text) is None
    assert Seal([OLD]).open(SEAL.close(b"new")) is None


def test_a_seal_shows_no_key():
    assert repr(SEAL) == "Seal(***)"


def test_a_ring_gives_a_key_of_each_secret_for_one_use_the_current_one_first():
    ring = KeyRing([("new", b"n" * 32), ("old", b"o" * 32)])
    assert ring.keys("a") == (ring.derive("new", "a"), ring.derive("old", "a"))
    assert not set(ring.keys("a")) & set(ring.keys("b"))
