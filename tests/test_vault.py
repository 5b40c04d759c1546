"""The vault: what it seals opens in its own place alone, under keys that change without touching the texts."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.identity import KeyRing
from gateway.vault import LocalKeys, Unsealable, Vault

OLD, NEW = ("old", b"o" * 32), ("new", b"n" * 32)
HERE = ("connection/1", "main", "user:ada@example.com", "slack", "c" * 24)
TEXT = b"xoxb-canary"

contexts = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), max_size=6).map(tuple)


def vault(*masters: tuple[str, bytes]) -> Vault:
    return Vault(LocalKeys(KeyRing(masters)))


def parts(sealed: bytes) -> list:
    return msgspec.msgpack.decode(sealed)


@given(st.binary(max_size=200), contexts)
def test_what_is_sealed_opens_again_in_its_place(plain, context):
    assert vault(OLD).open(vault(OLD).seal(plain, context), context) == plain


@given(contexts, contexts)
def test_what_is_sealed_opens_in_no_other_place(here, there):
    sealed = vault(OLD).seal(TEXT, here)
    if here != there:
        with pytest.raises(Unsealable):
            vault(OLD).open(sealed, there)


@pytest.mark.parametrize("changed", range(len(HERE)))
def test_another_owner_tenant_connector_id_or_kind_opens_nothing(changed):
    sealed = vault(OLD).seal(TEXT, HERE)
    there = tuple("x" if place == changed else part for place, part in enumerate(HERE))
    with pytest.raises(Unsealable, match="changed, or it belongs elsewhere"):
        vault(OLD).open(sealed, there)
    with pytest.raises(Unsealable):
        vault(NEW, OLD).rewrapped(sealed, there)


@given(st.binary(max_size=300))
def test_no_other_bytes_open(anything):
    for attempt in (
        lambda: vault(OLD).open(anything, HERE),
        lambda: vault(OLD).rewrapped(anything, HERE),
        lambda: vault(OLD).key_of(anything),
    ):
        with pytest.raises(Unsealable):
            attempt()


SEALED = vault(OLD).seal(TEXT, HERE)


@given(st.integers(0, len(SEALED) - 1), st.integers(1, 255))
def test_one_byte_changed_anywhere_opens_nothing(place, by):
    changed = bytearray(SEALED)
    changed[place] ^= by
    with pytest.raises(Unsealable):
        vault(OLD).open(bytes(changed), HERE)


def test_the_layers_of_two_texts_cannot_be_exchanged():
    form, key, wrapped, _ = parts(vault(OLD).seal(b"one", HERE))
    other = parts(vault(OLD).seal(b"two", HERE))
    with pytest.raises(Unsealable):
        vault(OLD).open(msgspec.msgpack.encode([form, key, wrapped, other[3]]), HERE)


def test_a_wrapped_key_is_no_text_and_a_text_no_wrapped_key():
    """What wraps keys never opens what seals texts, although both are the same cipher in the same place."""
    form, key, wrapped, _ = parts(SEALED)
    with pytest.raises(Unsealable):
        vault(OLD).open(msgspec.msgpack.encode([form, key, wrapped, wrapped]), HERE)


def test_sealing_twice_gives_two_texts_and_two_keys():
    one, two = parts(vault(OLD).seal(TEXT, HERE)), parts(vault(OLD).seal(TEXT, HERE))
    assert one[2] != two[2]
    assert one[3] != two[3]


def test_nothing_of_the_text_can_be_read_in_what_is_sealed():
    assert TEXT not in SEALED
    assert b"ada" not in SEALED


def test_a_sealed_text_names_its_key_and_a_vault_its_current_one():
    assert vault(OLD).key_of(SEALED) == "old"
    assert vault(NEW, OLD).current == "new"
    assert vault(NEW, OLD).knows("old")
    assert not vault(NEW).knows("old")


def test_wrapping_anew_changes_the_key_and_leaves_the_text():
    both = vault(NEW, OLD)
    fresh = both.rewrapped(SEALED, HERE)
    assert fresh is not None
    assert vault(NEW).key_of(fresh) == "new"
    assert vault(NEW).open(fresh, HERE) == TEXT
    assert parts(fresh)[3] == parts(SEALED)[3]
    with pytest.raises(Unsealable):
        vault(OLD).open(fresh, HERE)


def test_what_is_under_the_current_key_is_not_wrapped_anew():
    assert vault(OLD, NEW).rewrapped(SEALED, HERE) is None


def test_a_missing_secret_is_named():
    for attempt in (vault(NEW).open, vault(NEW).rewrapped):
        with pytest.raises(Unsealable, match="under the secret `old`, which is not set") as closed:
            attempt(SEALED, HERE)
        assert closed.value.missing == "old"


def test_the_same_id_with_another_secret_opens_nothing():
    with pytest.raises(Unsealable, match="changed") as closed:
        vault(("old", b"x" * 32)).open(SEALED, HERE)
    assert closed.value.missing == ""


def test_the_key_of_the_vault_is_that_of_no_other_use():
    ring = KeyRing([OLD])
    assert ring.derive("old", "vault") not in {ring.derive("old", use) for use in ("api-key", "audit", "request-state")}


def test_a_text_of_a_newer_form_says_so():
    _, *rest = parts(SEALED)
    with pytest.raises(Unsealable, match="newer version"):
        vault(OLD).open(msgspec.msgpack.encode([2, *rest]), HERE)


def test_neither_vault_nor_keys_nor_error_print_a_secret():
    keys = LocalKeys(KeyRing([OLD]))
    assert repr(keys) == "LocalKeys(old)"
    with pytest.raises(Unsealable) as closed:
        vault(NEW).open(SEALED, HERE)
    for text in (repr(keys), repr(vault(OLD)), str(closed.value), repr(closed.value)):
        assert "ooo" not in text
        assert "canary" not in text


class Elsewhere:
    """A provider that keeps its keys to itself, as a service would: it knows wrapped keys by number."""

    primary_id = "kms/7"

    def __init__(self):
        self.kept = {}

    def knows(self, id):
        return id == self.primary_id

    def wrap(self, key, context):
        self.kept[len(self.kept), context] = key
        return self.primary_id, str(len(self.kept) - 1).encode()

    def unwrap(self, id, wrapped, context):
        if (int(wrapped), context) not in self.kept:
            raise Unsealable("it is another's")
        return self.kept[int(wrapped), context]


def test_another_provider_may_keep_the_keys():
    kms = Vault(Elsewhere())
    sealed = kms.seal(TEXT, HERE)
    assert kms.key_of(sealed) == "kms/7"
    assert kms.open(sealed, HERE) == TEXT
    with pytest.raises(Unsealable, match="another's"):
        kms.open(sealed, ())


def test_a_provider_that_gives_back_no_key_opens_nothing():
    kms = Elsewhere()
    sealed = Vault(kms).seal(TEXT, HERE)
    kms.kept = dict.fromkeys(kms.kept, b"short")
    with pytest.raises(Unsealable):
        Vault(kms).open(sealed, HERE)
