"""The values that go into the legs of OAuth 2 and come out of them, and the one way in which a leg fails.

This file knows no HTTP and no library. Nothing here prints a secret.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from connectors.base import Secret


@dataclass(frozen=True, slots=True)
class Client:
    """What a platform knows us as; ``secret`` is ``None`` for a public client (RFC 6749 §2.1)."""

    id: str
    secret: Secret | None
    redirect_uri: str


@dataclass(frozen=True, slots=True, repr=False)
class Begun:
    """Where the browser goes, the state in it; ``verifier`` (``None`` without PKCE) is for ``Legs.exchange``."""

    url: str
    verifier: Secret | None


@dataclass(frozen=True, slots=True, repr=False)
class Code:
    """What a browser brought back: the authorization code, and what else the definition keeps of the callback."""

    value: Secret
    kept: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, repr=False)
class Tokens:
    """What a platform gave. ``expires_at`` is in ms since the epoch (``None``: not told). ``scopes`` is ``None`` where
    the platform does not say: then they are as asked for (RFC 6749 §5.1). ``kept`` are the values for templates, by
    their paths.
    """

    access: Secret
    refresh: Secret | None = None
    expires_at: int | None = None
    scopes: tuple[str, ...] | None = None
    kept: Mapping[str, str] = field(default_factory=dict)


class Failure(StrEnum):
    """Why a leg failed; closed, so that callers decide by it. Only ``INVALID_GRANT`` says that the person must connect
    anew; only ``UNAVAILABLE`` that the same may work later without anybody's doing.
    """

    ACCESS_DENIED = "access_denied"
    INVALID_GRANT = "invalid_grant"
    INVALID_CLIENT = "invalid_client"
    INVALID_SCOPE = "invalid_scope"
    PROVIDER_ERROR = "provider_error"
    UNAVAILABLE = "unavailable"
    BAD_ANSWER = "bad_answer"
    WRONG_ISSUER = "wrong_issuer"
    BAD_CALLBACK = "bad_callback"
    MISCONFIGURED = "misconfigured"


class OAuthFailed(Exception):
    """A leg failed. ``sentence`` is public; ``detail`` is for the log; neither carries a token, a code, a state or a
    URL. ``retry_after`` is how many seconds the platform wants to be left alone, ``None`` where it does not say.
    """

    def __init__(self, kind: Failure, sentence: str, *, detail: str = "", retry_after: int | None = None) -> None:
        super().__init__(sentence)
        self.kind, self.sentence, self.detail, self.retry_after = kind, sentence, detail, retry_after
