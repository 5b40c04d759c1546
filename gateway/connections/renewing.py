"""Renewing access tokens: once, however many calls and nodes want it, and without ever losing one that was given.

In this process one task per connection; across nodes a lease in the record, taken and given back by compare-and-set.
What a platform gave is stored before it is used, and storing it is tried as long as the process lives. This file knows
no HTTP; what it renews with is a ``Renewer``.
"""

import asyncio
import logging
import secrets
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass
from typing import Protocol

from msgspec import structs

from connectors.definition.platform import Platform
from connectors.oauth.terms import Client, Failure, OAuthFailed, Tokens
from gateway import errors
from gateway.connections.amending import amended
from gateway.connections.due import Wanted, ended
from gateway.connections.found import ISSUER
from gateway.connections.latest import Latest
from gateway.connections.material import Material, context_of_connection, inputs_of, tokens_of, unpack
from gateway.connections.outcomes import Outcomes
from gateway.connections.reasons import Broken, broken, unknown
from gateway.records import Connected, Status
from gateway.store.base import Records
from gateway.vault import Unsealable, Vault

log = logging.getLogger(__name__)


class Renewer(Protocol):
    """The legs of OAuth that renewing needs. ``renew`` raises nothing but ``OAuthFailed``, ``revoke`` not even that."""

    async def renew(self, platform: Platform, client: Client, tokens: Tokens, inputs: Mapping[str, str]) -> Tokens: ...

    async def revoke(self, platform: Platform, client: Client, tokens: Tokens, inputs: Mapping[str, str]) -> bool: ...


@dataclass(frozen=True, slots=True)
class Pace:
    """How long what may take, in seconds. A platform is asked for well less than its ``lease`` lasts, so that a clock
    that differs a little does no harm. ``pause`` doubles with each failure.
    """

    lease: float = 30.0
    request: float = 18.0
    wait: float = 25.0
    look: float = 0.2
    pause: float = 30.0
    longest_pause: float = 300.0
    farewell: float = 10.0


