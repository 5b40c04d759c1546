"""The policy in force: what it is, what it was, and putting another one in its place by compare-and-set.

Knows the store and the form of bundles; where a bundle was read from, and who may apply it, is decided
by the callers.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from msgspec import structs

from gateway.manage.proving import PLAN_S, Proof, change, prove
from gateway.policy.bundle import Bundle, bundle_hash, decode, encode
from gateway.policy.engine import BadPolicy
from gateway.policy.signature import TrustedKey, distrust
from gateway.policy.terms import Problem
from gateway.records import PolicyHead, RightsChange
from gateway.store.base import Conflict, NotFound, Store


class LockedOut(ValueError):
    """After this policy nobody could apply another one."""


class Untrusted(ValueError):
    """Trusted keys are set, and none of them signed this bundle."""


class FolderDecides(Conflict):
    """In development the policy folder is what decides: an edit of it would undo what is applied beside it."""


class CasesFailed(ValueError):
    """The policy's own tests fail. ``problems`` are what the policy itself gets wrong, ``by_grants`` what only the
    grants that live now make wrong.
    """

    def __init__(self, problems: Sequence[Problem], by_grants: Sequence[Problem]) -> None:
        super().__init__("; ".join(map(str, (*problems, *by_grants))))
        self.problems = tuple(problems)
        self.by_grants = tuple(by_grants)


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
    return None if head is None else await _named(store, head)


async def policy_of(store: Store, version: int) -> InForce:
    """The policy that was in force as ``version``. Raises as ``policy_in_force``, ``NotFound`` for no such version."""
    current = await store.bundles.head()
    if current is None or not 1 <= version <= current.version:
        known = "no policy was applied yet" if current is None else f"the versions are 1 to {current.version}"
        raise NotFound(f"there is no policy version {version}; {known}")
    heads = await store.bundles.history(current.version - version + 1)
    return await _named(store, next(head for head in heads if head.version == version))


async def apply_policy(
    store: Store,
    bundle: Bundle,
    *,
    author: str,
    why: str,
    now: int,
    expected: int | None = None,
    commit: str = "",
    signature: str = "",
    trusted: Sequence[TrustedKey] = (),
    despite_grants: bool = False,
    patience_s: float = PLAN_S,
    tell: Callable[[Problem], None] = lambda _: None,
) -> PolicyHead:
    """Make ``bundle`` decide from now on, and return the head that says so.

    ``expected`` is the version it was planned against (``None``: whichever stands now); ``Conflict`` when
    another one has come in between. A bundle that decides already, as well signed, is left as it is. Raises
    ``BadPolicy`` when it cannot decide, ``Untrusted``, ``LockedOut``, and ``CasesFailed``; with ``despite_grants``
    cases that only living grants break are told to ``tell`` instead. How far rights change is looked for during
    ``patience_s`` seconds.
    """
    body = await asyncio.to_thread(encode, bundle)
    name = bundle_hash(body)
    head = await store.bundles.head()
    version = 0 if head is None else head.version
    planned = version if expected is None else expected
    await store.bundles.put(name, body)  # also when it decides already: that mends a damaged one
    if version != planned:
        raise Conflict(f"version {version} is in force by now, and this was planned against {planned}; look again")
    if head is not None and _says_already(head, name, signature, trusted):
        return head
    _refuse_untrusted(signature, name, trusted)
    proof = await _proof(store, bundle, now)
    if proof.failed or (proof.by_grants and not despite_grants):
        raise CasesFailed(proof.failed, proof.by_grants)
    for problem in proof.by_grants:
        tell(problem)
    moved = PolicyHead(
        version=planned + 1,
        bundle=name,
        author=author,
        at=now,
        why=why,
        commit=commit,
        tests=proof.counts,
        plan=await _change(store, head, bundle, now, patience_s),
        signature=signature,
    )
    await store.bundles.move_head(planned, moved)
    return moved


async def rollback(
    store: Store,
    version: int,
    *,
    author: str,
    why: str,
    now: int,
    trusted: Sequence[TrustedKey] = (),
    tell: Callable[[Problem], None] = lambda _: None,
) -> PolicyHead:
    """Make the bundle of an earlier version decide again, as a new version; grants stay as they are.

    A bundle that decides already is left as it is. Its tests are run, but those that fail are only told to ``tell``:
    a way back must not be barred by what worked then. Raises ``NotFound``, ``Untrusted``, ``LockedOut``,
    ``BadPolicy``, and ``Conflict`` when the head moved meanwhile.
    """
    earlier = await policy_of(store, version)
    head = await store.bundles.head() or earlier.head
    if _says_already(head, earlier.head.bundle, earlier.head.signature, trusted):
        return head
    _refuse_untrusted(earlier.head.signature, earlier.head.bundle, trusted)
    proof = await _proof(store, earlier.bundle, now)
    for problem in (*proof.failed, *proof.by_grants):
        tell(problem)
    moved = structs.replace(
        earlier.head,
        version=head.version + 1,
        author=author,
        at=now,
        why=f"back to version {version}: {why}",
        tests=proof.counts,
        plan=await _change(store, head, earlier.bundle, now),
    )
    await store.bundles.move_head(head.version, moved)
    return moved


async def _change(
    store: Store, head: PolicyHead | None, bundle: Bundle, now: int, patience_s: float = PLAN_S
) -> RightsChange | None:
    """How far rights change from what ``head`` names; ``None`` where that cannot be read any more."""
    try:
        before = None if head is None else (await _named(store, head)).bundle
    except (NotFound, ValueError):
        return None
    with suppress(BadPolicy):
        return await asyncio.to_thread(change, before, bundle, await store.changes(0), now, patience_s)
    return None


async def _named(store: Store, head: PolicyHead) -> InForce:
    return InForce(head, await asyncio.to_thread(decode, await store.bundles.get(head.bundle)))


def _says_already(head: PolicyHead, bundle: str, signature: str, trusted: Sequence[TrustedKey]) -> bool:
    """Whether ``head`` puts this bundle in force, with a signature that is no worse than the one at hand."""
    if head.bundle != bundle:
        return False
    return not distrust(head.signature, bundle, trusted) if trusted else signature in ("", head.signature)


def _refuse_untrusted(signature: str, bundle: str, trusted: Sequence[TrustedKey]) -> None:
    if sentence := distrust(signature, bundle, trusted):
        raise Untrusted(sentence)


async def _proof(store: Store, bundle: Bundle, now: int) -> Proof:
    """What ``bundle`` would be among the people and grants of now. Raises ``BadPolicy``, ``LockedOut``."""
    people = await store.changes(0)
    proof = await asyncio.to_thread(prove, bundle, people, now)
    if proof.lock_out:
        raise LockedOut(proof.lock_out)
    return proof
