"""The policy in force: what it is, and putting another one in its place by compare-and-set.

Knows the store and the form of bundles; where a bundle was read from, and who may apply it, is decided
by the callers.
"""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from gateway.manage.users import ADMIN_ROLES, EVERYWHERE
from gateway.policy.bundle import Bundle, bundle_hash, decode, encode
from gateway.policy.engine import BadPolicy, Policy, grant_rows
from gateway.policy.guard import problem_of_apply
from gateway.policy.terms import Link, Place, Rule
from gateway.records import Grant, PolicyHead
from gateway.store.base import Store

FIRST_ACCOUNT: Final = tuple(
    Link("user:first-account", f"role:{role}", EVERYWHERE, Place("first start")) for role in ADMIN_ROLES
)
"""What the first start will give, for a policy that is applied before it."""


class LockedOut(ValueError):
    """After this policy nobody could apply another one."""


@dataclass(frozen=True, slots=True)
class InForce:
    """The bundle that decides, and the head that says so."""

    head: PolicyHead
    bundle: Bundle


async def policy_in_force(store: Store) -> InForce | None:
    """The policy that the head names, ``None`` before the first apply.

    Raises ``NotFound`` when its bundle is absent or damaged, ``ValueError`` when this version cannot read it.
    """
    head = await store.bundles.head()
    return None if head is None else InForce(head, decode(await store.bundles.get(head.bundle)))


async def apply_policy(
    store: Store, bundle: Bundle, *, author: str, why: str, now: int, expected: int | None = None
) -> PolicyHead:
    """Make ``bundle`` decide from now on, and return the head that says so.

    ``expected`` is the version it was planned against (``None``: whichever stands now); ``Conflict`` when
    another one has come in between. A bundle that decides already is left as it is. Raises ``BadPolicy`` when it
    cannot decide, and ``LockedOut`` with a sentence.
    """
    body = encode(bundle)
    name = bundle_hash(body)
    head = await store.bundles.head()
    version = 0 if head is None else head.version
    planned = version if expected is None else expected
    await store.bundles.put(name, body)  # also when it decides already: that mends a damaged one
    if head is not None and head.bundle == name and planned == version:
        return head
    await _refuse_lock_out(store, bundle, now)
    moved = PolicyHead(version=planned + 1, bundle=name, author=author, at=now, why=why)
    await store.bundles.move_head(planned, moved)
    return moved


async def _refuse_lock_out(store: Store, bundle: Bundle, now: int) -> None:
    people = await store.changes(0)
    rows = _readable(people.grants) if people.users else FIRST_ACCOUNT
    policy = await asyncio.to_thread(Policy.build, bundle, rows, "")
    if sentence := problem_of_apply(policy, now):
        raise LockedOut(sentence)


def _readable(grants: Iterable[Grant]) -> list[Rule | Link]:
    """The rows of grants; one that cannot be read gives nothing to anybody."""
    rows = []
    for grant in grants:
        with suppress(BadPolicy):
            rows.append(grant_rows(grant))
    return rows
