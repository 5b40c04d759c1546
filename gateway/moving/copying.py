"""One store into another: only what differs is written, so it can be stopped at any point and run again.

Nobody can open the target to work with until all of it was compared with the source, by count and hash.
"""

from gateway.moving.sums import Sums, Tell, differing, pages, sums_of
from gateway.store.base import Conflict
from gateway.store.whole import PARTS, Contents, Row, holds_something, page_of


async def copy(source: Contents, target: Contents, tell: Tell) -> Sums:
    """Make ``target``, which is empty or half filled by a copy before, equal to ``source``.

    ``ValueError`` when the source is empty; ``Conflict`` when the target holds something else, or when the two differ
    at the end, because somebody wrote into the source meanwhile.
    """
    if not await holds_something(source):
        raise ValueError("the source holds nothing: name the store that is in use")
    await target.begin()
    for part in PARTS:
        await _bring(source, target, part, tell)
    sums = await agree(source, target, tell)
    await target.end()
    return sums


async def agree(source: Contents, target: Contents, tell: Tell) -> Sums:
    """The sums of both; ``Conflict`` when they are not one."""
    there, here = await sums_of(target, PARTS, tell), await sums_of(source, PARTS, tell)
    if told := differing(here, there):
        raise Conflict(
            f"source and target differ ({told}): stop what writes to the source, and run this again; "
            "if they still do, empty the target first"
        )
    return here


async def _bring(source: Contents, target: Contents, part: str, tell: Tell) -> None:
    after, done = "", 0
    async for page in pages(source, part):
        there = await _between(target, part, after, page[-1].key)
        if fresh := [row for row in page if there.get(row.key) != row]:
            await target.load(part, fresh)
        after, done = page[-1].key, done + len(page)
        tell(done, f"copying {part}")


async def _between(contents: Contents, part: str, after: str, last: str) -> dict[str, Row]:
    """The rows after one key and up to another, by key."""
    found: dict[str, Row] = {}
    while after < last and (page := await contents.walk(part, after, page_of(part))):
        found |= {row.key: row for row in page}
        after = page[-1].key
    return found
