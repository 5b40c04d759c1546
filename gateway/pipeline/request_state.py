"""``requestState``: what a modern client keeps for us until it asks again (MCP 2026-07-28, multi round-trip requests).

It comes back from an attacker for all we know. So it is sealed, and counts once, for a short time, and only for the
very request that it was given for. This file knows neither connections nor parked calls.
"""

import hashlib
import secrets
from collections import Counter, deque
from collections.abc import Mapping
from enum import StrEnum
from typing import Final

import msgspec

from gateway.errors import Limited, Malformed
from gateway.mcp.input_required import malformed
from gateway.mcp.terms import Params
from gateway.sealing import Seal

LIVES_MS: Final = 10 * 60 * 1000

SPENT_PER_SUBJECT: Final = 5_000
SPENT: Final = 100_000
"""Used states that are remembered, of one subject and of all; beyond, further ones have to wait."""

_BESIDE: Final = ("_meta", "inputResponses", "requestState")
"""Parameters by which a request may differ from the one that it repeats."""


class What(StrEnum):
    """What is to be done with the answers."""

    RELAYED = "relayed"  # they go to the server, with its own state
    PARKED = "parked"  # a call of ours waits for them
    AGAIN = "again"  # they only tell that the call may be made once more
    CONNECTED = "connected"  # they tell that an account is being connected, by the flow that the state names


class Claim(msgspec.Struct, frozen=True, array_like=True):
    """The request that a state is for. ``digest`` is of its parameters, as the client sends them. ``owner`` and
    ``credential`` tell whose connection it was to use, and which was named; ``mark`` which tool of a user's it was
    (``Offer.mark``).
    """

    principal: str
    domain: str
    connector: str
    owner: str
    method: str
    target: str
    digest: bytes
    credential: str = ""
    mark: str = ""


class Ticket(msgspec.Struct, frozen=True, array_like=True):
    """``id`` is not to be guessed; ``asked`` holds the method of each question; ``expires`` is ms since the epoch;
    ``state`` is the server's own. ``at`` is the worker that gave it out, and alone knows whether it was used.
    """

    id: str
    what: What
    claim: Claim
    asked: dict[str, str]
    expires: int
    state: str | None = None
    at: str = ""


def digest(params: Params) -> bytes:
    """Equal for a request and its repetition, which may add answers."""
    said = {key: value for key, value in params.items() if key not in _BESIDE}
    return hashlib.sha256(msgspec.json.encode(said, order="deterministic")).digest()


class Tickets:
    """Makes states and takes them back. ``at`` names this worker; all times are ms since the epoch."""

    def __init__(self, seal: Seal, *, at: str = "", per_subject: int = SPENT_PER_SUBJECT, most: int = SPENT) -> None:
        self._seal = seal
        self._at = at
        self._per_subject = per_subject
        self._most = most
        self._spent: set[str] = set()
        self._order: deque[tuple[int, str, str]] = deque()
        self._of: Counter[str] = Counter()

    def issue(
        self, what: What, claim: Claim, asked: Mapping[str, str], now: int, state: str | None = None
    ) -> tuple[str, str]:
        """A new ticket's id, and the text that the client is to keep."""
        ticket = Ticket(secrets.token_urlsafe(18), what, claim, dict(asked), now + LIVES_MS, state, self._at)
        return ticket.id, self._seal.close(msgspec.msgpack.encode(ticket))

    def peek(self, text: str) -> Ticket | None:
        """The ticket that ``text`` is, whatever it is for."""
        plain = self._seal.open(text)
        try:
            return None if plain is None else msgspec.msgpack.decode(plain, type=Ticket)
        except msgspec.DecodeError:  # ours, of another version of the gateway
            return None

    def keeper(self, text: str) -> str:
        """The worker that gave ``text`` out; ``""`` for what none of us did."""
        ticket = self.peek(text)
        return "" if ticket is None else ticket.at

    def read(self, text: str, claim: Claim, now: int) -> Ticket:
        """The ticket for this very request, spent or not. Raises ``Malformed``, and never tells why."""
        ticket = self.peek(text)
        if ticket is None or ticket.at != self._at or ticket.claim != claim or ticket.expires <= now:
            raise invalid()
        return ticket

    def spend(self, ticket: Ticket, now: int) -> None:
        """Let it never count again. Raises ``Malformed`` when it was spent, ``Limited`` beyond the caps."""
        self._forget(now)
        principal = ticket.claim.principal
        if ticket.id in self._spent:
            raise invalid()
        if len(self._spent) >= self._most or self._of[principal] >= self._per_subject:
            raise Limited("too many questions were answered lately; try again later", retry_after=60)
        self._spent.add(ticket.id)
        self._order.append((now + LIVES_MS, ticket.id, principal))
        self._of[principal] += 1

    def _forget(self, now: int) -> None:
        """An expired ticket does not count anyway."""
        while self._order and self._order[0][0] <= now:
            _, id, principal = self._order.popleft()
            self._spent.discard(id)
            self._of[principal] -= 1
            if not self._of[principal]:
                del self._of[principal]


def invalid() -> Malformed:
    return malformed("`requestState` is not valid here any more; send the request again without it")