class Renewing:
    """``node`` is what this process calls itself in leases. ``changed`` hears of every connection that has to be made
    anew, and of every one that serves again.
    """

    def __init__(
        self,
        records: Records[Connected],
        latest: Latest,
        vault: Vault,
        legs: Renewer,
        *,
        clock: Callable[[], int],
        changed: Callable[[Connected], None],
        pace: Pace = Pace(),
    ) -> None:
        self._records, self._latest, self._vault, self._legs = records, latest, vault, legs
        self._clock, self._pace = clock, pace
        self._outcomes = Outcomes(records, latest, vault, clock=clock, changed=changed)
        self._node = secrets.token_hex(8)
        self._running: dict[str, asyncio.Task[Connected]] = {}

    def opened(self, platform: Platform, record: Connected) -> Material:
        """What is sealed of a connection. Raises ``NotConnected`` where it does not open, ``Unavailable`` where the
        operator's secret for it is missing.
        """
        try:
            return unpack(self._vault.open(record.sealed, context_of_connection(record)))
        except Unsealable as closed:
            log.error("connection `%s` cannot be opened: %s", record.id, closed)  # noqa: TRY400
            if closed.missing:
                raise errors.Unavailable("this connection cannot be opened here: ask the operator") from None
            raise broken(platform, record, Broken.UNREADABLE) from None

    async def renewed(self, record: Connected, wanted: Wanted) -> Connected:
        """The connection with the access that is ``wanted``, as far as there is one to be had: else as it is, as long
        as it serves. Who asks while it is being renewed waits for the same answer. Raises ``NotConnected`` (it has to
        be made anew), ``UpstreamFailed`` (not now), ``Unavailable`` (of the store: nothing is known).
        """
        task = self._running.get(record.id)
        if task is None:
            task = asyncio.create_task(self._renew(record.id, wanted), name="renewal")
            self._running[record.id] = task
            task.add_done_callback(lambda done: self._over(record.id, done))
        done, _ = await asyncio.wait({task}, timeout=self._pace.wait)
        if not done:
            raise errors.UpstreamFailed(f"renewing the access to {wanted.title} takes long: try again")
        if task.cancelled():
            raise errors.Unavailable("the gateway is stopping")
        if isinstance(fault := task.exception(), errors.Refusal):
            raise copy(fault)  # each who waits has one of his own: the door writes on it
        return task.result()

    async def give_up(self, record: Connected, reason: Broken) -> None:
        """Mark a connection as one that has to be made anew."""
        await self._outcomes.give_up(record, reason)

    async def close(self) -> None:
        """Let what platforms gave be stored, for a while; then end."""
        if tasks := set(self._running.values()):
            _, late = await asyncio.wait(tasks, timeout=self._pace.farewell)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _over(self, id: str, task: asyncio.Task[Connected]) -> None:
        del self._running[id]
        if not task.cancelled():
            task.exception()  # seen: whoever still waits reads it, and otherwise nobody has to

    async def _renew(self, id: str, wanted: Wanted) -> Connected:
        """One look after another at what is stored, until there is an answer."""
        while True:
            record, now = await self._stored(id, wanted), self._clock()
            material = self.opened(wanted.platform, record)
            if not wanted.due(record, material, now):
                self._latest.wrote(record)
                return record
            if not material.refresh:
                return await self._without_renewal(record, wanted, now)
            if not _same_issuer(wanted.platform, material):
                await self._outcomes.give_up(record, Broken.MOVED)
                raise broken(wanted.platform, record, Broken.MOVED)
            if record.retry_at > now:
                seconds = -(-(record.retry_at - now) // 1000)
                raise errors.UpstreamFailed(f"{wanted.title} did not renew this access: try again in {seconds} seconds")
            if record.leased_until > now:
                if wanted.serves(record, now):
                    return record
                await asyncio.sleep(self._pace.look)
            elif (leased := await self._lease(record, now)) is not None:
                lost = Broken.INTERRUPTED if record.leased_by else Broken.REFUSED
                if (answer := await self._ask(leased, material, wanted, lost)) is not None:
                    return answer

    async def _stored(self, id: str, wanted: Wanted) -> Connected:
        record = await self._records.get(id)
        if record is None:
            raise unknown(wanted.platform)
        if record.status is not Status.ACTIVE:
            raise broken(wanted.platform, record)
        return record

    async def _without_renewal(self, record: Connected, wanted: Wanted, now: int) -> Connected:
        if not ended(record, now):
            return record
        await self._outcomes.give_up(record, Broken.EXPIRED)
        raise broken(wanted.platform, record, Broken.EXPIRED)

    async def _lease(self, record: Connected, now: int) -> Connected | None:
        """The record under our lease; ``None`` when somebody else changed it first."""
        until = now + round(self._pace.lease * 1000)
        leased = structs.replace(record, leased_by=self._node, leased_until=until)
        return await amended(self._records, record, lambda stored: leased if stored.rev == record.rev else None)

    async def _ask(self, leased: Connected, material: Material, wanted: Wanted, lost: Broken) -> Connected | None:
        """Have the platform renew it; ``None`` when all has to be looked at again."""
        try:
            given = await self._given(leased, material, wanted)
        except OAuthFailed as failed:
            if failed.kind is not Failure.INVALID_GRANT:
                return await self._put_off(leased, wanted, failed)
            if await self._changed_meanwhile(leased):
                return None
            await self._outcomes.give_up(leased, lost)
            raise broken(wanted.platform, leased, lost) from None
        kept = await self._outcomes.keep(leased, material, given)
        if kept is None and await self._records.get(leased.id) is None:  # ended by somebody who did not know of these
            platform = wanted.platform
            await self._legs.revoke(platform, client_of(platform), given, inputs_of(platform, leased.inputs))
        return kept

    async def _given(self, leased: Connected, material: Material, wanted: Wanted) -> Tokens:
        """What the platform gives; where it lets an old token serve for a while, it is asked twice."""
        try:
            return await self._request(leased, material, wanted)
        except OAuthFailed as failed:
            refused = failed.kind is Failure.INVALID_GRANT
            if not refused or not wanted.renewal.reuse_grace_s or await self._changed_meanwhile(leased):
                raise
        return await self._request(leased, material, wanted)

    async def _request(self, leased: Connected, material: Material, wanted: Wanted) -> Tokens:
        platform = wanted.platform
        left = (leased.leased_until - self._clock()) / 1000 / self._pace.lease  # storing the lease took time
        try:
            async with asyncio.timeout(self._pace.request * left):
                return await self._legs.renew(
                    platform, client_of(platform), tokens_of(material, leased), inputs_of(platform, leased.inputs)
                )
        except TimeoutError:
            raise OAuthFailed(Failure.UNAVAILABLE, "the platform did not answer in time") from None

    async def _changed_meanwhile(self, leased: Connected) -> bool:
        """Whether another credential is stored than the one that was refused: renewed by somebody else, made anew."""
        stored = await self._records.get(leased.id)
        return stored is None or stored.status is not Status.ACTIVE or stored.updated_at != leased.updated_at

    async def _put_off(self, leased: Connected, wanted: Wanted, failed: OAuthFailed) -> Connected:
        """Leave the platform alone for a while. Raises ``UpstreamFailed`` where the access does not serve meanwhile."""
        doubled = self._pace.pause * 2 ** min(leased.attempts, 16)
        pause = min(max(doubled, failed.retry_after or 0), self._pace.longest_pause)
        record = await self._outcomes.put_off(leased, round(pause * 1000), failed)
        if wanted.serves(record, self._clock()):
            return record
        raise errors.UpstreamFailed(f"{wanted.title} did not renew this access: {failed.sentence}")


def _same_issuer(platform: Platform, material: Material) -> bool:
    """Whether who is asked now is who gave the tokens: they are never sent to anybody else."""
    oauth = platform.definition.auth.oauth
    return oauth is not None and material.plain.get(ISSUER, oauth.issuer) == oauth.issuer


def client_of(platform: Platform) -> Client:
    """What the platform knows us as, where no browser is sent anywhere."""
    return Client(platform.client_id, platform.client_secret, redirect_uri="")
