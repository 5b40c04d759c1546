"""Sealing what the store keeps of credentials: whoever holds the database alone can read none of it, and move none.

An envelope each time: AES-256-GCM under a key made for this one text, and that key wrapped by a key of the operator's,
which has an id. Both layers bind the *context* (whose it is, for what, under which id), so that a sealed text opens in
its own place only. Changing the operator's key wraps the small keys anew and leaves the texts as they are.
This file knows no store and nothing of what it seals.
"""

import secrets
from typing import Final, Protocol

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.identity import KeyRing

USE: Final = "vault"
"""The use for which the keys of the local provider are derived from the operator's secrets."""

FORM: Final = 1
"""Stands for this layout and these ciphers; bound into both layers, so that another can be told apart."""

_NONCE: Final = 12
_DAMAGED: Final = "it was changed, or it belongs elsewhere"


class Unsealable(Exception):
    """A sealed text that does not open here. ``missing`` is the id of the key that is wanting, ``""`` where none is:
    the text was changed, or stands in another place than it was sealed for.
    """

    def __init__(self, sentence: str, *, missing: str = "") -> None:
        super().__init__(sentence)
        self.missing = missing


class KeyProvider(Protocol):
    """Who wraps keys, and never shows the keys it wraps them with. ``context`` is bound to what is wrapped."""

    @property
    def primary_id(self) -> str:
        """The id of the key that wraps from now on."""

    def knows(self, id: str) -> bool:
        """Whether it can unwrap what that key wrapped."""

    def wrap(self, key: bytes, context: bytes) -> tuple[str, bytes]:
        """The id of the key that wrapped it, and the wrapped key."""

    def unwrap(self, id: str, wrapped: bytes, context: bytes) -> bytes:
        """The key again. Raises ``Unsealable``."""


class LocalKeys:
    """Keys derived from the operator's secrets: the current one wraps, all unwrap."""

    __slots__ = ("_ciphers", "primary_id")

    def __init__(self, ring: KeyRing) -> None:
        self.primary_id = ring.current
        self._ciphers = {id: AESGCM(ring.derive(id, USE)) for id in ring.ids}

    def knows(self, id: str) -> bool:
        return id in self._ciphers

    def wrap(self, key: bytes, context: bytes) -> tuple[str, bytes]:
        return self.primary_id, _encrypted(self._ciphers[self.primary_id], key, context)

    def unwrap(self, id: str, wrapped: bytes, context: bytes) -> bytes:
        if id not in self._ciphers:
            sentence = f"it was sealed under the secret `{id[:80]}`, which is not set: put that back into `secret`"
            raise Unsealable(sentence, missing=id)
        return _decrypted(self._ciphers[id], wrapped, context)

    def __repr__(self) -> str:
        return f"LocalKeys({', '.join(self._ciphers)})"


class _Envelope(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    form: int
    key: str
    wrapped: bytes
    text: bytes


_envelope: Final = msgspec.msgpack.Decoder(_Envelope)


class Vault:
    """Seals and opens; ``keys`` wraps what it seals with."""

    __slots__ = ("_keys",)

    def __init__(self, keys: KeyProvider) -> None:
        self._keys = keys

    def seal(self, plain: bytes, context: tuple[str, ...]) -> bytes:
        """``plain`` sealed for its place; different each time."""
        key = AESGCM.generate_key(256)
        text = _encrypted(AESGCM(key), plain, _bound("text", context))
        return self._wrapped(key, text, context)

    def open(self, sealed: bytes, context: tuple[str, ...]) -> bytes:
        """What was sealed for that place. Raises ``Unsealable``, whatever the bytes are."""
        envelope = _read(sealed)
        return _decrypted(AESGCM(self._unwrapped(envelope, context)), envelope.text, _bound("text", context))

    def rewrapped(self, sealed: bytes, context: tuple[str, ...]) -> bytes | None:
        """The same under the current key; ``None`` where it is already. Raises ``Unsealable``."""
        envelope = _read(sealed)
        if envelope.key == self._keys.primary_id:
            return None
        return self._wrapped(self._unwrapped(envelope, context), envelope.text, context)

    def key_of(self, sealed: bytes) -> str:
        """The id of the key that it is sealed under. Raises ``Unsealable``."""
        return _read(sealed).key

    def knows(self, id: str) -> bool:
        """Whether what is sealed under the key of that id can be opened."""
        return self._keys.knows(id)

    @property
    def current(self) -> str:
        """The id of the key that everything is sealed under from now on."""
        return self._keys.primary_id

    def _wrapped(self, key: bytes, text: bytes, context: tuple[str, ...]) -> bytes:
        id, wrapped = self._keys.wrap(key, _bound("key", context))
        return msgspec.msgpack.encode(_Envelope(FORM, id, wrapped, text))

    def _unwrapped(self, envelope: _Envelope, context: tuple[str, ...]) -> bytes:
        key = self._keys.unwrap(envelope.key, envelope.wrapped, _bound("key", context))
        if len(key) != 32:
            raise Unsealable(_DAMAGED)
        return key


def _read(sealed: bytes) -> _Envelope:
    try:
        envelope = _envelope.decode(sealed)
    except (msgspec.MsgspecError, ValueError):
        raise Unsealable(_DAMAGED) from None
    if envelope.form != FORM:
        raise Unsealable("it was sealed by a newer version of this program: run that")
    return envelope


def _bound(layer: str, context: tuple[str, ...]) -> bytes:
    """What a layer is bound to, in one spelling: no two contexts give the same bytes."""
    return msgspec.msgpack.encode((FORM, layer, context))


def _encrypted(cipher: AESGCM, plain: bytes, bound: bytes) -> bytes:
    nonce = secrets.token_bytes(_NONCE)
    return nonce + cipher.encrypt(nonce, plain, bound)


def _decrypted(cipher: AESGCM, text: bytes, bound: bytes) -> bytes:
    try:
        return cipher.decrypt(text[:_NONCE], text[_NONCE:], bound)
    except (InvalidTag, ValueError):
        raise Unsealable(_DAMAGED) from None
