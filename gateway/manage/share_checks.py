"""What every share is checked for before it is written: whom it is for, and whether its rows may stand.

Whether its maker may share is asked beside this; here nothing is asked and nothing is written.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from gateway.custom.names import creator_of
from gateway.errors import InvalidArguments
from gateway.identity import Identities
from gateway.manage.asking import Asker, now_of
from gateway.manage.granting import refusal
from gateway.manage.loans import DAY_MS, MOST_DAYS, Level, recipient
from gateway.manage.share_rows import ROLE, USER, Terms, share_grants
from gateway.policy.engine import BadPolicy, grant_rows
from gateway.policy.terms import Json
from gateway.records import Grant


@dataclass(frozen=True, slots=True)
class Wanted:
    """For whom (a subject or a role), at which access level, and for how many days (``None``: until it is ended)."""

    to: str
    level: Level
    days: int | None

    @property
    def args(self) -> dict[str, Json]:
        """What conditions may ask of a share."""
        args: dict[str, Json] = {"to": self.to, "level": self.level.value}
        return args if self.days is None else {**args, "days": self.days}


def wanted(to: str, level: str, days: int) -> Wanted:
    """What can be wanted. Raises ``InvalidArguments``."""
    if level not in tuple(Level):
        raise InvalidArguments(f"`accessLevel`: `{level[:40]}` is not one of `read`, `write`")
    if not 1 <= days <= MOST_DAYS:
        raise InvalidArguments(f"`days` is {days}: share for 1 to {MOST_DAYS} days")
    return Wanted(recipient(to), Level(level), days)


def check_recipient(asker: Asker, to: str, owner: str) -> None:
    """Raises ``InvalidArguments`` where ``to`` is nobody here, or ``owner`` himself."""
    if to == owner:
        raise InvalidArguments(f"`{creator_of(owner)}` owns it; share it with somebody else")
    if to.startswith(ROLE):
        if not asker.policy.naming(to) and all(link.role != to for link in asker.policy.links):
            raise InvalidArguments(f"`{to}` is no role that the policy names")
    else:
        refuse_strangers(asker.identities, to)


def refuse_strangers(identities: Identities, to: str) -> None:
    """Raises ``InvalidArguments`` where ``to`` is a user without an account: whoever got that address later would find
    what was not meant for him.
    """
    if to.startswith(USER) and to.removeprefix(USER) not in identities.users:
        raise InvalidArguments(f"`{to.removeprefix(USER)}` has no account here; ask an administrator to add it")


def rows_of(asker: Asker, terms: Terms, days: int | None) -> tuple[Grant, ...]:
    """The rows of a share that begins now."""
    now = now_of(asker)
    expires_at = None if days is None else now + days * DAY_MS
    return share_grants(terms, made_by=asker.subject.name, now=now, expires_at=expires_at)


def check_rows(asker: Asker, grants: Iterable[Grant]) -> None:
    """Raises ``InvalidArguments`` where ``asker`` may not write them, or what must never be would be."""
    try:
        rows = [grant_rows(each) for each in grants]
    except BadPolicy as bad:
        raise InvalidArguments(f"this cannot be shared: {bad.problems[0].sentence}") from None
    if sentence := refusal(asker, *rows):
        raise InvalidArguments(f"this cannot be shared: {sentence}")
