"""The rows that no file can remove: administration happens in ``main``, by accounts of the gateway, and is not lent.

They are judged by Casbin like all others; their place is ``builtin:N``. ``!main`` (every other domain),
``server:*`` and ``end:*`` are patterns of these rows alone: no file and no grant may hold them.
"""

from typing import Final

from gateway.policy.model import ELSEWHERE
from gateway.policy.terms import Effect, Place, Rule

FLOOR: Final = "builtin"


def _floor(line: int, *, subject: str = "*", domain: str = "*", action: str = "*") -> Rule:
    return Rule(subject, domain, "*", "gateway/*", action, "", Effect.DENY, Place(FLOOR, line))


ROWS: Final = (
    _floor(1, domain=ELSEWHERE),
    _floor(2, subject="server:*"),
    _floor(3, subject="end:*"),
    _floor(4, action="share"),
)
