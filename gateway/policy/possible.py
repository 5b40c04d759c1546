"""Could some call be allowed? The joint decision procedure behind every listing.

Conditions compare fields with constants only, so one value for each region of each field is enough (see
``regions``, ``places`` and ``search``). The answer is exact in both directions, up to a cap on the points tried.
This file knows no rows.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from msgspec import Struct

from gateway.policy.goals import ARGS, MADE, Goal, all_of, any_of
from gateway.policy.made_texts import made
from gateway.policy.narrowing import shape_of
from gateway.policy.places import BeyondCapError, Budget, Place
from gateway.policy.residuals import Residual, residual
from gateway.policy.search import values
from gateway.policy.terms import Json

__all__ = ["CAP", "BeyondCapError", "Demand", "Residual", "example", "possible", "residual"]

CAP: Final = 2_000
"""Points that one question may try."""


class Demand(Struct, frozen=True, cache_hash=True):
    """What one access leaves over: an allow must count (unless one already does: ``open``) and no deny may.
    Its hash is made once: what was found possible is remembered by it.
    """

    allows: tuple[Residual, ...] = ()
    denies: tuple[Residual, ...] = ()
    open: bool = False


def possible(demands: Sequence[Demand], schema: Json = None, cap: int = CAP) -> bool | None:
    """Whether some arguments meet every demand; ``None`` when that takes more than ``cap`` points to try."""
    try:
        return example(demands, schema, cap) is not None
    except BeyondCapError:
        return None


def example(demands: Sequence[Demand], schema: Json = None, cap: int = CAP) -> dict[str, Json] | None:
    """Arguments that meet every demand, holding only fields that it takes; ``None`` when there are none.

    ``schema`` is the tool's inputSchema. Raises ``BeyondCapError`` after ``cap`` points.
    """
    goal = all_of(goal for demand in demands for goal in _goals(demand))
    found = values(goal, {ARGS: Place((ARGS,), shape_of(schema)), MADE: made()}, Budget(cap))
    return None if found is None else found.get(ARGS, {})


def _goals(demand: Demand) -> Iterator[Goal]:
    yield from (deny.goal for deny in demand.denies)
    if not demand.open:
        yield any_of(allow.goal for allow in demand.allows)
