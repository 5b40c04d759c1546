"""How often one address may fail to prove who it is, and come without anybody to decide about (signing in, what a
platform sends back).

An address that failed too often is refused before anything is checked, but for credentials that were good there
before: whoever guesses behind an address locks nobody out who already came in. This file knows no credential; it keeps
nothing but numbers that cannot be turned back.
"""

from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import Final

from gateway.pipeline.arriving import Arrival
from gateway.pipeline.buckets import Buckets, Reading, check
from gateway.policy.limits import Limit

MINUTE_MS: Final = 60_000

REMEMBERED: Final = 20_000
"""So many credentials are remembered as good at most, those that came last."""


@dataclass(frozen=True, slots=True)
class Rates:
    """How many ``failures`` and ``visits`` one address has a minute."""

    failures: int = 20
    visits: int = 60


@lru_cache(maxsize=4096)
def place_of(address: str) -> str:
    """What is counted as one address: one of IPv4, a /64 of IPv6, since whoever has one of these has all of it."""
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if not isinstance(ip, IPv6Address):
        return str(ip)
    if ip.ipv4_mapped is not None:
        return str(ip.ipv4_mapped)
    return str(IPv6Network((ip, 64), strict=False))


class Knocks:
    """Times are ms since the epoch. What comes from no address (``""``) is not counted."""

    def __init__(self, rates: Rates | None = None) -> None:
        rates = rates or Rates()
        self._failures = Limit(rates.failures, MINUTE_MS)
        self._visits = Limit(rates.visits, MINUTE_MS)
        self._failed, self._visited = Buckets(), Buckets()
        self._good: dict[int, None] = {}

    def admit(self, arrival: Arrival, now: int) -> None:
        """Raises ``Limited`` where the address has failed too often, unless just this was good there before."""
        if arrival.address and len(self._failed) and _mark(arrival) not in self._good:
            check(self._failed.look(("failed", place_of(arrival.address)), self._failures, now))

    def failed(self, arrival: Arrival, now: int) -> None:
        """Count a credential that proved nobody; nothing where none came."""
        if arrival.address and (arrival.key or arrival.token or arrival.end_user):
            self._good.pop(_mark(arrival), None)
            claim = ("failures", ("failed", place_of(arrival.address)), self._failures)
            self._failed.take_all((claim,), now)

    def proved(self, arrival: Arrival) -> None:
        """Remember that this was good."""
        if arrival.address:
            mark = _mark(arrival)
            self._good.pop(mark, None)
            self._good[mark] = None
            if len(self._good) > REMEMBERED:
                del self._good[next(iter(self._good))]

    def visited(self, address: str, now: int) -> Reading | None:
        """Count a visit of nobody in particular; what it came to."""
        claim = ("visits", ("visited", place_of(address)), self._visits)
        return self._visited.take_all((claim,), now) if address else None


def _mark(arrival: Arrival) -> int:
    """Differs for every credential and address; Python keys its hashes anew in each process."""
    return hash((place_of(arrival.address), arrival.key, arrival.token, arrival.end_user))
