"""Everything that proves people by signed tokens, put together from what was set, and the accounts that issuers may
have made.

Part of the composition root; builds, and decides nothing.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from connectors.egress import Egress
from gateway.audit import AuditEntry
from gateway.audit.trail import Audit
from gateway.follower import Follower, now_ms
from gateway.identity import KeyRing, issuer_proof
from gateway.manage.enrolling import enrol
from gateway.policy.terms import MAIN
from gateway.proofs.issuers import Accounts, Issuers
from gateway.proofs.proving import Proofs
from gateway.proofs.signers import Signers
from gateway.settings import Settings
from gateway.store.base import Store
from gateway.vault import Vault
from gateway.web.protected import Protected

METHOD: Final = "users.enrol"


@dataclass(slots=True)
class Enrolling:
    """Makes accounts, one at a time, each with its audit entry."""

    store: Store
    follower: Follower
    audit: Audit
    clock: Callable[[], int] = now_ms
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def __call__(self, email: str, issuer: str) -> None:
        """An account for ``email``, whom ``issuer`` proved; returns when this process knows it. Raises
        ``Unavailable``.
        """
        async with self._turn:
            if email in self.follower.current.identities.users:
                return
            began, at = time.perf_counter(), self.clock()
            if await enrol(self.store, email, now=at):
                self.audit.record(self._entry(email, issuer, at, time.perf_counter() - began))
            await self.follower.catch_up()

    def _entry(self, email: str, issuer: str, at: int, took: float) -> AuditEntry:
        return AuditEntry(
            id=self.audit.new_id(at),
            at=at,
            subject=f"user:{email}",
            credential=issuer_proof(issuer, email),
            transport="issuer",
            domain=MAIN,
            owner=f"user:{email}",
            method=METHOD,
            object="gateway/users",
            action="manage",
            allowed=True,
            outcome="ok",
            took=round(took * 1000, 3),
        )


def proven(
    settings: Settings, *, store: Store, ring: KeyRing, vault: Vault, follower: Follower, egress: Egress, audit: Audit
) -> Proofs:
    """What the operator trusts, and what owners of servers do, over these parts."""
    accounts = Accounts(lambda: follower.current.identities, Enrolling(store, follower, audit))
    return Proofs(
        Signers(egress, vault, ring, now_ms),
        Issuers(settings.issuers, egress, accounts, public_url=settings.public_url, clock=now_ms),
    )


def protected(settings: Settings) -> Protected:
    """What clients without a token are told of the issuers."""
    scopes = dict.fromkeys(scope for each in settings.issuers for scope in each.scopes)
    return Protected(settings.public_url, settings.name, tuple(each.issuer for each in settings.issuers), tuple(scopes))
