"""The records of flows: found by what was handed out, and moved on by compare-and-set, so that each step is taken once.

This file knows no platform and no browser.
"""

from typing import Final

from msgspec import structs

from gateway.connections.slips import Slips, Use, flow_of
from gateway.connections.terms import FlowRefused, Why
from gateway.records import Flow, Stage
from gateway.store.base import Conflict, NotFound, Records

STEP_MS: Final = 10 * 60 * 1000
"""So long each step of a flow may take: the link, the platform, the confirmation, the decision."""

ENDS: Final = frozenset((Stage.DONE, Stage.FAILED, Stage.DISCARDED, Stage.EXPIRED))


class Flows:
    """``records`` of the store, known by what ``slips`` handed out."""

    def __init__(self, records: Records[Flow], slips: Slips) -> None:
        self._records, self._slips = records, slips

    async def get(self, id: str, now: int) -> Flow | None:
        """The flow as it stands at ``now`` (ms since the epoch)."""
        flow = await self._records.get(id) if id else None
        return None if flow is None else seen(flow, now)

    async def awaited(self, slip: str, use: Use, now: int, *, unknown: Why) -> Flow:
        """The flow that still waits for ``slip``. Raises ``FlowRefused``, with ``unknown`` for what is no slip of ours
        for this use.
        """
        flow = await self.get(flow_of(slip), now)
        kept = "" if flow is None else _kept(flow, use)
        if flow is None or (kept and not self._slips.fits(use, slip, kept)):
            raise FlowRefused(unknown)
        if flow.stage is Stage.EXPIRED:
            raise FlowRefused(Why.EXPIRED)
        if not kept:
            raise FlowRefused(Why.USED)
        return flow

    async def moved(self, flow: Flow, **changes: object) -> Flow:
        """The flow with ``changes`` made. Raises ``FlowRefused`` when another was first."""
        try:
            return await self._records.replace(structs.replace(flow, **changes))
        except (Conflict, NotFound):
            raise FlowRefused(Why.USED) from None

    async def ended(self, flow: Flow, why: Why, *, stage: Stage = Stage.FAILED) -> Flow:
        """The end of a flow that connects nothing: it holds nothing any more, and waits for nothing."""
        return await self.moved(flow, stage=stage, reason=why.value, sealed=b"", link="", state="", code="")


def seen(flow: Flow, now: int) -> Flow:
    """The flow as it stands at ``now``: whoever comes too late finds it expired, whether or not that is stored yet."""
    late = flow.stage not in ENDS and now >= flow.expires_at
    return structs.replace(flow, stage=Stage.EXPIRED, reason=Why.EXPIRED.value) if late else flow


def _kept(flow: Flow, use: Use) -> str:
    """The hash of what the flow waits for, ``""`` when that came already or is not handed out yet."""
    match use:
        case Use.LINK:
            return flow.link
        case Use.STATE:
            return flow.state
        case Use.CODE:
            return flow.code
        case Use.BROWSER:
            return flow.browser
