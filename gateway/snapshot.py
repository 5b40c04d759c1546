"""What one call judges by: everything that every process holds in memory, as of one moment. Never changed in place.

This file knows no store that it would ask, and no clock.
"""

from dataclasses import dataclass, field, replace

from gateway.connections.known import Connections
from gateway.custom.known import NOTHING_MADE, Custom
from gateway.identity import ISSUER, Identities
from gateway.policy.engine import Policy
from gateway.policy.terms import Acting, Subject
from gateway.servers.acting import may_act, named
from gateway.servers.known import NO_SERVERS, OURSELVES, SIGNER, TOKEN, Servers, token_proof
from gateway.store.base import Changes


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What one call judges by. Everything in it was current at ``confirmed_at_ms`` (ms since the epoch)."""

    identities: Identities
    policy: Policy
    confirmed_at_ms: int
    connections: Connections = field(default_factory=Connections)
    custom: Custom = NOTHING_MADE
    servers: Servers = NO_SERVERS

    def stale(self, now: int, after_ms: float) -> bool:
        """Whether ``now`` is further than ``after_ms`` from the confirmation, on either side of it: a clock that was
        set back must not keep an old snapshot alive.
        """
        return abs(now - self.confirmed_at_ms) > after_ms

    def same_beside(self, other: "Snapshot") -> bool:
        """Whether everything but the policy is as in ``other``."""
        same = self.connections is other.connections and self.custom is other.custom
        return same and self.servers is other.servers and self.identities == other.identities

    def still_valid(self, subject: Subject, now: int) -> bool:
        """Whether everything that proved ``subject`` still counts at ``now`` (ms since the epoch)."""
        if subject.expires_at is not None and now >= subject.expires_at:
            return False
        if subject.acting is not None:
            return self._acts(subject, subject.acting, now)
        return all(self._counts(proof, subject, now) for proof in (subject.credential, *subject.rests_on))

    def admits(self, subject: Subject, domain: str, now: int) -> bool:
        """Whether ``subject`` may be on the server of ``domain`` at ``now``: what proved him counts, and counts there;
        and where a user offers that server, some row of the policy lets him use or connect something there.
        """
        return self.still_valid(subject, now) and self.reaches(subject, domain) and self.enters(subject, domain, now)

    def enters(self, subject: Subject, domain: str, now: int) -> bool:
        """Whether the policy lets ``subject`` in, where ``domain`` is a server that a user offers. A server is a loan:
        it ends with the account of its owner, whatever else of that is still to be cleared away.
        """
        server = self.servers.get(domain)
        if server is None:
            return True
        return server.owner.removeprefix("user:") in self.identities.users and self.policy.enters(subject, domain, now)

    def reaches(self, subject: Subject, domain: str) -> bool:
        """Whether every key that ``subject`` rests on counts on the server of ``domain``."""
        if subject.acting is not None:
            return self.reaches(subject.acting.subject, domain)
        keys = (self.identities.keys.get(each) for each in (subject.credential, *subject.rests_on))
        return all(key is None or not key.servers or domain in key.servers for key in keys)

    def _acts(self, subject: Subject, acting: Acting, now: int) -> bool:
        id, name = named(subject.name)
        server = self.servers.get(id)
        if server is None or not self.still_valid(acting.subject, now):
            return False
        return may_act(self.policy, acting, server, name, now).allowed

    def _counts(self, proof: str, subject: Subject, now: int) -> bool:
        if proof.startswith(TOKEN):
            return self._token_counts(proof, subject, now)
        if proof.startswith(SIGNER):
            return self._signer_counts(proof, subject)
        if proof.startswith(ISSUER):
            return proof.partition("/")[2] in self.identities.users
        if proof != subject.credential:
            return self.identities.counts(proof, now)
        return self.identities.still_valid(subject, now)

    def _token_counts(self, proof: str, subject: Subject, now: int) -> bool:
        """Tokens prove their server, and on top of it an end user of it."""
        kind, _, rest = subject.name.partition(":")
        server = self.servers.get(rest.partition("/")[0]) if kind in ("server", "end") else None
        if server is None:
            return False
        return any(
            token_proof(each) == proof and (each.expires_at is None or now < each.expires_at) for each in server.tokens
        )

    def _signer_counts(self, proof: str, subject: Subject) -> bool:
        """Signers prove the end users of their server; the gateway signs for the owner of every one."""
        id, _, signer = proof.removeprefix(SIGNER).partition("/")
        server = self.servers.get(id)
        if server is None or not subject.name.startswith(f"end:{id}/"):
            return False
        return signer == OURSELVES or any(each.id == signer for each in server.signers)


def told_of(known: Snapshot, changes: Changes) -> Snapshot:
    """``known`` with all that ``changes`` tell beside grants."""
    gone: dict[str, list[str]] = {}
    for kind, id in changes.removed:
        gone.setdefault(kind, []).append(id)
    tools = known.custom.tools.changed(changes.tools, gone.get("tools", ()))
    prompts = known.custom.prompts.changed(changes.prompts, gone.get("prompts", ()))
    same = tools is known.custom.tools and prompts is known.custom.prompts
    return replace(
        known,
        identities=known.identities.changed(users=changes.users, keys=changes.keys, removed=changes.removed),
        connections=known.connections.changed(changes.connections, gone.get("connections", ())),
        custom=known.custom if same else Custom(tools, prompts),
        servers=known.servers.changed(changes.servers, gone.get("servers", ())),
    )
