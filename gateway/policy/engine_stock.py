"""The same policy, judged by stock Casbin: what the engine is checked against while it runs.

Loop, evaluator and effect are those of an unmodified ``casbin.Enforcer``, over every row of a snapshot. Who is known
under which names is found out here a second time; of the engine nothing is used, and nothing is remembered. So an
answer takes as long as there are rows: some tenths of a second for 100,000. This file decides no call.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import casbin
from casbin.effect import get_effector
from casbin.model import FunctionMap

from gateway.policy.engine import Policy
from gateway.policy.model import act_match, dom_match, is_subject, obj_match, own_match
from gateway.policy.roles import HOPS, moment
from gateway.policy.terms import Access, Context, Effect, Link, Rule

_GROUP: Final = "group:"


class Stock:
    """What Casbin answers to questions about ``policy``. To be used by one thread at a time."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._rules = policy.rules
        self._expire = any(rule.expires is not None for rule in self._rules)
        self._links: dict[tuple[str, str], list[Link]] = {}
        for link in policy.links:
            self._links.setdefault((link.member, link.domain), []).append(link)
        spoken = (*(rule.subject for rule in self._rules), *(link.member for link in policy.links))
        self._groups = frozenset(name for name in spoken if name.startswith(_GROUP))
        self._model = None if policy.bundle is None else casbin.Enforcer.new_model(text=policy.bundle.model)

    def decide(self, access: Access) -> bool:
        """Whether ``access`` is allowed. What goes wrong in Casbin is raised.

        There is always a row to ask about, a built-in one: of none at all, Casbin would make a blank one.
        """
        if self._model is None or not is_subject(access.subject):
            return False
        now = moment(access.context)
        rules = self._rules
        if self._expire:
            rules = tuple(rule for rule in rules if _lives(rule.expires, now, deny=rule.effect is Effect.DENY))
        self._model["p"]["p"].policy = _Rows(rules)
        enforcer = _Enforcer(self._model)
        names = {
            Effect.ALLOW.value: self._names(access, now, deny=False),
            Effect.DENY.value: self._names(access, now, deny=True),
        }
        enforcer.add_function("subMatch", lambda _sub, _dom, _ctx, row, effect: row in names[effect])
        enforcer.add_function("domMatch", dom_match)
        enforcer.add_function("ownMatch", own_match)
        enforcer.add_function("objMatch", obj_match)
        enforcer.add_function("actMatch", act_match)
        enforcer.add_function("cond", self._condition)
        question = (access.subject, access.domain, access.owner, access.object, access.action, access.context)
        return bool(enforcer.enforce(*question))

    def _condition(self, when: str, context: Context, effect: str) -> bool:
        condition = self._policy.condition(when)
        return condition.bites(context) if effect == Effect.DENY else condition.holds(context)

    def _names(self, access: Access, now: int | None, *, deny: bool) -> frozenset[str]:
        """The names under which an allow, or a ``deny``, finds the subject."""
        groups = access.context.groups
        if groups is None:
            groups = self._groups if deny else frozenset()
        names = front = {access.subject, *(group for group in groups if group.startswith(_GROUP))}
        for _ in range(HOPS):
            front = {link.role for link in self._after(front, access.domain) if _lives(link.expires, now, deny=deny)}
            names = names | front
        return frozenset(names).union(_crowds(access.subject))

    def _after(self, names: Iterable[str], domain: str) -> Iterator[Link]:
        for name in names:
            for each in {domain, "*"}:
                yield from self._links.get((name, each), ())


class _Rows:
    """The rules as Casbin reads rows, each made when it is looked at."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = rules

    def __len__(self) -> int:
        return len(self._rules)

    def __iter__(self) -> Iterator[tuple[str, ...]]:
        return map(_values, self._rules)

    def __getitem__(self, at: int) -> tuple[str, ...]:
        return _values(self._rules[at])


class _Silent:
    """Stands where Casbin would log questions, and with them arguments."""

    @staticmethod
    def isEnabledFor(_level: int) -> bool:  # noqa: N802 (the name that loggers have)
        return False


class _Enforcer(casbin.Enforcer):  # type: ignore[misc]  # Casbin is not typed
    """Casbin's own enforcer but for its constructor, which would log the model and make role managers."""

    logger = _Silent

    def __init__(self, model: Any) -> None:
        self.model = model
        self.fm = FunctionMap()
        self.eft = get_effector(model["e"]["e"].value)
        self.rm_map = self.cond_rm_map = dict[str, Any]()
        self.enabled = True


def _values(rule: Rule) -> tuple[str, ...]:
    return rule.subject, rule.domain, rule.owner, rule.object, rule.action, rule.when, rule.effect.value


def _lives(expires: int | None, now: int | None, *, deny: bool) -> bool:
    """Whether something has not ended; where the time is unknown, it has for an allow and has not for a deny."""
    return expires is None or (deny if now is None else now < expires)


def _crowds(subject: str) -> set[str]:
    root, _, rest = subject.partition(":")
    server, slash, _ = rest.partition("/")
    return {"*", f"{root}:*"} | ({f"end:{server}/*"} if root == "end" and slash else set())
