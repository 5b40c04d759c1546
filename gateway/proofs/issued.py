"""Tokens that the gateway itself signs for the end users of a tenant, and what they prove. Pure.

A tenant is the account that owns servers. Such a token counts on those of the servers named in it that are still his.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from connectors.base import Secret
from connectors.oauth.signed import MOST_BYTES, NotProven, checked, shared_key, sign
from gateway.identity import KeyRing
from gateway.policy.terms import Json, Subject
from gateway.proofs.claims import MOST_SUB, expiry_of, groups_of, subject_of
from gateway.records import Server
from gateway.servers.known import OURSELVES, signer_proof
from gateway.servers.rows import end_user

ALGORITHM: Final = "HS256"
HOUR_MS: Final = 3_600_000
MOST_SERVERS: Final = 100

_USE: Final = "end-user-token"


@dataclass(frozen=True, slots=True)
class Issued:
    """A token at the only moment at which it can be shown; ``expires_at`` is ms since the epoch."""

    token: Secret
    expires_at: int


def issue(
    ring: KeyRing,
    *,
    tenant: str,
    servers: Sequence[str],
    name: str,
    now: int,
    lasts_ms: int = HOUR_MS,
    groups: Sequence[str] = (),
) -> Issued:
    """A token for the end user ``name`` of ``tenant`` (``user:EMAIL``) on his ``servers`` (ids). Raises ``ValueError``
    with a sentence.
    """
    if not 0 < lasts_ms <= HOUR_MS:
        raise ValueError("a token of an end user lasts an hour at most")
    if not 0 < len(servers) <= MOST_SERVERS:
        raise ValueError(f"name 1 to {MOST_SERVERS} servers that the token is for")
    if not 0 < len(name) <= MOST_SUB:
        raise ValueError(f"an end user has a name of 1 to {MOST_SUB} characters")
    ends = (now + lasts_ms) // 1000
    claims: dict[str, Json] = {
        "iss": OURSELVES, "tenant": tenant, "aud": list(servers), "sub": name, "iat": now // 1000, "exp": ends,
    }  # fmt: skip
    if groups:
        claims["groups"] = list(groups)
    token = sign(claims, ring.derive(ring.current, _USE))
    if len(token) > MOST_BYTES:
        raise ValueError("that is too much for one token; name fewer servers or groups")
    return Issued(Secret(token), ends * 1000)


def proven(ring: KeyRing, server: Server, token: str, now: int) -> Subject:
    """The end user of ``server`` whom such a token proves. Raises ``NotProven``."""
    keys = [shared_key(each) for each in ring.keys(_USE)]
    claims = checked(token, keys, (ALGORITHM,))
    ends = expiry_of(claims, issuer=OURSELVES, audiences=(server.id,), now=now, longest=HOUR_MS)
    if claims.get("tenant") != server.owner:
        raise NotProven("the server is not of who gave the token")
    return Subject(
        end_user(server.id, subject_of(claims)),
        groups=groups_of(claims, "groups", below=server.id),
        credential=signer_proof(server.id, OURSELVES),
        expires_at=ends,
    )
