"""The last step of a flow: what was found becomes a connection, or waits for a decision, or is forgotten.

Nothing is ever put over another account's connection unless its owner said so. This file knows no browser and no
platform's protocol.
"""

from contextlib import suppress
from typing import Final

from msgspec import structs

from connectors.definition.platform import Platform
from gateway import errors
from gateway.connections.ending import end, forgotten
from gateway.connections.flows import STEP_MS, Flows
from gateway.connections.found import Found, bytes_of, connection_of, found_in, renewed
from gateway.connections.material import Material, context_of_connection, context_of_flow, pack, unpack
from gateway.connections.means import Means
from gateway.connections.slips import Use, new_id, new_slip
from gateway.connections.terms import FlowRefused, Why
from gateway.records import Connected, Flow, Stage, Status
from gateway.store.base import Conflict, NotFound, Unavailable
from gateway.vault import Unsealable

_TRIES: Final = 8
"""So often a connection that is renewed at the same moment is read again."""


class Keeping:
    """Works on flows that are taken: nobody else moves them meanwhile."""

    def __init__(self, means: Means, flows: Flows) -> None:
        self._means, self._flows = means, flows

    async def kept(self, flow: Flow, found: Found, *, replacing: bool = False) -> Flow:
        """The end of a flow that is done; or the flow that asks, where ``found`` is another account than the one that
        is connected and nobody said that it may be put in its place (``replacing``).
        """
        match await self.saved(flow, found, replacing=replacing):
            case Why.OTHER_ACCOUNT:
                return await self._waiting(flow, found, stage=Stage.ASKING)
            case Why() as why:
                return await self.dropped(flow, found, why)
            case connected:
                return await self._done(flow, connected)

    async def saved(self, flow: Flow, found: Found, *, replacing: bool = False) -> Connected | Why:
        """The connection that ``found`` became, or why it did not."""
        if not self._means.permits(flow):
            return Why.NOT_ALLOWED
        if not (id := flow.reconnects or self._same(flow, found)):
            return await self._added(flow, found)
        for _ in range(_TRIES):
            former = await self._means.store.connections.get(id)
            if former is None or (former.owner, former.connector) != (flow.owner, flow.connector):
                return Why.GONE if flow.reconnects else await self._added(flow, found)
            if not (replacing or self._is_same(former, found)):
                return Why.OTHER_ACCOUNT
            if (connected := await self._replaced(former, found)) is not None:
                return connected
        return Why.UNAVAILABLE

    async def pending(self, flow: Flow, found: Found) -> tuple[Flow, str]:
        """The flow that waits for the host application, and the code for it."""
        code = new_slip(flow.id)
        hashed = self._means.slips.hash(Use.CODE, code)
        return await self._waiting(flow, found, stage=Stage.PENDING, code=hashed), code

    async def dropped(self, flow: Flow, found: Found, why: Why, *, stage: Stage = Stage.FAILED) -> Flow:
        """The end of a flow that had found something: the platform is told to forget it."""
        ended = await self._flows.ended(flow, why, stage=stage)
        await self._forgotten(connection_of(found, flow, flow.id, 0), found.material)
        return ended

    def found(self, flow: Flow) -> Found:
        """What a flow holds that waits. Raises ``Unsealable``."""
        return found_in(self._means.vault.open(flow.sealed, context_of_flow(flow)))

    async def tell(self, connected: Connected) -> None:
        """Everybody who follows connections hears of this one; this process at once."""
        self._means.told(connected)
        try:
            await self._means.catch_up()
        except Unavailable:
            return  # it is stored; the next look at the store brings it

    async def platform(self, connector: str) -> Platform | None:
        """The platform of what is being ended; ``None`` where it is not set up any more or cannot be found out."""
        try:
            return await self._means.platform_of(connector)
        except (errors.Unknown, errors.UpstreamFailed):
            return None

    async def _waiting(self, flow: Flow, found: Found, *, stage: Stage, code: str = "") -> Flow:
        sealed = self._means.vault.seal(bytes_of(found), context_of_flow(flow))
        until = self._means.clock() + STEP_MS
        return await self._flows.moved(flow, stage=stage, code=code, sealed=sealed, label=found.label, expires_at=until)

    async def _done(self, flow: Flow, connected: Connected) -> Flow:
        try:
            done = await self._flows.moved(
                flow, stage=Stage.DONE, result=connected.id, label=connected.label, sealed=b""
            )
        except FlowRefused:  # the flow was ended meanwhile, as it is with the account of whoever it was for
            if connected.created_at == connected.connected_at:
                await self._taken_back(connected)
            raise
        await self.tell(connected)
        return done

    async def _taken_back(self, connected: Connected) -> None:
        """End a connection that was just made and is nobody's."""
        with suppress(NotFound):
            means, platform = self._means, await self.platform(connected.connector)
            await end(means.store, means.vault, means.legs, platform, connected)

    def _same(self, flow: Flow, found: Found) -> str:
        """The owner's connection of the very account that was found, if he has one: it is made anew, not doubled."""
        held = self._means.connections().of(flow.owner, flow.connector) if found.account else ()
        return next((each.id for each in held if self._is_same(each, found)), "")

    def _is_same(self, former: Connected, found: Found) -> bool:
        """Whether both are one account in one place: of many a platform the account's id alone does not tell, but only
        together with the site that was typed, or the company that the platform named.
        """
        if (former.account, former.inputs) != (found.account, dict(found.inputs)):
            return False
        material = self._material(former)
        return material is None or material.plain == found.material.plain

    def _material(self, connected: Connected) -> Material | None:
        """What a connection holds; ``None`` where that cannot be read any more."""
        try:
            return unpack(self._means.vault.open(connected.sealed, context_of_connection(connected)))
        except Unsealable:
            return None

    async def _added(self, flow: Flow, found: Found) -> Connected:
        record = connection_of(found, flow, new_id(), self._means.clock())
        return await self._means.store.connections.add(self._sealed(record, found))

    async def _replaced(self, former: Connected, found: Found) -> Connected | None:
        """The connection made anew; ``None`` when it changed meanwhile. Of another account the tokens are given back;
        those of the same one are not: many a platform would take the new ones with them.
        """
        same, material = self._is_same(former, found), self._material(former)
        record = renewed(former, found, self._means.clock(), same=same)
        try:
            connected = await self._means.store.connections.replace(self._sealed(record, found))
        except (Conflict, NotFound):
            return None
        if material is not None and not same:
            await self._forgotten(former, material)
        return connected

    def _sealed(self, record: Connected, found: Found) -> Connected:
        sealed = self._means.vault.seal(pack(found.material), context_of_connection(record))
        return structs.replace(record, sealed=sealed)

    async def _forgotten(self, record: Connected, material: Material) -> bool:
        platform = await self.platform(record.connector)
        return platform is not None and await forgotten(self._means.legs, platform, record, material)


def ended_record(connected: Connected) -> Connected:
    """What is told of a connection that was ended."""
    return structs.replace(connected, status=Status.REVOKED, sealed=b"")
