"""What the claims of a token prove whose signature was checked: whom, where, how long. Pure.

Nothing here is lenient: a claim of another shape than it should have proves nothing. Times are ms since the epoch.
"""

from collections.abc import Collection, Mapping
from typing import Final

from connectors.oauth.signed import NotProven
from gateway.policy.spelling import spelled_name
from gateway.policy.terms import Json

SLACK_MS: Final = 60_000
"""How far another's clock may be ahead of ours; a token that has ended has ended."""

MOST_SUB: Final = 10_000
MOST_GROUPS: Final = 1_000
MOST_GROUP: Final = 256
TYPES: Final = (None, "jwt", "at+jwt", "application/jwt", "application/at+jwt")
"""What a token may call itself (RFC 8725 §3.11): others are made for something else, and must not serve here."""

LAST_S: Final = 253_402_300_799
"""The last second of the year 9999, after which no token ends."""

Claims = Mapping[str, Json]


def check_kind(header: Claims) -> None:
    """Raises ``NotProven`` for a token that is made for something else."""
    kind = header.get("typ")
    if (kind.lower() if isinstance(kind, str) else kind) not in TYPES:
        raise NotProven("the token is of another kind")


def expiry_of(claims: Claims, *, issuer: str, audiences: Collection[str], now: int, longest: int | None = None) -> int:
    """When the token of ``issuer`` for one of ``audiences`` ends, at most ``longest`` ms from now. Raises
    ``NotProven``.
    """
    if claims.get("iss") != issuer:
        raise NotProven("the token comes from another issuer")
    if "cnf" in claims:
        raise NotProven("the token counts only beside a proof that is not looked at here")
    audience = claims.get("aud")
    listed = [audience] if isinstance(audience, str) else audience
    if not isinstance(listed, list) or not any(isinstance(each, str) and each in audiences for each in listed):
        raise NotProven("the token is meant for somebody else")
    return _holds(claims, now, longest)


def subject_of(claims: Claims) -> str:
    """Whom the issuer means. Raises ``NotProven``."""
    name = claims.get("sub")
    if not isinstance(name, str) or not 0 < len(name) <= MOST_SUB:
        raise NotProven("the token names nobody")
    return name


def groups_of(claims: Claims, claim: str, *, below: str) -> frozenset[str] | None:
    """The groups in ``claim`` as ``group:BELOW/NAME``; ``None`` where the issuer says that it does not tell them all.
    Raises ``NotProven``.
    """
    told = claims.get(claim)
    elsewhere = claims.get("_claim_names")
    if told is None:
        untold = claims.get("hasgroups") is True or (isinstance(elsewhere, dict) and claim in elsewhere)
        return None if untold else frozenset()
    names = told if isinstance(told, list) else [None]
    if len(names) > MOST_GROUPS:
        raise NotProven(f"the token names more than {MOST_GROUPS} groups")
    return frozenset(f"group:{below}/{spelled_name(_group(each))}" for each in names)


def scopes_of(claims: Claims) -> frozenset[str]:
    """What the token was given for (RFC 8693 §4.2; ``scp`` as some spell it)."""
    said = claims.get("scope", claims.get("scp", ""))
    listed = said.split(" ") if isinstance(said, str) else said
    return (
        frozenset(each for each in listed if isinstance(each, str) and each)
        if isinstance(listed, list)
        else frozenset()
    )


def verified_email(claims: Claims, claim: str, verified: str) -> str:
    """The address that the issuer vouches for by the claim ``verified``. Raises ``NotProven``."""
    email = claims.get(claim)
    if not isinstance(email, str) or not email:
        raise NotProven("the token tells no e-mail address")
    if claims.get(verified) not in (True, "true"):
        raise NotProven("the issuer does not say that it verified the e-mail address")
    return email


def _holds(claims: Claims, now: int, longest: int | None) -> int:
    ends = _moment(claims, "exp")
    if ends is None:
        raise NotProven("the token does not say when it ends")
    if now >= ends:
        raise NotProven("the token has ended")
    if longest is not None and ends > now + longest + SLACK_MS:
        raise NotProven("the token lasts too long; let it end sooner")
    for name in ("nbf", "iat"):
        begins = _moment(claims, name)
        if begins is not None and begins > now + SLACK_MS:
            raise NotProven("the token does not hold yet; compare the clocks of both servers")
    return ends


def _moment(claims: Claims, name: str) -> int | None:
    if name not in claims:
        return None
    value = claims[name]
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= LAST_S:
        raise NotProven("the token does not say when it holds")
    return int(value * 1000)


def _group(name: Json) -> str:
    if not isinstance(name, str) or not 0 < len(name) <= MOST_GROUP:
        raise NotProven("the token names a group that is none")
    return name
