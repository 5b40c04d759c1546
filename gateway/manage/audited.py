"""Reading the audit over the management API: one's own entries, somebody's, or all of them.

Every function asks before it looks. This file knows no transport; what an entry may show is decided where it is made.
"""

import re
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from gateway.audit import AuditEntry
from gateway.audit.trail import first_id
from gateway.errors import InvalidArguments
from gateway.manage.asking import Asker, Operation
from gateway.manage.office import Office
from gateway.manage.stored import stored
from gateway.policy.terms import SYSTEM

AUDIT: Final = "gateway/audit"
EVERYBODY: Final = "*"
PAGE: Final = 500
NEVER: Final = 1 << 47
"""Milliseconds since the epoch that no entry reaches."""

_AGO: Final = re.compile(r"([1-9][0-9]{0,5})([mhd])")
_MS: Final = {"m": 60_000, "h": 3_600_000, "d": 86_400_000}
_CURSOR: Final = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Entries of ``subject`` (``""``: of who asks, ``*``: of everybody) from ``since`` on and before ``until`` (ms
    since the epoch), beyond the entry with the id ``cursor``.
    """

    subject: str = ""
    since: int = 0
    until: int = NEVER
    cursor: str = ""
    oldest_first: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """Pages of entries, in order. ``whole`` is whether they may be shown with the rows that decided."""

    pages: AsyncIterator[Sequence[AuditEntry]]
    whole: bool


def moment_of(text: str, now: int) -> int:
    """A moment in ms since the epoch: a date or time in ISO 8601 (UTC unless it says otherwise), or how long before
    ``now``. Raises ``ValueError`` with a sentence.
    """
    if ago := _AGO.fullmatch(text):
        return now - int(ago[1]) * _MS[ago[2]]
    try:
        found = datetime.fromisoformat(text)
        return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        sentence = f"`{text[:100]}` is no time such as `2027-01-31`, `2027-01-31T08:00`, `90m` or `7d`"
        raise ValueError(sentence) from None


async def audited(
    office: Office, asker: Asker, wanted: Wanted, *, clock: Callable[[], int], most: int | None = None
) -> Found:
    """At most ``most`` entries. They end early once who asks does not count any more. Raises ``Denied``,
    ``InvalidArguments``; the pages raise ``Unavailable``.
    """
    if wanted.cursor and _CURSOR.fullmatch(wanted.cursor) is None:
        raise InvalidArguments("`cursor` is the `id` of an entry")
    whose = wanted.subject or asker.subject.name
    everything = _asks(SYSTEM)
    whole = asker.may(everything)
    if whole:
        asker.allow(everything)
    else:
        asker.allow(_asks(whose if whose.startswith("user:") else SYSTEM))

    def counts() -> bool:
        return office.snapshot().still_valid(asker.subject, clock())

    subject = "" if whose == EVERYBODY else whose
    return Found(_pages(office, wanted, subject, most, counts), whole)


async def _pages(
    office: Office, wanted: Wanted, subject: str, most: int | None, counts: Callable[[], bool]
) -> AsyncIterator[Sequence[AuditEntry]]:
    left, after = most, wanted.cursor or _start(wanted)
    while left is None or left > 0:
        size = PAGE if left is None else min(PAGE, left)
        page = await _page(office, after, size, subject, newest=not wanted.oldest_first)
        found = [each for each in page if wanted.since <= each.at < wanted.until]
        if found:
            yield found
        if len(page) < size or not _goes_on(page[-1], wanted) or not counts():
            return
        after, left = page[-1].id, None if left is None else left - len(found)


@stored
async def _page(office: Office, after: str, size: int, subject: str, *, newest: bool) -> Sequence[AuditEntry]:
    return await office.store.audit.scan(after, size, subject=subject, newest=newest)


def _start(wanted: Wanted) -> str:
    return first_id(wanted.since) if wanted.oldest_first else first_id(min(wanted.until, NEVER))


def _goes_on(last: AuditEntry, wanted: Wanted) -> bool:
    """Whether there can be more entries of the time that is wanted beyond ``last``."""
    return last.at < wanted.until if wanted.oldest_first else last.at >= wanted.since


def _asks(owner: str) -> Operation:
    return Operation("audit.read", AUDIT, "inspect", owner)
