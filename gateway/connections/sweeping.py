"""What nobody finished: late flows expire and what they held is forgotten; ended ones are not kept for ever."""

from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Final

from gateway.connections.flows import ENDS, Flows, seen
from gateway.connections.keeping import Keeping
from gateway.connections.means import Means
from gateway.connections.terms import FlowRefused, Why
from gateway.records import Flow, Stage
from gateway.store.base import NotFound
from gateway.vault import Unsealable

KEEP_MS: Final = 24 * 60 * 60 * 1000
"""So long an ended flow can be asked about."""

PAGE: Final = 200


async def sweep(means: Means) -> int:
    """Expire every late flow and tell platforms to forget what it held; how many those were. Several nodes may do so
    at once. Raises ``Unavailable`` of the store.
    """
    flows = Flows(means.store.flows, means.slips)
    keeping, expired = Keeping(means, flows), 0
    async for flow in _all(means):
        now = means.clock()
        if flow.stage in ENDS:
            if now >= flow.expires_at + KEEP_MS:
                await _forgotten(means, flow)
        elif seen(flow, now).stage is Stage.EXPIRED:
            expired += await _expire(flows, keeping, flow)
    return expired


async def _expire(flows: Flows, keeping: Keeping, flow: Flow) -> bool:
    """Whether it was us who ended it."""
    try:
        found = keeping.found(flow) if flow.stage in (Stage.PENDING, Stage.ASKING) else None
    except Unsealable:
        found = None
    with suppress(FlowRefused):  # another node was first
        if found is None:
            await flows.ended(flow, Why.EXPIRED, stage=Stage.EXPIRED)
        else:
            await keeping.dropped(flow, found, Why.EXPIRED, stage=Stage.EXPIRED)
        return True
    return False


async def _forgotten(means: Means, flow: Flow) -> None:
    with suppress(NotFound):
        await means.store.flows.remove(flow.id)


async def _all(means: Means) -> AsyncIterator[Flow]:
    after = ""
    while page := await means.store.flows.page(after, PAGE):
        for flow in page:
            yield flow
        after = page[-1].id
