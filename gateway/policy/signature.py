"""Signed bundles: what a signature says, and whether a key that is trusted made it. Ed25519.

A signature is about the bytes of one bundle, named by their hash, and about nothing else: not about when or by whom it
was applied. So an older bundle that was signed once stays signed. Pure; this file knows no file and no store, and
draws no keys.
"""

import base64
import hashlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

ALGORITHM: Final = "ed25519"
PREFIX: Final = b"ostiary policy bundle 1\0"
"""Begins whatever is signed, so that no signature made for something else counts here, nor ours elsewhere."""

_KEY_BYTES: Final = 32
_MARK_LENGTH: Final = 16


@dataclass(frozen=True, slots=True)
class TrustedKey:
    """A public key whose signatures count; ``id`` is what the operator calls it."""

    id: str
    public: bytes


def read_public(text: str) -> bytes:
    """The public key that ``public_text`` wrote. Raises ``ValueError`` with a sentence."""
    algorithm, _, body = text.strip().partition(":")
    try:
        key = base64.b64decode(body, validate=True)
    except ValueError:
        key = b""
    if algorithm != ALGORITHM or len(key) != _KEY_BYTES:
        raise ValueError(f"is not a public key such as `{ALGORITHM}:…`, as `ostiary policy keygen FILE` prints it")
    return key


def read_private(pem: str) -> Ed25519PrivateKey:
    """The private key in a PEM text. Raises ``ValueError`` with a sentence that repeats nothing of it."""
    with suppress(ValueError, TypeError, UnsupportedAlgorithm):
        key = load_pem_private_key(pem.encode(), password=None)
        if isinstance(key, Ed25519PrivateKey):
            return key
    raise ValueError("is not an Ed25519 private key without a password; `ostiary policy keygen FILE` makes one")


def public_text(key: Ed25519PrivateKey) -> str:
    """The public half of ``key`` as settings hold it."""
    return f"{ALGORITHM}:{base64.b64encode(_raw(key)).decode()}"


def sign(key: Ed25519PrivateKey, bundle: str) -> str:
    """What ``key`` says of the bundle with this hash (hexadecimal): the text that a policy head keeps."""
    signed = base64.b64encode(key.sign(_message(bundle))).decode()
    return f"{ALGORITHM}:{_mark(_raw(key))}:{signed}"


def signer(signature: str, bundle: str, trusted: Sequence[TrustedKey]) -> TrustedKey | None:
    """The trusted key that made ``signature`` of the bundle with this hash, ``None`` when none did."""
    mark, body = _parts(signature)
    for key in trusted:
        if _mark(key.public) == mark and _made(key, body, bundle):
            return key
    return None


def distrust(signature: str, bundle: str, trusted: Sequence[TrustedKey]) -> str:
    """Why the bundle with this hash is not to be used, as a sentence; ``""`` when it may be.

    Without trusted keys anything may be; with them only what one of them signed.
    """
    if not trusted or signer(signature, bundle, trusted) is not None:
        return ""
    if not signature:
        return "it is not signed, and `trusted_keys` is set; apply it with `--sign FILE`"
    mark, _ = _parts(signature)
    if not any(_mark(key.public) == mark for key in trusted):
        return f"it is signed by the key `{mark or signature[:40]}`, which is not one of `trusted_keys`"
    return "its signature was made for something else: the bundle or the signature was altered"


def _made(key: TrustedKey, signature: bytes, bundle: str) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(key.public).verify(signature, _message(bundle))
    except (InvalidSignature, ValueError):
        return False
    return True


def _message(bundle: str) -> bytes:
    return PREFIX + bundle.encode()


def _raw(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def _mark(public: bytes) -> str:
    """By what a signature tells whose it is."""
    return hashlib.sha256(public).hexdigest()[:_MARK_LENGTH]


def _parts(signature: str) -> tuple[str, bytes]:
    """The mark of the key and the bytes of a signature; empty ones when it is none."""
    algorithm, _, rest = signature.partition(":")
    mark, _, body = rest.partition(":")
    try:
        return (mark, base64.b64decode(body, validate=True)) if algorithm == ALGORITHM else ("", b"")
    except ValueError:
        return "", b""
