"""The shadow: a candidate policy that is asked what the live one is asked, and whose answers have no effect.

It is followed by the same poll as the policy in force, but aside: whatever goes wrong with it is told and ignored.
This file knows no call and no transport.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from gateway.audit.entry import Shadowed
from gateway.pacing import clear_away_in_slices
from gateway.policy.engine import Policy
from gateway.policy.terms import Chain
from gateway.store.base import NotFound, Store, Unavailable

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class _Beside:
    """A candidate with the grants of one version of the live policy, the only one it may be compared with."""

    version: str
    bundle: str
    policy: Policy


class Shadow:
    """Follows the shadow that ``store`` names; ``build`` makes a policy without grants of a bundle's bytes, and
    raises ``ValueError`` when that is none.
    """

    def __init__(self, store: Store, build: Callable[[bytes], Policy]) -> None:
        self._store = store
        self._build = build
        self._mark = self._asked = 0
        self._bundle = ""
        self._base: Policy | None = None
        self._beside: _Beside | None = None
        self._following: asyncio.Task[None] | None = None
        self._complaint = ""

    @property
    def bundle(self) -> str:
        """The hash of the bundle that is asked beside the live policy, ``""`` when none is."""
        return self._beside.bundle if self._beside else ""

    def look(self, mark: int, live: Policy) -> None:
        """Take the grants of the live policy, and where ``mark`` says that the shadow was set, follow that in a task of
        its own. Costs two comparisons otherwise.
        """
        if self._base is not None and (self._beside is None or self._beside.version != live.version):
            self._beside = _Beside(live.version, self._bundle, self._base.with_grants_of(live, live.version))
        if mark != self._mark and self._following is None:
            self._following = asyncio.create_task(self._follow(mark), name="shadow")
            self._following.add_done_callback(self._followed)

    def compare(self, policy: Policy, chain: Chain, *, allowed: bool) -> Shadowed | None:
        """The candidate's answer to what ``policy`` was asked, where it differs; deciding never raises."""
        beside = self._beside
        if beside is None or beside.version != policy.version:
            return None
        decision = beside.policy.decide(chain)
        if decision.allowed is allowed:
            return None
        rule = "" if decision.rule is None else str(decision.rule.place)
        return Shadowed(bundle=beside.bundle, allowed=decision.allowed, reason=decision.reason.value, rule=rule)

    def stop(self) -> None:
        """End what runs."""
        if self._following is not None:
            self._following.cancel()

    async def _follow(self, mark: int) -> None:
        self._asked = mark
        try:
            head = await self._store.bundles.shadow()
            bundle = "" if head is None else head.bundle
            base = await asyncio.to_thread(self._build, await self._store.bundles.get(bundle)) if bundle else None
        except (Unavailable, NotFound) as error:
            self._complain(f"the shadow cannot be fetched: {error}")
            return
        except ValueError as error:
            self._complain(f"the shadow cannot be used, and is ignored: {error}")
            self._take(mark, "", None)
            return
        self._complaint = ""
        self._take(mark if head is None else head.mark, bundle, base)
        log.info("shadow: %s", f"policy {bundle} is asked beside the one in force" if bundle else "off")

    def _take(self, mark: int, bundle: str, base: Policy | None) -> None:
        self._mark, self._bundle, self._base, self._beside = mark, bundle, base, None
        if base is not None:
            clear_away_in_slices(base)

    def _followed(self, task: "asyncio.Task[None]") -> None:
        self._following = None
        if not task.cancelled() and (fault := task.exception()) is not None:
            self._take(self._asked, "", None)
            log.error("the shadow failed, and is ignored", exc_info=fault)

    def _complain(self, sentence: str) -> None:
        """Say what is wrong, once as long as it stays so."""
        if sentence != self._complaint:
            self._complaint = sentence
            log.error(sentence)
