"""Whether a host that does not answer is asked at all. Pure: the time comes in, in milliseconds since the epoch.

After ``FAILURES`` in a row it is left alone for a while; then one request tries it, and closes the circuit or opens it
for longer. This file knows no request.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

FAILURES: Final = 5
OPEN_MS: Final = 10_000
LONGEST_MS: Final = 120_000

HOSTS: Final = 1_000
"""That are remembered: inputs may name one per user."""


@dataclass(slots=True)
class _Circuit:
    failures: int = 0
    opened: int = 0
    until: int = 0
    trying: bool = False


class Breaker:
    """The circuits of one connector, one for each host."""

    def __init__(self) -> None:
        self._circuits: OrderedDict[str, _Circuit] = OrderedDict()

    def enter(self, host: str, now: int) -> int:
        """0 when a request may go, whose end must be told; else the milliseconds until one may."""
        circuit = self._circuits.get(host)
        if circuit is None or circuit.failures < FAILURES:
            return 0
        if now < circuit.until:
            return circuit.until - now
        if circuit.trying:
            return 1_000
        circuit.trying = True
        return 0

    def answered(self, host: str) -> None:
        self._circuits.pop(host, None)

    def failed(self, host: str, now: int) -> None:
        circuit = self._circuits.setdefault(host, _Circuit())
        self._circuits.move_to_end(host)
        circuit.failures += 1
        if circuit.trying or circuit.failures == FAILURES:  # else it was under way when the circuit opened
            circuit.until = now + min(LONGEST_MS, OPEN_MS * 2 ** min(circuit.opened, 10))
            circuit.opened += 1
            circuit.trying = False
        if len(self._circuits) > HOSTS:
            self._circuits.popitem(last=False)

    def left(self, host: str) -> None:
        """It ended in a way that says nothing of the host, such as a caller who went away."""
        if (circuit := self._circuits.get(host)) is not None:
            circuit.trying = False
