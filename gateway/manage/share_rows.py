"""Shares as rows of the policy: what each row says, under which id it is kept, and how rows are told as a share again.

A share of what a user made is a row that lets its recipient use it, with up to two more: one for the account of the
owner, which serves through this tool alone, and one for changing its texts. Pure: values in, values out; this file
knows no store and asks nobody.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from gateway.manage.loans import Level, Loan
from gateway.policy.condition_values import quoted
from gateway.policy.spelling import read_name, spelled_name
from gateway.policy.terms import MAIN, Effect, Json
from gateway.records import Grant

SHARE: Final = "share"
"""The ``kind`` of a grant that shares something, and how its id begins."""

ALLOWANCE: Final = "allowance"
"""The ``kind`` of a grant that lets one person use what is nobody's."""

CUSTOM: Final = "custom"
PROMPT_KIND: Final = "prompt"
PROMPT: Final = f"{PROMPT_KIND}:"
USER: Final = "user:"
ROLE: Final = "role:"

TEXTS: Final = {
    "tool": ("title", "description", "inputSchema", "annotations"),
    "prompt": ("title", "description", "arguments", "messages"),
}
"""What of a definition a share at access level ``write`` lets others change, by the names that definitions use."""


class Part(StrEnum):
    """Which row of a share; the end of its id."""

    USE = ""
    ACCOUNT = "base"
    EDIT = "edit"


@dataclass(frozen=True, slots=True)
class Terms:
    """What is shared with whom: ``to`` is a subject or a role, ``owner`` a subject or ``system``, ``object`` as the
    policy names it. ``target`` is what the tool calls, where it may do so on the owner's account (else ``""``), by his
    ``connection`` of that id, and ``needs`` the level that calling that takes.
    """

    to: str
    owner: str
    object: str
    level: Level
    target: str = ""
    needs: Level = Level.WRITE
    connection: str = ""


@dataclass(frozen=True, slots=True)
class Share:
    """A share as it stands. ``account``: whether the owner's account serves; ``connection`` is the id of the connection
    that is lent, ``""`` for what users made. Times are in ms since the epoch.
    """

    to: str
    owner: str
    object: str
    level: Level
    made_by: str
    made_at: int
    expires_at: int | None
    account: bool = False
    connection: str = ""

    @property
    def tool_id(self) -> str:
        """How its recipient names it: ``ann@example.com:report``, ``slack:send_message``."""
        return tool_id(self.owner, self.object)

    @property
    def shown(self) -> dict[str, Json]:
        """All that anybody is told of it."""
        shown: dict[str, Json] = {
            "toolId": self.tool_id,
            "sharedBy": self.made_by.removeprefix(USER),
            "sharedWith": self.to.removeprefix(USER),
            "accessLevel": self.level.value,
            "sharedAt": as_date(self.made_at),
            "expiresAt": None if self.expires_at is None else as_date(self.expires_at),
            "account": self.account,
        }
        return {**shown, "connection": self.connection} if self.connection else shown


@dataclass(frozen=True, slots=True)
class Rights:
    """What an account may use beside what everybody in its roles may: ``allowed`` by the names of tools, and what was
    shared with it.
    """

    allowed: tuple[str, ...] = ()
    shared: tuple[Share, ...] = ()

    @property
    def shown(self) -> Mapping[str, Json]:
        return {"allowedTools": list(self.allowed), "sharedTools": [each.shown for each in self.shared]}


def share_grants(terms: Terms, *, made_by: str, now: int, expires_at: int | None) -> tuple[Grant, ...]:
    """The rows of a share. For a wrapper that may use its owner's account there is one more, for editors another."""
    return tuple(
        Grant(
            id=id_of(terms.owner, terms.object, terms.to, part),
            kind=SHARE,
            row=_row(terms, part),
            made_by=made_by,
            created_at=now,
            expires_at=expires_at,
        )
        for part in _parts(terms)
    )


def allowance(to: str, owner: str, object: str, *, made_by: str, now: int) -> Grant:
    """The row that lets one person use a tool of the operator's (``owner`` is ``system``) or one that needs nobody's
    account (``self``).
    """
    row = (to, MAIN, owner, object, "write", "", Effect.ALLOW.value)
    id = f"{id_of(owner, object, to)}/{ALLOWANCE}"
    return Grant(id=id, kind=ALLOWANCE, row=row, made_by=made_by, created_at=now)


