"""What workers say to each other, sealed: who knows none of the gateway's secrets can neither read nor say anything.

A preamble names whom a request is for, and opens an exchange of its own. Everything after it is sealed under keys
that are made for this exchange and direction, numbered, so that nothing can be left out, put in or said again. Pure.
"""

import hmac
import secrets
from collections.abc import Sequence
from typing import Final, Literal, TypeVar

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

T = TypeVar("T")

GOOD_MS: Final = 30_000
"""How far the clocks of two hosts may be apart, and how long a preamble counts."""

_NONCE: Final = 12
_OPENING: Final = b"ostiary handover 1"


class Forged(Exception):
    """Not sealed by one of us, not for this place in the conversation, or not any more."""


class Preamble(msgspec.Struct, frozen=True, array_like=True):
    """``to`` is a worker's name, ``at`` ms since the epoch, ``exchange`` is never used again."""

    to: str
    at: int
    exchange: bytes


class Handed(msgspec.Struct, frozen=True, array_like=True):
    """One HTTP request, whole; ``address`` is that of the client who sent it to the first of us."""

    method: str
    path: str
    query: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    address: str
    body: bytes

    def __repr__(self) -> str:
        return f"Handed({self.method})"


class Said(msgspec.Struct, frozen=True, array_like=True):
    """A part of the answer: how it begins (``status`` is not 0), a part of its body, or a sign of life (neither).
    ``here`` is false, once and instead of all else, where no such worker is.
    """

    status: int = 0
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""
    more: bool = True
    here: bool = True


class Channel:
    """One direction of one exchange: what ``close`` gives in order, ``open`` takes in the same order and no other."""

    def __init__(self, key: bytes, exchange: bytes, direction: Literal["request", "answer"]) -> None:
        self._cipher = AESGCM(hmac.digest(key, _OPENING + direction.encode() + exchange, "sha256"))
        self._count = 0

    def close(self, said: Handed | Said) -> bytes:
        return self._cipher.encrypt(self._next(), msgspec.msgpack.encode(said), None)

    def open_request(self, sealed: bytes) -> Handed:
        """Raises ``Forged``."""
        return _decoded(self._opened(sealed), Handed)

    def open_answer(self, sealed: bytes) -> Said:
        """Raises ``Forged``."""
        return _decoded(self._opened(sealed), Said)

    def _opened(self, sealed: bytes) -> bytes:
        try:
            return self._cipher.decrypt(self._next(), sealed, None)
        except (InvalidTag, ValueError):
            raise Forged from None

    def _next(self) -> bytes:
        self._count += 1
        return self._count.to_bytes(_NONCE, "big")


class Exchange:
    """The two directions of what one preamble opens."""

    def __init__(self, key: bytes, preamble: Preamble) -> None:
        self.preamble = preamble
        self.request = Channel(key, preamble.exchange, "request")
        self.answer = Channel(key, preamble.exchange, "answer")


class Exchanges:
    """Opens exchanges and takes them in. ``keys`` are of 32 bytes: the first one seals, all open."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = [(key, AESGCM(key)) for key in keys]

    def begin(self, to: str, now: int) -> tuple[Exchange, bytes]:
        """A new exchange with worker ``to``, and its preamble as it is sent."""
        key, cipher = self._keys[0]
        exchange = Exchange(key, Preamble(to, now, secrets.token_bytes(16)))
        nonce = secrets.token_bytes(_NONCE)
        return exchange, nonce + cipher.encrypt(nonce, msgspec.msgpack.encode(exchange.preamble), _OPENING)

    def taken(self, sealed: bytes, now: int) -> Exchange:
        """The exchange that a preamble opens. Raises ``Forged``."""
        for key, cipher in self._keys:
            try:
                plain = cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], _OPENING)
            except (InvalidTag, ValueError):
                continue
            preamble = _decoded(plain, Preamble)
            if abs(now - preamble.at) > GOOD_MS:
                raise Forged
            return Exchange(key, preamble)
        raise Forged

    def __repr__(self) -> str:
        return "Exchanges(***)"


class Once:
    """Takes each exchange in one time; those that do not count any more are forgotten."""

    def __init__(self) -> None:
        self._seen: dict[bytes, int] = {}

    def take(self, preamble: Preamble, now: int) -> None:
        """Raises ``Forged`` for one that was there before."""
        while self._seen and (oldest := next(iter(self._seen.items())))[1] < now:
            del self._seen[oldest[0]]
        if preamble.exchange in self._seen:
            raise Forged
        self._seen[preamble.exchange] = now + 2 * GOOD_MS


def _decoded(plain: bytes, type: type[T]) -> T:
    try:
        return msgspec.msgpack.decode(plain, type=type)
    except msgspec.DecodeError:  # one of us, of another version
        raise Forged from None
