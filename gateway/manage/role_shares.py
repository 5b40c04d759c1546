"""``rolesPermitted`` of what users made: the roles that may use it until that is changed, by shares without an end.

A row for a role is written by the owner alone; taking one away is never refused.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from gateway.manage.asking import Asker, Operation
from gateway.manage.loans import Level, recipient
from gateway.manage.office import Office
from gateway.manage.share_checks import Wanted, check_recipient, check_rows, rows_of
from gateway.manage.share_ends import drop
from gateway.manage.share_rows import ROLE, Part, Terms, beginning, id_of, ids, is_part
from gateway.manage.stored import grants_below, put_grant, stored
from gateway.policy.engine import Policy
from gateway.policy.terms import Rule
from gateway.records import Grant


@dataclass(frozen=True, slots=True)
class RolesChange:
    """What has to be written so that exactly the roles ``kept`` are permitted (with ``role:``)."""

    owner: str
    object: str
    fresh: tuple[Grant, ...]
    kept: frozenset[str]


def roles_permitted(policy: Policy, owner: str, object: str) -> tuple[str, ...]:
    """The roles that may use ``object`` of ``owner`` by a share without an end, sorted, without ``role:``."""
    rules = (each for each in policy.about(object, owner) if _permits(each))
    return tuple(sorted(each.subject.removeprefix(ROLE) for each in rules))


async def roles_change(office: Office, asker: Asker, owner: str, object: str, roles: Iterable[str]) -> RolesChange:
    """What to write so that ``roles`` (with or without ``role:``), and no others, may use ``object`` of ``owner``. Asks
    about each that could not before, and writes nothing; the record need not be there yet.

    Raises ``Denied``, ``InvalidArguments``.
    """
    permitted = roles_permitted(office.snapshot().policy, owner, object)
    wanted = [Wanted(recipient(f"{ROLE}{each.removeprefix(ROLE)}"), Level.READ, None) for each in dict.fromkeys(roles)]
    fresh = [each for each in wanted if each.to.removeprefix(ROLE) not in permitted]
    for each in fresh:
        asker.allow(Operation("tools.share", object, "share", owner, each.args))
        check_recipient(asker, each.to, owner)
    made = [row for each in fresh for row in rows_of(asker, Terms(each.to, owner, object, each.level), None)]
    check_rows(asker, made)
    return RolesChange(owner, object, tuple(made), frozenset(each.to for each in wanted))


@stored
async def write_roles(office: Office, change: RolesChange) -> None:
    """Write what ``roles_change`` found; roles that are wanted no more lose what they had by it."""
    for each in await grants_below(office.store, beginning(change.owner, change.object)):
        role = each.row[0]
        if role.startswith(ROLE) and role not in change.kept and is_part(each, Part.USE) and each.expires_at is None:
            await drop(office, ids(change.owner, change.object, role))
    for each in change.fresh:
        await put_grant(office.store, each)
    await office.followed()


async def permit_roles(office: Office, asker: Asker, owner: str, object: str, roles: Iterable[str]) -> None:
    """Let ``roles`` and no others use ``object`` of ``owner``, until that is changed. Raises as ``roles_change``."""
    await write_roles(office, await roles_change(office, asker, owner, object, roles))


def _permits(rule: Rule) -> bool:
    own = id_of(rule.owner, rule.object, rule.subject)
    return rule.subject.startswith(ROLE) and rule.expires is None and rule.place.file == f"grant:{own}"