def beginning(owner: str, object: str) -> str:
    """How the ids of all rows begin that share ``object`` of ``owner``."""
    return f"{SHARE}/{owner}/{object}/"


def id_of(owner: str, object: str, to: str, part: Part = Part.USE) -> str:
    """The id of one row of a share."""
    place = f"{beginning(owner, object)}{to}"
    return f"{place}/{part.value}" if part else place


def ids(owner: str, object: str, to: str) -> tuple[str, ...]:
    """The ids of all rows that a share can have."""
    return tuple(id_of(owner, object, to, part) for part in Part)


def is_share(id: str) -> bool:
    """Whether a grant of that id is a row of a share."""
    return id.startswith(f"{SHARE}/") and _place(id)[1] in tuple(Part)


def is_part(grant: Grant, part: Part) -> bool:
    """Whether the grant is this row of its share."""
    return grant.kind == SHARE and _place(grant.id)[1] == part.value


def shares_in(grants: Iterable[Grant], now: int) -> tuple[Share, ...]:
    """The living shares that ``grants`` tell of, in order of what, then of whom; other grants are left out."""
    living = [each for each in grants if each.kind == SHARE and (each.expires_at is None or now < each.expires_at)]
    parts: dict[str, set[str]] = {}
    for each in living:
        place, part = _place(each.id)
        parts.setdefault(place, set()).add(part)
    used = (each for each in living if is_part(each, Part.USE))
    shares = (_share(each, parts[each.id]) for each in used)
    return tuple(sorted(shares, key=lambda each: (each.object, each.owner, each.to)))


def shares_of_loan(loan: Loan, owner: str, connector: str) -> tuple[Share, ...]:
    """What a loan of a connection of ``owner`` shares, tool by tool."""
    return tuple(
        Share(
            to=loan.borrower,
            owner=owner,
            object=f"{connector}/{spelled_name(tool)}",
            level=loan.level,
            made_by=owner,
            made_at=loan.made_at,
            expires_at=loan.expires_at,
            account=True,
            connection=loan.connection,
        )
        for tool in loan.tools
    )


def tool_id(owner: str, object: str) -> str:
    """How a tool is named where its maker or connector has to be told too."""
    connector, _, item = object.partition("/")
    maker = owner.removeprefix(USER) if connector == CUSTOM else connector
    return f"{maker}:{read_name(item)}"


def as_date(ms: int) -> str:
    """A time as JSON of such servers shows it: ``2026-11-23T12:00:00.000Z``."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _parts(terms: Terms) -> tuple[Part, ...]:
    account = (Part.ACCOUNT,) if terms.target else ()
    edit = (Part.EDIT,) if terms.level is Level.WRITE else ()
    return (Part.USE, *account, *edit)


def _place(id: str) -> tuple[str, str]:
    """The id of the share that a row belongs to, and which row it is. No recipient's name holds a ``/``."""
    segments = id.split("/")
    return "/".join(segments[:5]), "/".join(segments[5:])


def _row(terms: Terms, part: Part) -> tuple[str, ...]:
    prompt = terms.object.startswith(f"{CUSTOM}/{PROMPT}")
    match part:
        case Part.USE:
            object, action, when = terms.object, "read" if prompt else "write", ""
        case Part.ACCOUNT:
            object, action = terms.target, terms.needs.value
            when = f"tool.via == {quoted(terms.object)} and connection.id == {quoted(terms.connection)}"
        case Part.EDIT:
            texts = ", ".join(map(quoted, TEXTS["prompt" if prompt else "tool"]))
            object, action = terms.object, "manage"
            when = f"args.operation == 'update' and every(args.changes, it in [{texts}])"
    return (terms.to, MAIN, terms.owner, object, action, when, Effect.ALLOW.value)


def _share(grant: Grant, parts: set[str]) -> Share:
    to, _, owner, object, *_ = grant.row
    return Share(
        to=to,
        owner=owner,
        object=object,
        level=Level.WRITE if Part.EDIT.value in parts else Level.READ,
        made_by=grant.made_by,
        made_at=grant.created_at,
        expires_at=grant.expires_at,
        account=Part.ACCOUNT.value in parts,
    )
