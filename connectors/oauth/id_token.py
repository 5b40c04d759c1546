"""What an ID token proves (OpenID Connect Core §3.1.3.7): pure, from text and keys to an e-mail address.

Only signatures count that anybody can check and nobody but the issuer can make. This file opens nothing and knows no
account; nothing that it raises holds a part of a token.
"""

import hmac
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, cast

import msgspec
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, OKPKey, RSAKey

from gateway.policy.terms import Json

ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519")
KINDS: Final = ("RSA", "EC", "OKP")
SLACK_S: Final = 60
"""How far the clocks of issuer and gateway may be apart."""

OLDEST_S: Final = 600
MOST_BYTES: Final = 16 * 1024
RSA_BITS: Final = 2048

Key = RSAKey | ECKey | OKPKey


class NotProven(Exception):
    """The token proves nothing; the sentence says why, and nothing of what is in it."""


@dataclass(frozen=True, slots=True)
class Proven:
    """Who signed in at the issuer: its own id of him, and his address, which it vouches for (``""``: not told)."""

    subject: str
    email: str


@dataclass(frozen=True, slots=True)
class Expected:
    """What a token must be about: ``now`` is in seconds since the epoch."""

    issuer: str
    client_id: str
    nonce: str
    now: int


def read_keys(body: bytes) -> tuple[Key, ...]:
    """The keys of a key set (RFC 7517 §5) that can check signatures; those of other kinds are passed over. Raises
    ``NotProven`` where there is none.
    """
    said = _object(body)
    listed = said.get("keys") if said is not None else None
    found = tuple(_keys(listed)) if isinstance(listed, list) else ()
    if not found:
        raise NotProven("the provider publishes no key that can be used")
    return found


def signed_by_known(token: str, keys: Sequence[Key]) -> bool:
    """Whether one of ``keys`` could have signed the token, by what its header says; else they may have changed."""
    return bool(_candidates(_header(token), keys))


def proven(token: str, keys: Sequence[Key], expected: Expected) -> Proven:
    """Whom the token proves. Raises ``NotProven``."""
    claims = _claims(token, keys)
    _check_parties(claims, expected)
    _check_times(claims, expected.now)
    nonce = claims.get("nonce")
    if not isinstance(nonce, str) or not hmac.compare_digest(nonce.encode(), expected.nonce.encode()):
        raise NotProven("the token was made for another sign-in")
    return _named(claims)


def told_of(body: bytes, subject: str) -> Proven:
    """What the provider's UserInfo answer says of ``subject``, whom an ID token proved (OpenID Connect Core §5.3.2).
    Raises ``NotProven``, also where it is about somebody else.
    """
    said = _named(_object(body) or {})
    if said.subject != subject or not said.email:
        raise NotProven("the provider does not tell an e-mail address")
    return said


def _named(claims: Mapping[str, Json]) -> Proven:
    subject, email, verified = claims.get("sub"), claims.get("email", ""), claims.get("email_verified")
    if not isinstance(subject, str) or not subject:
        raise NotProven("the token names nobody")
    if email != "" and not (isinstance(email, str) and (verified is True or verified == "true")):
        raise NotProven("the provider does not say that it verified the e-mail address")
    return Proven(subject, str(email))


def _claims(token: str, keys: Sequence[Key]) -> Mapping[str, Json]:
    for key in _candidates(_header(token), keys):
        try:
            payload = jws.deserialize_compact(token, key, algorithms=list(ALGORITHMS)).payload
        except (JoseError, ValueError, TypeError):
            continue
        if (claims := _object(payload)) is not None:
            return claims
    raise NotProven("the token is not signed by the provider")


def _check_parties(claims: Mapping[str, Json], expected: Expected) -> None:
    if claims.get("iss") != expected.issuer:
        raise NotProven("the token comes from another issuer")
    audience = claims.get("aud")
    listed = [audience] if isinstance(audience, str) else audience
    if not isinstance(listed, list) or expected.client_id not in listed:
        raise NotProven("the token is meant for somebody else")
    if (len(listed) > 1 or "azp" in claims) and claims.get("azp") != expected.client_id:
        raise NotProven("the token was given to somebody else")


def _check_times(claims: Mapping[str, Json], now: int) -> None:
    ends, made, begins = _time(claims, "exp"), _time(claims, "iat"), _time(claims, "nbf", made=0)
    if now >= ends + SLACK_S:
        raise NotProven("the token has ended")
    if made > now + SLACK_S or begins > now + SLACK_S:
        raise NotProven("the token does not hold yet; compare the clocks of both servers")
    if now > made + OLDEST_S + SLACK_S:
        raise NotProven("the token is too old")


def _time(claims: Mapping[str, Json], name: str, *, made: int | None = None) -> float:
    value = claims.get(name, made)
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise NotProven("the token does not say when it holds")
    return value


def _header(token: str) -> Mapping[str, Json]:
    if len(token) > MOST_BYTES or not token.isascii():
        raise NotProven("the token cannot be read")
    try:
        return jws.extract_compact(token.encode()).headers()
    except (JoseError, ValueError, TypeError, RecursionError):
        raise NotProven("the token cannot be read") from None


def _candidates(header: Mapping[str, Json], keys: Sequence[Key]) -> list[Key]:
    algorithm, named = header.get("alg"), header.get("kid")
    if algorithm not in ALGORITHMS or "crit" in header:
        return []
    return [key for key in keys if (named is None or key.kid == named) and key.alg in (None, algorithm)]


def _keys(listed: Sequence[Json]) -> Iterator[Key]:
    for each in listed[:100]:
        if not isinstance(each, dict) or each.get("use", "sig") != "sig" or each.get("kty") not in KINDS or _weak(each):
            continue
        try:
            key = JWKRegistry.import_key(cast("dict[str, str | list[str]]", each))
        except (JoseError, ValueError, TypeError, KeyError):
            continue
        if isinstance(key, Key):
            yield key


def _weak(key: Mapping[str, Json]) -> bool:
    """Whether an RSA modulus is shorter than ``RSA_BITS`` by its text, six bits a letter."""
    modulus = key.get("n", "")
    return key.get("kty") == "RSA" and isinstance(modulus, str) and len(modulus.lstrip("A")) * 6 < RSA_BITS


def _object(body: bytes | str) -> dict[str, Json] | None:
    try:
        said = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return said if isinstance(said, dict) else None
