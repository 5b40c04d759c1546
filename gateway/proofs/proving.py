"""Whom a signed token proves on one server: the way in for tokens, whoever made them.

An operator's issuer comes first, so that nobody who owns a server can stand between it and the gateway. The words of a
refusal tell whoever sent a token what is wrong with it; nothing of the token is in them.
"""

from connectors.oauth.signed import NotProven
from gateway.errors import Unauthenticated
from gateway.identity import looks_signed
from gateway.policy.terms import Subject
from gateway.proofs.issuers import Issuers
from gateway.proofs.signers import Signers
from gateway.snapshot import Snapshot


class Proofs:
    """Every method raises ``Unauthenticated``, and ``Unavailable`` where keys cannot be had."""

    def __init__(self, signers: Signers, issuers: Issuers) -> None:
        self._signers, self._issuers = signers, issuers

    async def end_user(self, token: str, domain: str, snapshot: Snapshot, now: int) -> Subject:
        """The end user of the server of ``domain`` whom ``token`` proves at ``now`` (ms since the epoch)."""
        if (server := snapshot.servers.get(domain)) is None:
            raise Unauthenticated("The token of an end user counts on a server of its own, not here.")
        try:
            return await self._signers.prove(server, token, now)
        except NotProven as no:
            raise _refused(no) from None

    async def bearer(self, key: str, domain: str, snapshot: Snapshot, now: int) -> Subject | None:
        """Whom ``key`` proves where it is a token of an operator's issuer, or of who signs for the server; ``None``
        where it is neither, and may be an API key. Raises ``Forbidden`` too: he has no account, or a scope is wanting.
        """
        if not looks_signed(key):
            return None
        if self._issuers.knows(key):
            try:
                return await self._issuers.prove(domain, key, now)
            except NotProven as no:
                raise _refused(no) from None
        server = snapshot.servers.get(domain)
        if server is not None and self._signers.signs_for(server, key):
            return await self.end_user(key, domain, snapshot, now)
        return None


def _refused(no: NotProven) -> Unauthenticated:
    return Unauthenticated(f"Invalid token: {no}.")
