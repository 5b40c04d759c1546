"""Who comes in: from what a request brings to a verified subject on one server, or to nobody.

This file knows no transport: where a credential stands in a request is the business of ``web``.
"""

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from gateway.errors import Barred, Forbidden, Unauthenticated, Unknown
from gateway.identity import INVALID, missing, normal_email
from gateway.policy.terms import MAIN, Access, Acting, Decision, Json, Reason, Subject
from gateway.servers.acting import may_act, stood_for
from gateway.servers.known import token_proof
from gateway.servers.rows import end_user
from gateway.snapshot import Snapshot

NOT_HERE = "denied by policy: nothing of this server is for you"
TWO_PROOFS = "Invalid authentication: the URL holds a token already; send no key beside it"
TWO_USERS = "Invalid authentication: two signed tokens name different users; send one of them"
NO_TOKEN = "Invalid or missing authentication"  # noqa: S105 (what is said, not a secret)


@dataclass(frozen=True, slots=True)
class Arrival:
    """What a request brings to prove who sends it; nothing of it is believed yet. ``domain`` is the server of its URL,
    ``key`` an API key, ``token`` what a token URL holds, ``end_user`` a signed token of an end user of that server,
    ``acts_as`` whom a key's user wants to stand for there. ``address`` is the client's.
    """

    key: str | None = field(default=None, repr=False)
    domain: str = MAIN
    token: str | None = field(default=None, repr=False)
    end_user: str | None = field(default=None, repr=False)
    acts_as: str | None = None
    address: str = ""


class Proofs(Protocol):
    """Whoever knows tokens that others sign."""

    async def end_user(self, token: str, domain: str, snapshot: Snapshot, now: int) -> Subject:
        """The end user (``end:SERVER/…``) whom a signer of that server proves. Raises ``Unauthenticated``,
        ``Unavailable``.
        """

    async def bearer(self, key: str, domain: str, snapshot: Snapshot, now: int) -> Subject | None:
        """Whom a token proves that came instead of an API key; ``None`` where it is none of anybody known. Raises
        ``Unauthenticated``, ``Unavailable``, ``Forbidden``.
        """


class _Nobody:
    async def end_user(self, token: str, domain: str, snapshot: Snapshot, now: int) -> Subject:  # noqa: ARG002
        raise Unauthenticated(INVALID, detail="nobody here proves end users")

    async def bearer(self, key: str, domain: str, snapshot: Snapshot, now: int) -> Subject | None:  # noqa: ARG002
        return None


NO_PROOFS: Final[Proofs] = _Nobody()
"""Where nobody else's signature counts."""


async def came(
    arrival: Arrival,
    snapshot: Snapshot,
    proofs: Proofs,
    *,
    serves: Callable[[str], bool],
    env: Mapping[str, Json],
    now: int,
) -> Subject:
    """Who sends a request, at ``now`` (ms since the epoch), from where ``env`` says (``offset``, ``address``).

    Whatever he brings has to be true, and to agree. Raises ``Unauthenticated``, ``Unavailable``; then ``Unknown`` for
    what no server is (``serves``); then ``Barred`` and ``Forbidden``.
    """
    first = await _first(arrival, snapshot, proofs, now)
    if first is not None and not serves(arrival.domain):
        raise Unknown("there is no such server", code=-32600, status=404)
    subject = await _end_user(arrival, first, snapshot, proofs, now)
    if arrival.acts_as is not None and not any(_is(each, arrival) for each in (subject, first or subject)):
        subject = _standing_in(arrival.acts_as, arrival.domain, Acting(subject, env), snapshot, now)
    if not snapshot.enters(subject, arrival.domain, now):
        asked = Access(subject.name, arrival.domain, subject.name, "*", "read")
        raise Barred(NOT_HERE, Decision(False, Reason.NO_RULE, snapshot.policy.version, access=asked))
    return subject


async def _first(arrival: Arrival, snapshot: Snapshot, proofs: Proofs, now: int) -> Subject | None:
    """Whom a token URL or a key proves; ``None`` where there is only a signed token of an end user."""
    if arrival.token is not None:
        if arrival.key is not None:
            raise Unauthenticated(TWO_PROOFS)
        return by_token(snapshot, arrival.domain, arrival.token, now)
    if arrival.key is None:
        if arrival.end_user is None:
            raise missing()
        return None
    signed = await proofs.bearer(arrival.key, arrival.domain, snapshot, now)
    return by_key(snapshot, arrival.domain, arrival.key, now) if signed is None else signed


async def _end_user(arrival: Arrival, first: Subject | None, snapshot: Snapshot, proofs: Proofs, now: int) -> Subject:
    """The end user whose token came, resting on whatever else came with it; without one it is that alone."""
    if arrival.end_user is None:
        if first is None:
            raise missing()
        return first
    subject = await proofs.end_user(arrival.end_user, arrival.domain, snapshot, now)
    if first is not None and first.name.startswith("end:") and first.name != subject.name:
        raise Unauthenticated(TWO_USERS)
    if first is None or first.credential == subject.credential:
        return subject
    ends = [each.expires_at for each in (subject, first) if each.expires_at is not None]
    return replace(
        subject,
        rests_on=(*subject.rests_on, first.credential, *first.rests_on),
        expires_at=min(ends, default=None),
    )


def _is(subject: Subject, arrival: Arrival) -> bool:
    """Whether ``subject`` is the one that ``acts_as`` names anyway."""
    name = arrival.acts_as or ""
    if subject.name.startswith("end:"):
        return subject.name == end_user(arrival.domain, name)
    try:
        return subject.name == f"user:{normal_email(name)}"
    except ValueError:
        return False


def _standing_in(name: str, domain: str, acting: Acting, snapshot: Snapshot, now: int) -> Subject:
    """The end user ``name``, for whom somebody stands. Raises ``Barred``, ``Forbidden``."""
    if (server := snapshot.servers.get(domain)) is None:
        raise Forbidden("there are no end users to act as here; name a server that a user offers")
    decision = may_act(snapshot.policy, acting, server, name, now)
    if not decision.allowed:
        raise Barred("denied by policy: nobody lets you act as another user of this server", decision)
    return stood_for(acting, server, name)


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
