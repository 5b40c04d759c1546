"""What an ID token proves (OpenID Connect Core §3.1.3.7): pure, from text and keys to an e-mail address.

Only signatures count that anybody can check and nobody but the issuer can make. This file opens nothing and knows no
account; nothing that it raises holds a part of a token.
"""

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from connectors.oauth.signed import Key, NotProven, candidates, checked, header_of, json_object
from gateway.policy.terms import Json

ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519")
SLACK_S: Final = 60
"""How far the clocks of issuer and gateway may be apart."""

OLDEST_S: Final = 600


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


def signed_by_known(token: str, keys: Sequence[Key]) -> bool:
    """Whether one of ``keys`` could have signed the token, by what its header says; else they may have changed."""
    return bool(candidates(header_of(token), keys, ALGORITHMS))


def proven(token: str, keys: Sequence[Key], expected: Expected) -> Proven:
    """Whom the token proves. Raises ``NotProven``."""
    claims = checked(token, keys, ALGORITHMS)
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
    said = _named(json_object(body) or {})
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
