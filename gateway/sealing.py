"""Sealing what others keep for us: whoever holds a sealed text can neither read nor change it.

AES-256-GCM under keys that are made for one use (``KeyRing.keys``). This file knows nothing of what it seals.
"""

import base64
import secrets
from collections.abc import Sequence
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE: Final = 12
_FORM: Final = b"1"
"""Stands for this layout and cipher, and is authenticated with each text, so that another could be told apart."""


class Seal:
    """``keys`` are of 32 bytes each: the first one closes, all open."""

    __slots__ = ("_ciphers",)

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._ciphers = tuple(AESGCM(key) for key in keys)

    def close(self, plain: bytes) -> str:
        """``plain`` as text of letters, digits, ``-`` and ``_``, a third longer; different each time."""
        nonce = secrets.token_bytes(_NONCE)
        sealed = nonce + self._ciphers[0].encrypt(nonce, plain, _FORM)
        return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()

    def open(self, text: str) -> bytes | None:
        """What was sealed; ``None`` for any text that ``close`` did not give, to the letter."""
        if (sealed := _decoded(text)) is None:
            return None
        for cipher in self._ciphers:
            try:
                return cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], _FORM)
            except InvalidTag:
                continue
        return None

    def __repr__(self) -> str:
        return "Seal(***)"


def _decoded(text: str) -> bytes | None:
    """Of several spellings of the same bytes, only the one that we write is ours."""
    try:
        sealed = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError:
        return None
    if len(sealed) <= _NONCE or base64.urlsafe_b64encode(sealed).rstrip(b"=").decode() != text:
        return None
    return sealed
