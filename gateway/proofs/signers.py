"""End users of a server, proven by whoever signs for it: its own signers, or the gateway for its owner.

Whoever owns a server can sign anything. So what is proven here is an end user of that one server and groups of it, no
account, no group of anybody else, and no claims.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from connectors.addresses import PUBLIC_ONLY, Exceptions
from connectors.egress import Egress
from connectors.oauth.key_sets import KeySet, Whereabouts
from connectors.oauth.signed import AnyKey, NotProven, checked, claimed, header_of, shared_key
from gateway.errors import Unavailable
from gateway.identity import KeyRing
from gateway.policy.terms import Subject
from gateway.proofs import issued
from gateway.proofs.claims import check_kind, expiry_of, groups_of, subject_of
from gateway.proofs.remembered import Known, Remembered
from gateway.records import Server, Signer
from gateway.servers.known import OURSELVES, signer_proof
from gateway.servers.rows import end_user
from gateway.servers.signers import context_of
from gateway.vault import Unsealable, Vault

DAY_MS: Final = 24 * 3_600_000
"""How far ahead a token may end."""

MOST_SETS: Final = 256
GROUPS: Final = "groups"

SHARED: Final = ("HS256",)
PUBLISHED: Final = {
    "RS256": ("RS256",),
    "PS256": ("PS256",),
    "ES256": ("ES256",),
    "EdDSA": ("EdDSA", "Ed25519"),  # the older name and the newer one (RFC 9864) of the same
}
"""What a header may say where a signer's algorithm is this one."""


@dataclass(frozen=True, slots=True)
class _Grounds:
    signer: Signer
    owner: str
    keys: tuple[AnyKey, ...] = field(repr=False)


class Signers:
    """``clock`` tells ms since the epoch; ``allow`` lists exceptions to the address guard; so many places of keys are
    remembered at most (``most_sets``).
    """

    def __init__(
        self,
        egress: Egress,
        vault: Vault,
        ring: KeyRing,
        clock: Callable[[], int],
        *,
        allow: Exceptions = PUBLIC_ONLY,
        most_sets: int = MOST_SETS,
    ) -> None:
        self._egress, self._vault, self._ring, self._clock, self._allow = egress, vault, ring, clock, allow
        self._most_sets = most_sets
        self._sets: dict[tuple[str, str], KeySet] = {}
        self._known: Remembered[_Grounds] = Remembered()

    def signs_for(self, server: Server, token: str) -> bool:
        """Whether the token says that it is of somebody who signs for ``server``; nothing of it is believed."""
        try:
            issuer = claimed(token).get("iss")
        except NotProven:
            return False
        return issuer == OURSELVES or any(each.issuer == issuer for each in server.signers)

    async def prove(self, server: Server, token: str, now: int) -> Subject:
        """The end user whom ``token`` proves at ``now``. Raises ``NotProven``, ``Unavailable``."""
        known = self._known.find(token, server.id, now)
        if known is not None and await self._stands(server, known.grounds):
            return known.subject
        check_kind(header_of(token))
        issuer = claimed(token).get("iss")
        if issuer == OURSELVES:
            return issued.proven(self._ring, server, token, now)
        return await self._of_signers(server, [each for each in server.signers if each.issuer == issuer], token, now)

    async def _of_signers(self, server: Server, signers: Sequence[Signer], token: str, now: int) -> Subject:
        """By the first that signed it: an issuer changes its key by having two for a while."""
        reason: NotProven | Unavailable = NotProven("nobody whom the server trusts signed the token")
        for signer in signers:
            try:
                return await self._of_signer(server, signer, token, now)
            except (NotProven, Unavailable) as no:
                reason = no
        raise reason

    async def _of_signer(self, server: Server, signer: Signer, token: str, now: int) -> Subject:
        algorithms = algorithms_of(signer)
        if header_of(token).get("alg") not in algorithms:
            raise NotProven("the token is signed in another way than agreed")
        keys = await self._keys_for(server, signer, token)
        claims = checked(token, keys, algorithms)
        ends = expiry_of(claims, issuer=signer.issuer, audiences=(server.id,), now=now, longest=DAY_MS)
        subject = Subject(
            end_user(server.id, subject_of(claims)),
            groups=groups_of(claims, GROUPS, below=server.id),
            credential=signer_proof(server.id, signer.id),
            expires_at=ends,
        )
        self._known.keep(
            token, server.id, Known(subject, _Grounds(signer, server.owner, () if signer.sealed else keys))
        )
        return subject

    async def _stands(self, server: Server, grounds: _Grounds) -> bool:
        """Whether what a remembered proof rests on is still as it was."""
        if grounds.owner != server.owner or grounds.signer not in server.signers:
            return False
        return bool(grounds.signer.sealed) or await self._set(server, grounds.signer).keys() is grounds.keys

    async def _keys_for(self, server: Server, signer: Signer, token: str) -> tuple[AnyKey, ...]:
        if signer.jwks_url:
            return await self._set(server, signer).keys_for(token, algorithms_of(signer))
        try:
            return (shared_key(self._vault.open(signer.sealed, context_of(server.id, signer.id))),)
        except (Unsealable, ValueError):
            raise Unavailable("the secret of who signs for this server cannot be used now; ask its owner") from None

    def _set(self, server: Server, signer: Signer) -> KeySet:
        """The keys at an address, as an owner of servers knows it. Room is made by whoever has most of them, so that
        nobody who names many drives out what others need.
        """
        key = server.owner, signer.jwks_url
        known = self._sets.pop(key, None)
        if known is None:
            known = KeySet(self._egress, Whereabouts(signer.issuer, signer.jwks_url, self._allow), self._clock)
        while len(self._sets) >= self._most_sets:
            greedy = Counter(owner for owner, _ in self._sets).most_common(1)[0][0]
            del self._sets[next(each for each in self._sets if each[0] == greedy)]
        self._sets[key] = known
        return known


def algorithms_of(signer: Signer) -> tuple[str, ...]:
    """What a token of ``signer`` may be signed by; nothing where its record does not fit together."""
    if bool(signer.sealed) == bool(signer.jwks_url):
        return ()
    if signer.sealed:
        return SHARED if signer.algorithm in SHARED else ()
    return PUBLISHED.get(signer.algorithm, ())
