"""What every operation on the store has in common: a store that does not answer is a refusal; grants are read by how
their ids begin, and written over what was read.

This file knows no kind of grant.
"""

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, Final, ParamSpec, TypeVar

from msgspec import structs

from gateway import errors
from gateway.errors import InvalidArguments
from gateway.records import Grant
from gateway.store.base import Conflict, NotFound, Store, Unavailable

P = ParamSpec("P")
T = TypeVar("T")

_PAGE: Final = 100


def stored(step: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """``step``, in which a store that does not answer is a refusal."""

    @wraps(step)
    async def taken(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await step(*args, **kwargs)
        except Unavailable as down:
            raise errors.Unavailable("the store does not answer now; try again later", detail=str(down)) from down

    return taken


async def grants_below(store: Store, beginning: str) -> list[Grant]:
    """Every grant whose id begins so, in order of id."""
    found: list[Grant] = []
    after = beginning
    while page := [each for each in await store.grants.page(after, _PAGE) if each.id.startswith(beginning)]:
        found.extend(page)
        after = page[-1].id
    return found


async def put_grant(store: Store, grant: Grant) -> Grant:
    """Keep ``grant``, over one of the same id. Raises ``InvalidArguments`` where that was changed meanwhile."""
    known = await store.grants.get(grant.id)
    try:
        if known is None:
            return await store.grants.add(grant)
        return await store.grants.replace(structs.replace(grant, rev=known.rev))
    except (Conflict, NotFound):
        raise InvalidArguments("this was changed at the same moment; look at it and try again") from None


async def drop_grant(store: Store, id: str) -> bool:
    """Remove a grant; whether there was one."""
    try:
        await store.grants.remove(id)
    except NotFound:
        return False
    return True
