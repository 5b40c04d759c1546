"""Whose connections there are, and what one of them puts on one request.

The only place where a stored credential is opened for a call. This file decides nothing: whether somebody may use a
connection was asked before.
"""

from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from connectors.base import Credential, Credentials
from connectors.definition.platform import Platform
from gateway import errors
from gateway.connections.due import Wanted, ended
from gateway.connections.latest import Latest
from gateway.connections.material import ACCESS, credential, inputs_of
from gateway.connections.own import Own
from gateway.connections.reasons import Broken, broken, missing, several, unknown
from gateway.connections.renewing import Renewing
from gateway.connections.uses import Uses
from gateway.policy.terms import SYSTEM
from gateway.records import Connected, Status
from gateway.store.base import Unavailable

COOL_MS: Final = 30_000
"""An access that is refused although it is younger, and not over yet, is left as it is: its age is not at fault."""

LIVING: Final = (Status.ACTIVE, Status.NEEDS_REAUTH)

PlatformOf: TypeAlias = Callable[[str], Awaitable[Platform]]
Whose: TypeAlias = Callable[[Platform, Credential], Awaitable[object]]


class Wallet:
    """``platform_of`` gives a connector's platform as it is now; raises ``Unknown``, ``UpstreamFailed``. ``whose`` asks
    a platform whose account a credential opens; raises ``NotConnected`` where it opens none, ``UpstreamFailed``.
    """

    def __init__(
        self,
        latest: Latest,
        renewing: Renewing,
        own: Own,
        uses: Uses,
        *,
        platform_of: PlatformOf,
        whose: Whose,
        clock: Callable[[], int],
    ) -> None:
        self._latest, self._renewing, self._own, self._uses = latest, renewing, own, uses
        self._platform_of, self._whose, self._clock = platform_of, whose, clock

    def of(self, platform: Platform) -> Credentials:
        """The credentials of one connector."""
        return _Compartment(self, platform)

    def ids(self, platform: Platform, owner: str) -> tuple[str, ...]:
        own = self._own.id(platform) if owner == SYSTEM else ""
        return (*([own] if own else ()), *(each.id for each in self._held(platform, owner)))

    def owner(self, platform: Platform, id: str) -> str:
        if id and id == self._own.id(platform):
            return SYSTEM
        record = self._latest.get(id)
        found = record is not None and record.connector == platform.id and record.status in LIVING
        return record.owner if record is not None and found else ""

    async def open(self, connector: str, owner: str, id: str) -> Credential:
        platform = await self._platform_of(connector)
        chosen = id or self._only(platform, owner)
        if chosen == self._own.id(platform) and owner == SYSTEM:
            return await self._own.open(platform)
        record = next((each for each in self._held(platform, owner) if each.id == chosen), None)
        if record is None:
            raise unknown(platform)
        return await self._credential(record, Wanted(platform))

    async def renew(self, connector: str, used: Credential) -> Credential | None:
        platform = await self._platform_of(connector)
        if used.id and used.id == self._own.id(platform):
            return await self._own.renew(platform, used)
        record = self._latest.get(used.id)
        if record is None:
            return None
        refused = used.secrets[ACCESS].reveal() if ACCESS in used.secrets else ""
        if refused and self._renewing.opened(platform, record).access != refused:
            return await self._credential(record, Wanted(platform))  # another call was faster
        now = self._clock()
        if now - record.updated_at < COOL_MS and not ended(record, now):
            return None
        if not record.renewable:
            await self._doubt(platform, record, used)
            return None
        renewed = await self._credential(record, Wanted(platform, refused=refused))
        return None if renewed.secrets[ACCESS].reveal() == refused else renewed

    def _held(self, platform: Platform, owner: str) -> list[Connected]:
        return [each for each in self._latest.of(owner, platform.id) if each.status in LIVING]

    def _only(self, platform: Platform, owner: str) -> str:
        """The id of the only connection. Raises ``NotConnected``: none, or several."""
        ids = self.ids(platform, owner)
        if not ids:
            raise missing(platform, owner)
        if len(ids) > 1:
            labels = {each.id: each.label or each.id for each in self._held(platform, owner)}
            raise several(platform, {id: labels.get(id, "the operator's own") for id in ids})
        return ids[0]

    async def _credential(self, record: Connected, wanted: Wanted) -> Credential:
        """What the connection puts on a request, once it is as ``wanted``."""
        if record.status is not Status.ACTIVE:
            raise broken(wanted.platform, record)
        material = self._renewing.opened(wanted.platform, record)
        if wanted.due(record, material, self._clock()):
            record = await self._renewed(record, wanted)
            material = self._renewing.opened(wanted.platform, record)
        self._uses.note(record)
        return credential(material, record.id, inputs_of(wanted.platform, record.inputs))

    async def _renewed(self, record: Connected, wanted: Wanted) -> Connected:
        try:
            return await self._renewing.renewed(record, wanted)
        except Unavailable as down:
            if wanted.serves(record, self._clock()):
                return record
            text = f"the access to {wanted.title} has to be renewed and cannot be stored now: try again"
            raise errors.Unavailable(text, detail=str(down)) from None

    async def _doubt(self, platform: Platform, record: Connected, used: Credential) -> None:
        """Find out whether the platform refuses the credential altogether, and not just one request: then nothing but
        connecting anew helps. Raises ``NotConnected``.
        """
        if platform.definition.identity is None:
            return
        try:
            await self._whose(platform, used)
        except errors.NotConnected:
            await self._renewing.give_up(record, Broken.WITHDRAWN)
            raise broken(platform, record, Broken.WITHDRAWN) from None
        except errors.UpstreamFailed:
            return


class _Compartment:
    """The ``Credentials`` of one connector."""

    def __init__(self, wallet: Wallet, platform: Platform) -> None:
        self._wallet, self._platform = wallet, platform

    def ids(self, owner: str) -> tuple[str, ...]:
        return self._wallet.ids(self._platform, owner)

    def owner(self, id: str) -> str:
        return self._wallet.owner(self._platform, id)

    async def open(self, owner: str, id: str = "") -> Credential:
        return await self._wallet.open(self._platform.id, owner, id)

    async def renew(self, used: Credential) -> Credential | None:
        return await self._wallet.renew(self._platform.id, used)
