"""What is in force, for plain Casbin: an adapter that any ``casbin.AsyncEnforcer`` can load from our store.

Rows go straight into Casbin's model, never through its comma text, where a value could become a row of its own. It
only reads: a policy changes by being applied, a grant by who may write it.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, NoReturn

from casbin.persist.adapters.asyncio import AsyncAdapter

from gateway.manage.policies import Untrusted, policy_in_force
from gateway.policy.engine import Policy, grant_rows
from gateway.policy.signature import TrustedKey, distrust
from gateway.policy.terms import Link, Rule
from gateway.servers.rows import all_grants
from gateway.store.base import Store

READ_ONLY: Final = (
    "this adapter only reads; `ostiary policy apply DIR` changes the policy, whoever may write a grant changes grants"
)


class ReadOnly(Exception):
    """Somebody tried to change the policy through Casbin."""


class StoreAdapter(AsyncAdapter):  # type: ignore[misc]  # Casbin is not typed
    """Reads the policy in force with its grants; ``clock`` tells ms since the epoch. ``policy`` is what was read last,
    for ``gateway.policy.functions.matcher_functions``.

    The enforcer need not build role links (``enable_auto_build_role_links(False)``): the matcher asks no role manager.
    """

    def __init__(self, store: Store, *, clock: Callable[[], int], trusted: Sequence[TrustedKey] = ()) -> None:
        self._store = store
        self._clock = clock
        self._trusted = trusted
        self.policy = Policy.build(None, (), "0.0")

    async def load_policy(self, model: Any) -> None:
        """Put every row that lives now, the built-in ones too, into ``model``; none before the first apply.

        Raises ``Untrusted``, ``NotFound``, ``Unavailable``, and ``ValueError`` for what cannot be read.
        """
        self.policy = await self._read()
        now = self._clock()
        model["p"]["p"].policy += [_values(rule) for rule in self.policy.rules if _lives(rule, now)]
        if "g" in model.model:
            links = (link for link in self.policy.links if _lives(link, now))
            model["g"]["g"].policy += [[link.member, link.role, link.domain] for link in links]

    async def _read(self) -> Policy:
        in_force = await policy_in_force(self._store)
        if in_force is None:
            return Policy.build(None, (), "0.0")
        if sentence := distrust(in_force.head.signature, in_force.head.bundle, self._trusted):
            raise Untrusted(f"policy {in_force.head.version}: {sentence}")
        changes = await self._store.changes(0)
        grants = [grant_rows(grant) for grant in all_grants(changes)]
        return Policy.build(in_force.bundle, grants, f"{in_force.head.version}.{changes.seq}")

    async def _refuse(self, *_: object) -> NoReturn:
        raise ReadOnly(READ_ONLY)

    save_policy = _refuse
    add_policy = add_policies = _refuse
    update_policy = update_policies = update_filtered_policies = _refuse
    remove_policy = remove_policies = remove_filtered_policy = _refuse


def _values(rule: Rule) -> list[str]:
    columns = (rule.subject, rule.domain, rule.owner, rule.object, rule.action, rule.when, rule.effect.value)
    return list(columns)


def _lives(row: Rule | Link, now: int) -> bool:
    return row.expires is None or now < row.expires
