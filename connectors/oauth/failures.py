"""What a platform says when it refuses, brought to one of our few kinds of failure, and how each is told.

Pure. Platforms have their own words for the same thing: those that have been met stand in one table. This file opens
nothing and knows no HTTP beyond a status.
"""

import re
from collections.abc import Collection
from enum import StrEnum
from typing import Final
from urllib.parse import quote, quote_plus

from connectors.oauth.terms import Failure, OAuthFailed


class Leg(StrEnum):
    """What was asked for; the same word means different things in different legs."""

    AUTHORIZATION = "authorization"
    CODE = "code"
    RENEWAL = "renewal"
    CLIENT = "client"


_WORDS: Final = {
    Failure.ACCESS_DENIED: (
        *("access_denied", "user_denied", "user_cancelled_authorize", "user_cancelled_login", "consent_required"),
        *("interaction_required", "login_required", "account_selection_required"),
    ),
    Failure.INVALID_GRANT: (
        *("invalid_grant", "invalid_code", "bad_verification_code", "bad_auth_code", "code_expired"),
        *("code_already_used", "invalid_refresh_token", "bad_refresh_token", "expired_refresh_token"),
        *("refresh_token_expired", "invalid_token", "expired_token", "token_expired", "token_revoked"),
        *("authorization_revoked", "account_inactive", "inactive_user", "inactive_org"),
    ),
    Failure.INVALID_CLIENT: (
        *("invalid_client", "unauthorized_client", "invalid_client_id", "bad_client_id", "bad_client_secret"),
        *("incorrect_client_credentials", "redirect_uri_mismatch", "bad_redirect_uri", "invalid_redirect_uri"),
    ),
    Failure.INVALID_SCOPE: ("invalid_scope", "insufficient_scope", "invalid_target"),
    Failure.UNAVAILABLE: (
        *("temporarily_unavailable", "server_error", "ratelimited", "rate_limited", "rate_limit_exceeded"),
        *("slow_down", "internal_error", "fatal_error", "service_unavailable", "request_timeout"),
        "too_many_requests",
    ),
}
_KIND: Final = {word: kind for kind, words in _WORDS.items() for word in words}

_SENTENCES: Final = {
    Failure.ACCESS_DENIED: "access was not granted at {title}; connect again to grant it",
    Failure.INVALID_GRANT: "{title} does not accept this authorization any more; connect again",
    Failure.INVALID_CLIENT: "{title} does not accept this gateway; "
    "the operator has to check client id, client secret and redirect URI",
    Failure.INVALID_SCOPE: "{title} does not give the rights that were asked for; the operator has to check the scopes",
    Failure.PROVIDER_ERROR: "{title} refused for a reason of its own; try again, or ask the operator",
    Failure.UNAVAILABLE: "{title} does not answer now; try again later",
    Failure.BAD_ANSWER: "{title} gave an answer that cannot be used; try again, or ask the operator",
    Failure.WRONG_ISSUER: "what came back is not from {title}; nothing was connected",
    Failure.BAD_CALLBACK: "the browser came back from {title} without what is needed; connect again",
    Failure.MISCONFIGURED: "{title} is not set up rightly; the operator has to check its settings",
}

_TOKEN_IS_DEAD: Final = re.compile(
    r"refresh.?token.{0,40}(invalid|expired|revoked|unknown|not found)|"
    r"(invalid|expired|revoked|unknown).{0,20}refresh.?token"
)
_OPAQUE: Final = re.compile(r"(?=[A-Za-z_+/=.~-]*[0-9])[A-Za-z0-9_+/=.~-]{20,}|[A-Za-z0-9_+/=.~-]{40,}")
_UNPRINTABLE: Final = re.compile(r"[^\x20-\x7e]+")
_LOOKED_AT: Final = 4000
_LONGEST: Final = 300


def failed(
    title: str, kind: Failure, detail: str = "", *, retry_after: int | None = None, hidden: Collection[str] = ()
) -> OAuthFailed:
    """The failure of a leg to the platform ``title``; ``detail`` may hold what it said, and loses what is secret."""
    sentence = _SENTENCES[kind].format(title=title)
    return OAuthFailed(kind, sentence, detail=masked(detail, hidden), retry_after=retry_after)


def kind_of(leg: Leg, status: int, word: str, message: str = "") -> Failure:
    """Which failure it is that a platform answers ``leg`` with ``status`` and the error ``word``."""
    if status in (408, 429) or status >= 500:
        return Failure.UNAVAILABLE
    known = _KIND.get(word.lower())
    if leg is Leg.RENEWAL and (known is Failure.ACCESS_DENIED or _token_is_dead(known, message)):
        return Failure.INVALID_GRANT
    if known is None:
        return Failure.INVALID_CLIENT if status == 401 else Failure.PROVIDER_ERROR
    return known


def known_word(word: str) -> str:
    """``word`` when it is one of those that platforms are known to say, else ``""``: for words that a stranger may
    have put together.
    """
    return word if word.lower() in _KIND else ""


def masked(text: str, hidden: Collection[str]) -> str:
    """``text`` on one short line, without anything of ``hidden`` nor anything that may be a token."""
    for secret in hidden:
        for written in {secret, quote(secret, safe=""), quote_plus(secret)}:
            text = text.replace(written, "***") if written else text
    return _OPAQUE.sub("***", _UNPRINTABLE.sub(" ", text)[:_LOOKED_AT])[:_LONGEST]


def _token_is_dead(known: Failure | None, message: str) -> bool:
    """Whether a refusal that is not named so says in words that the refresh token is no good: some platforms do."""
    return known in (None, Failure.INVALID_CLIENT) and _TOKEN_IS_DEAD.search(message[:1000].lower()) is not None
