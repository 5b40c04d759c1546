"""Who comes in: from what a request brings to a verified subject on one server, or to nobody.

This file knows no transport: where a credential stands in a request is the business of ``web``.
"""

import hmac
from dataclasses import dataclass

from gateway.errors import Unauthenticated
from gateway.identity import INVALID
from gateway.policy.terms import MAIN, Subject
from gateway.servers.known import token_proof
from gateway.snapshot import Snapshot

NO_TOKEN = "Invalid or missing authentication"  # noqa: S105 (what is said, not a secret)


@dataclass(frozen=True, slots=True)
class Arrival:
    """What a request brings to prove who sends it; nothing of it is believed yet. ``domain`` is the server of its URL,
    ``key`` an API key, ``token`` what a token URL holds, ``end_user`` a signed token of an end user of that server,
    ``acts_as`` whom a key's user wants to stand for there.
    """

    key: str | None = None
    domain: str = MAIN
    token: str | None = None
    end_user: str | None = None
    acts_as: str | None = None


def by_token(snapshot: Snapshot, domain: str, token: str, now: int) -> Subject:
    """The server that ``token`` proves at ``now`` (ms since the epoch). Raises ``Unauthenticated``, alike for a server
    that there is not, for one that was deleted, and for a token that ended.
    """
    server = snapshot.servers.get(domain)
    if server is not None:
        hashes = tuple(snapshot.identities.ring.hashes(token))
        for known in server.tokens:
            lives = known.expires_at is None or now < known.expires_at
            if lives and any(hmac.compare_digest(known.id, each) for each in hashes):
                return Subject(f"server:{server.id}", credential=token_proof(known))
    raise Unauthenticated(NO_TOKEN)


def by_key(snapshot: Snapshot, domain: str, key: str, now: int) -> Subject:
    """Whom an API key proves on the server of ``domain``. Raises ``Unauthenticated``."""
    subject = snapshot.identities.authenticate(key, now)
    known = snapshot.identities.keys[subject.credential]
    if known.servers and domain not in known.servers:
        raise Unauthenticated(INVALID, detail="the key does not count on this server")
    return subject
