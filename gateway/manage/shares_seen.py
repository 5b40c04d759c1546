"""Shares as they stand: what somebody shares, what is shared with him, and the rights that a record of him shows.

All of it is a view of rows of the policy; nothing here is asked whether somebody may use what is shown.
"""

import asyncio
from collections.abc import Iterable
from typing import Final

from gateway.manage.asking import Asker, Operation, now_of
from gateway.manage.loans import LOAN, loan_of
from gateway.manage.office import Office
from gateway.manage.share_rows import PROMPT, ROLE, USER, Rights, Share, is_share, shares_in, shares_of_loan, tool_id
from gateway.manage.stored import stored
from gateway.policy.model import USE
from gateway.policy.terms import MAIN, SYSTEM, Effect, Link, Rule
from gateway.records import Grant

_GRANT: Final = "grant:"


@stored
async def shares_of(office: Office, asker: Asker) -> tuple[Share, ...]:
    """What he shares. Raises ``Denied``."""
    _ask(asker)
    return await _shares(office, office.snapshot().policy.owned_by(asker.subject.name), now_of(asker))


@stored
async def shared_with(office: Office, asker: Asker) -> tuple[Share, ...]:
    """What others share with him, or with a role that he has. Raises ``Denied``."""
    _ask(asker)
    policy, subject, now = office.snapshot().policy, asker.subject, now_of(asker)
    names = policy.known_as(subject.name, MAIN, now, subject.groups)
    rows = [row for name in sorted(names) if name.startswith((USER, ROLE)) for row in policy.naming(name)]
    return tuple(each for each in await _shares(office, rows, now) if each.to in names and each.owner != subject.name)


@stored
async def rights_of(office: Office, subject: str, now: int) -> Rights:
    """What rows that name ``subject`` himself let him use at ``now`` (ms): the caller has asked whether that is told.

    ``allowed`` is what he may use without anybody's account or on the operator's; patterns of tools are left out.
    """
    rows = office.snapshot().policy.naming(subject)
    allowed = {
        tool_id(each.owner, each.object) for each in rows if isinstance(each, Rule) and _allows(each, subject, now)
    }
    shares = await _shares(office, rows, now)
    return Rights(tuple(sorted(allowed)), tuple(each for each in shares if each.to == subject))


def _ask(asker: Asker) -> None:
    asker.allow(Operation("tools.shared", "gateway/directory", "inspect", asker.subject.name))


def _allows(rule: Rule, subject: str, now: int) -> bool:
    """Whether it lets ``subject`` use one tool that nobody shares."""
    living = rule.expires is None or now < rule.expires
    item = rule.object.partition("/")[2]
    one = bool(item) and not rule.object.endswith("*") and not item.startswith((PROMPT, "resource:"))
    used = rule.effect is Effect.ALLOW and rule.action in USE and rule.subject == subject
    return living and one and used and rule.owner in ("self", SYSTEM) and not _is_share(rule)


def _is_share(row: Rule | Link) -> bool:
    """Whether it is a row of a share, or a loan."""
    place, _, id = row.place.file.partition(_GRANT)
    return not place and (is_share(id) or id.startswith(f"{LOAN}-"))


async def _shares(office: Office, rows: Iterable[Rule | Link], now: int) -> tuple[Share, ...]:
    """The shares and loans among ``rows``, with what only their records say: by whom, and when."""
    told = [row for row in rows if _is_share(row)]
    found = await asyncio.gather(*(office.store.grants.get(row.place.file.removeprefix(_GRANT)) for row in told))
    grants = [each for each in found if each is not None and (each.expires_at is None or now < each.expires_at)]
    return (*shares_in(grants, now), *(each for grant in grants if grant.kind == LOAN for each in _lent(grant)))


def _lent(grant: Grant) -> tuple[Share, ...]:
    _, _, owner, object, *_ = grant.row
    return shares_of_loan(loan_of(grant), owner, object.partition("/")[0])
