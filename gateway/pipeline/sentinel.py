"""The sampled check of live decisions: stock Casbin is asked the same, and where it answers otherwise the alarm is
raised.

Off the road of requests: a decision is only noted, a thread asks. However large the policy, that takes no more than
``SHARE`` of a core. This file decides no call; what follows from an alarm is the follower's affair.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from gateway.audit.masking import masked_target
from gateway.policy.engine import Policy
from gateway.policy.engine_stock import Stock
from gateway.policy.terms import Chain

SHARE: Final = 0.01
"""Of one core, for all checks together."""

WAITING: Final = 4
"""Decisions kept until there is time for them; further ones push out the oldest."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """A live decision, with all that it was made from."""

    policy: Policy
    chain: Chain
    allowed: bool


class Sentinel:
    """Checks one in ``every`` decisions (0: none) until one is wrong; then calls ``alarm``, once, on the loop.

    ``checked`` counts the decisions that were checked, ``wrong`` those that Casbin makes otherwise.
    """

    def __init__(
        self, every: int, alarm: Callable[[], None], *, pause: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._every = every
        self._alarm = alarm
        self._pause = pause
        self._passed = 0
        self._waiting: deque[Seen] = deque(maxlen=WAITING)
        self._arrived = asyncio.Event()
        self.checked = 0
        self.wrong = 0

    def see(self, policy: Policy, chain: Chain, *, allowed: bool) -> None:
        """Note a decision, if its turn has come. Never waits."""
        if not self._every or self.wrong:
            return
        self._passed += 1
        if self._passed < self._every:
            return
        self._passed = 0
        if self._waiting and self._waiting[-1].policy is not policy:
            self._waiting.clear()  # no former snapshot is kept alive by its decisions
        self._waiting.append(Seen(policy, chain, allowed))
        self._arrived.set()

    async def run(self) -> None:
        """Check what is noted, until something is wrong."""
        while self._every and not self.wrong:
            await self._arrived.wait()
            self._arrived.clear()
            while self._waiting and not self.wrong:
                await self._check(self._waiting.popleft())

    async def _check(self, seen: Seen) -> None:
        agrees, took_s = await asyncio.to_thread(self._agrees, seen)
        self.checked += 1
        if not agrees:
            self.wrong += 1
            log.critical(
                "the engine %s what Casbin %s: %s; from now on this process decides by Casbin's plain loop",
                "allowed" if seen.allowed else "denied",
                "denies" if seen.allowed else "allows",
                _told(seen),
            )
            self._waiting.clear()
            self._alarm()
            return
        await self._pause(took_s * (1 / SHARE - 1))

    def _agrees(self, seen: Seen) -> tuple[bool, float]:
        """Whether Casbin decides the same, and the seconds of CPU that it took."""
        began = time.thread_time()
        stock = Stock(seen.policy)  # made anew for each check, so that no former snapshot is kept alive
        allowed = all(stock.decide(access) for access in seen.chain)
        return allowed is seen.allowed, time.thread_time() - began


def _told(seen: Seen) -> str:
    """The question without its arguments, as the audit may show it."""
    asked = (
        f"`{each.subject}`, `{each.domain}`, `{each.owner}`, `{masked_target(each.object)}`, `{each.action}`"
        for each in seen.chain
    )
    return f"{' and '.join(asked)} (policy {seen.policy.version})"
