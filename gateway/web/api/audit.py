"""``/api/audit``: what was recorded, as a list by pages or as JSON lines.

What is asked of the policy stands in ``gateway/manage/audited.py``; here are the forms of queries and answers.
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Annotated, Final, Literal

import msgspec

from gateway.audit.entry import AuditEntry, Question, Shadowed
from gateway.errors import InvalidArguments
from gateway.manage.audited import NEVER, Found, Wanted, audited, moment_of
from gateway.manage.office import Office
from gateway.pipeline import Pipeline
from gateway.pipeline.administer import Asking
from gateway.web.api.routes import NDJSON, Described, Knock, Lines

READ: Final = "audit.read"
TIME: Final = msgspec.Meta(
    max_length=100,
    description="ISO 8601, or how long ago (`90m`, `12h`, `7d`)",
    extra_json_schema={"format": "date-time"},
)
LIMIT: Final = 100


class AuditAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``subject``: whose entries, your own where it is left out, ``*`` for everybody's. ``cursor`` is what the answer
    before gave as ``next``. JSON lines have no ``limit`` unless it is given.
    """

    subject: Annotated[str, msgspec.Meta(max_length=10_500)] = ""
    since: Annotated[str, TIME] = ""
    until: Annotated[str, TIME] = ""
    limit: Annotated[int, msgspec.Meta(ge=1, le=1_000)] | None = None
    cursor: Annotated[str, msgspec.Meta(max_length=32)] = ""
    order: Literal["newest", "oldest"] = "newest"


class AuditTold(msgspec.Struct, frozen=True, kw_only=True):
    """One entry. ``at`` is ms since the epoch, ``took`` in ms. ``rule``, ``asked`` and ``shadow`` tell of the policy
    and are there for who may read every entry.
    """

    id: str
    at: int
    node: str
    subject: str
    credential: str
    client: str
    address: str
    transport: str
    domain: str
    method: str
    request_id: str
    owner: str
    connection: str
    object: str
    action: str
    allowed: bool | None
    reason: str
    policy: str
    outcome: str
    error: str
    took: float
    arguments: dict[str, str]
    hashed: dict[str, str]
    rule: str | msgspec.UnsetType = msgspec.UNSET
    asked: Question | msgspec.UnsetType | None = msgspec.UNSET
    shadow: Shadowed | msgspec.UnsetType | None = msgspec.UNSET


class AuditPage(msgspec.Struct, frozen=True):
    """``next`` is the cursor of the page that follows, ``null`` after the last one."""

    entries: tuple[AuditTold, ...]
    next: str | None


@dataclass(frozen=True, slots=True)
class AuditApi:
    """``clock`` tells ms since the epoch."""

    pipeline: Pipeline
    office: Office
    clock: Callable[[], int]

    def routes(self) -> tuple[Described, ...]:
        """All of them."""
        return (
            Described(
                "GET",
                "/api/audit",
                READ,
                self._read,
                AuditPage,
                query=AuditAsked,
                reads=("accept",),
                lines=AuditTold,
                summary="What was recorded; as JSON lines where `Accept` names them",
            ),
        )

    async def _read(self, who: Knock, asked: AuditAsked) -> AuditPage | Lines:
        streamed = NDJSON in who.headers.get("accept", "")
        limit = asked.limit if streamed else asked.limit or LIMIT
        wanted = self._wanted(asked)

        async def found(asker: Asking) -> Found:
            return await audited(self.office, asker, wanted, clock=self.clock, most=limit)

        entries = await self.pipeline.administered(READ, who.subject, who.origin, found)
        if streamed:
            return Lines(_each(entries))
        told = tuple([each async for each in _each(entries)])
        return AuditPage(told, told[-1].id if limit is not None and len(told) == limit else None)

    def _wanted(self, asked: AuditAsked) -> Wanted:
        now = self.clock()
        return Wanted(
            subject=asked.subject,
            since=_moment("since", asked.since, now, 0),
            until=_moment("until", asked.until, now, NEVER),
            cursor=asked.cursor,
            oldest_first=asked.order == "oldest",
        )


def _moment(name: str, text: str, now: int, otherwise: int) -> int:
    try:
        return min(max(moment_of(text, now), 0), NEVER) if text else otherwise
    except ValueError as error:
        raise InvalidArguments(f"`{name}`: {error}") from None


async def _each(found: Found) -> AsyncIterator[AuditTold]:
    async for page in found.pages:
        for entry in page:
            yield _told(entry, whole=found.whole)


def _told(entry: AuditEntry, *, whole: bool) -> AuditTold:
    told = msgspec.convert(entry, AuditTold, from_attributes=True)
    hidden = msgspec.UNSET
    return told if whole else msgspec.structs.replace(told, rule=hidden, asked=hidden, shadow=hidden)
