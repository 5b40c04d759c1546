"""Signed texts (JWS compact, RFC 7515) and the keys that check them: pure, from text and keys to what was signed.

Who checks says which algorithms count; the text never does. What the claims mean is judged elsewhere. This file opens
nothing, and nothing that it raises holds a part of a token.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias, cast

import msgspec
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, OctKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from gateway.policy.terms import Json

KINDS: Final = ("RSA", "EC", "OKP")
MOST_BYTES: Final = 16 * 1024
MOST_KEYS: Final = 100
RSA_BITS: Final = (2048, 8192)
RSA_EXPONENT_BITS: Final = 64
"""A key that is longer costs whoever checks by it far more than whoever made it up."""

SECRET_BYTES: Final = 32
"""A shared secret is at least as long as what it signs with (RFC 7518 §3.2)."""

Key: TypeAlias = RSAKey | ECKey | OKPKey
AnyKey: TypeAlias = Key | OctKey


class NotProven(Exception):
    """The token proves nothing; the sentence says why, and nothing of what is in it."""


class _Pinned(JWSRegistry):
    """The algorithms that whoever checks named, and no other; a header may hold names that nobody here knows."""

    def __init__(self, algorithms: Collection[str]) -> None:
        super().__init__(algorithms=algorithms, strict_check_header=False)
        self.max_header_length = MOST_BYTES

    def get_alg(self, name: str) -> Any:
        """Without joserfc's warning of `EdDSA`, which is what most that sign with Ed25519 call it (RFC 9864)."""
        return self.algorithms[name] if name in (self.allowed or ()) else super().get_alg(name)


def read_keys(body: bytes) -> tuple[Key, ...]:
    """The keys of a key set (RFC 7517 §5) that can check signatures; those of other kinds are passed over. Raises
    ``NotProven`` where there is none.
    """
    said = json_object(body)
    listed = said.get("keys") if said is not None else None
    found = tuple(_keys(listed)) if isinstance(listed, list) else ()
    if not found:
        raise NotProven("the provider publishes no key that can be used")
    return found


def shared_key(secret: bytes) -> OctKey:
    """The key that a secret of two is. Raises ``ValueError``: too short."""
    if len(secret) < SECRET_BYTES:
        raise ValueError(f"a shared secret has at least {SECRET_BYTES} bytes")
    return OctKey.import_key(secret)


def sign(claims: Mapping[str, Json], secret: bytes) -> str:
    """``claims`` as a token (RFC 7519), signed by HMAC with SHA-256."""
    body = msgspec.json.encode(claims)
    return jws.serialize_compact({"alg": "HS256", "typ": "JWT"}, body, shared_key(secret), algorithms=["HS256"])


def header_of(token: str) -> Mapping[str, Json]:
    """What a token says of its signature; nothing of it is believed. Raises ``NotProven``."""
    return _parts(token)[0]


def claimed(token: str) -> Mapping[str, Json]:
    """What a token says before anybody checked it: to choose who does, and for nothing else. Raises ``NotProven``."""
    claims = json_object(_parts(token)[1])
    if claims is None:
        raise NotProven("the token cannot be read")
    return claims


def candidates(header: Mapping[str, Json], keys: Sequence[AnyKey], algorithms: Collection[str]) -> list[AnyKey]:
    """The keys that could have signed what has this header."""
    algorithm, named = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or algorithm not in algorithms or "crit" in header or "b64" in header:
        return []
    return [key for key in keys if _is_named(key, named) and key.alg in (None, algorithm)]


def checked(token: str, keys: Sequence[AnyKey], algorithms: Collection[str]) -> dict[str, Json]:
    """The claims of a token that one of ``keys`` signed by one of ``algorithms``. Raises ``NotProven``."""
    for key in candidates(header_of(token), keys, algorithms):
        try:
            payload = jws.deserialize_compact(token, key, registry=_Pinned(algorithms)).payload
        except (JoseError, ValueError, TypeError):
            continue
        if (claims := json_object(payload)) is not None:
            return claims
    raise NotProven("no key that counts here signed the token")


def json_object(body: bytes | str) -> dict[str, Json] | None:
    """The JSON object that ``body`` is, ``None`` where it is none."""
    try:
        said = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return said if isinstance(said, dict) else None


def _is_named(key: AnyKey, named: Json) -> bool:
    """A secret that two share has no name, whatever the one of them calls it."""
    return named is None or key.kid == named or isinstance(key, OctKey)


def _parts(token: str) -> tuple[Mapping[str, Json], bytes]:
    if len(token) > MOST_BYTES or not token.isascii():
        raise NotProven("the token cannot be read")
    try:
        found = jws.extract_compact(token.encode(), registry=_Pinned(()))
    except (JoseError, ValueError, TypeError, RecursionError):
        raise NotProven("the token cannot be read") from None
    return found.headers(), found.payload


def _keys(listed: Sequence[Json]) -> Iterator[Key]:
    for each in listed[:MOST_KEYS]:
        if not isinstance(each, dict) or each.get("use", "sig") != "sig" or not _fits(each):
            continue
        try:
            key = JWKRegistry.import_key(cast("dict[str, str | list[str]]", each))
        except (JoseError, ValueError, TypeError, KeyError):
            continue
        if isinstance(key, Key):
            yield key


def _fits(key: Mapping[str, Json]) -> bool:
    """Whether its kind is one of ours; and of RSA, whether its numbers are neither too weak nor too long."""
    if key.get("kty") != "RSA":
        return key.get("kty") in KINDS
    least, most = RSA_BITS
    return least <= _bits(key.get("n")) <= most and _bits(key.get("e")) <= RSA_EXPONENT_BITS


def _bits(number: Json) -> int:
    """The length of a number by its text (RFC 7518 §2, Base64urlUInt), in whole bytes; 0 for what is none."""
    return len(number.lstrip("A")) * 6 // 8 * 8 if isinstance(number, str) else 0
