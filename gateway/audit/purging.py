"""Forgetting old entries so that what stays can still be verified: checkpoints first say where their chains begin."""

from typing import Final

from msgspec.structs import replace

from gateway.audit.checkpoints import Signer
from gateway.audit.entry import AuditEntry
from gateway.audit.trail import first_id
from gateway.records import Checkpoint
from gateway.store.base import AuditTrail, Conflict, NotFound, Records

PAGE: Final = 500
CLOCKS_MS: Final = 3_600_000
"""So far a clock may have been put back, and entries still be found in the order of their ids."""


async def purge(trail: AuditTrail, checkpoints: Records[Checkpoint], signer: Signer, before: int) -> int:
    """Remove entries older than ``before`` (ms since the epoch); returns how many. Raises ``Unavailable``."""
    for last in (await _last_old(trail, before)).values():
        await _begin_after(checkpoints, signer, last)
    purged = await trail.purge(before)
    await _forget_empty(checkpoints, signer, before)
    return purged


async def _last_old(trail: AuditTrail, before: int) -> dict[str, AuditEntry]:
    """By chain, the last entry that is about to go."""
    found: dict[str, AuditEntry] = {}
    after, end = "", first_id(max(0, before) + CLOCKS_MS)
    while after < end and (page := await trail.scan(after, PAGE)):
        for entry in page:
            if entry.at < before and (entry.chain not in found or found[entry.chain].number < entry.number):
                found[entry.chain] = entry
        after = page[-1].id
    found.pop("", None)
    return found


async def _begin_after(checkpoints: Records[Checkpoint], signer: Signer, last: AuditEntry) -> None:
    while (found := await checkpoints.get(last.chain)) is not None:
        if found.start >= last.number or signer.wrong(found):
            return  # one that is not ours stays as it is, for `audit verify` to tell
        moved = replace(found, start=last.number, start_link=last.link)
        if found.number <= last.number:
            moved = replace(moved, number=last.number, link=last.link)
        try:
            await checkpoints.replace(signer.signed(moved))
        except (Conflict, NotFound):
            continue
        return


async def _forget_empty(checkpoints: Records[Checkpoint], signer: Signer, before: int) -> None:
    """Remove the checkpoints of chains of which nothing is left."""
    after = ""
    while page := await checkpoints.page(after, PAGE):
        for each in page:
            if each.number <= each.start and each.at < before and not signer.wrong(each):
                try:
                    await checkpoints.remove(each.id)
                except NotFound:
                    continue
        after = page[-1].id
