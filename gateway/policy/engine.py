"""The policy: an immutable snapshot that answers questions. Casbin judges (``engine_casbin.py``).

An index chooses the rows that can match, Casbin's own loop and effect judge those rows by the model's matcher.
Deciding never raises: what goes wrong is a denial. This file knows no disk and no clock.
"""

import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from hashlib import sha256
from importlib import metadata
from itertools import islice
from operator import attrgetter
from typing import Final, Protocol, TypeAlias

import msgspec

from gateway.policy.bundle import Bundle
from gateway.policy.conditions import Condition, parse
from gateway.policy.engine_casbin import Court
from gateway.policy.explain import Explanation, explain
from gateway.policy.floor import ROWS
from gateway.policy.index import Index, Row, rows_of
from gateway.policy.limits import DEFAULT, Limits
from gateway.policy.model import act_match, dom_match, is_subject, model_problems, obj_match, own_match
from gateway.policy.possible import CAP, Demand, Residual, residual
from gateway.policy.possible import possible as some_arguments
from gateway.policy.roles import NOBODY, Roles, moment
from gateway.policy.rules import MODEL_FILE, row_of
from gateway.policy.terms import (
    Access,
    Chain,
    Context,
    Decision,
    Effect,
    Json,
    Link,
    Place,
    Problem,
    Reason,
    Rule,
    Subject,
)

FRESH: Final = "\x00"
"""A character that no row can hold: what follows a prefix in a name that no rule foresees."""

REMEMBERED: Final = 4_096

LARGEST_SCHEMA: Final = 256 * 1024
"""Bytes. A larger one narrows nothing (and no call of its tool is ever made)."""

Report: TypeAlias = Callable[[str], None]
"""Is told where deciding failed, as ``TypeError at FILE:LINE``; no message, because one may hold arguments."""


class BadPolicy(ValueError):
    """A policy that cannot be built; ``problems`` says why."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


class GrantRecord(Protocol):
    """What the policy needs of a grant."""

    @property
    def id(self) -> str: ...
    @property
    def row(self) -> tuple[str, ...]: ...
    @property
    def expires_at(self) -> int | None: ...


def refuse_the_dead_package(version: Callable[[str], str] = metadata.version) -> None:
    """Raises ``ImportError`` where the abandoned ``casbin`` distribution is installed: it overwrites ``pycasbin``."""
    try:
        version("casbin")
    except metadata.PackageNotFoundError:
        return
    raise ImportError("the abandoned package `casbin` overwrites `pycasbin`; uninstall both, then install `pycasbin`")


refuse_the_dead_package()


def grant_rows(grant: GrantRecord) -> Rule | Link:
    """The row of a grant made at run time, with the place ``grant:ID``. Raises ``BadPolicy`` when it is none."""
    place = Place(f"grant:{grant.id}")
    found = row_of("g" if len(grant.row) == 3 else "p", grant.row, place)
    if isinstance(found, list):
        raise BadPolicy([Problem(place, sentence) for sentence in found])
    return replace(found, expires=grant.expires_at)


class Policy:
    """One version of the policy. Everything about it is fixed when it is built."""

    def __init__(
        self,
        bundle: Bundle | None,
        layers: tuple[Index, Index],
        links: tuple[Link, ...],
        version: str,
        report: Report,
    ) -> None:
        self.version = version
        self.bundle = bundle
        self.links = links
        self._report = report
        base, grants = self._layers = layers
        self._roles = Roles(links, base.groups | grants.groups)
        self._conditions = {**base.conditions, **grants.conditions, "": parse("")}
        self._rates_vary = base.rates_vary or grants.rates_vary or any(link.expires is not None for link in links)
        self._solutions: dict[tuple[frozenset[Demand], bytes], bool | None] = {}
        self._classes: dict[tuple[str, str, frozenset[str] | None], str] = {}
        self._court = Court(bundle.model, _functions(self._roles, self._conditions)) if bundle else None

    @classmethod
    def build(
        cls, bundle: Bundle | None, grants: Iterable[Rule | Link], version: str, report: Report = lambda _: None
    ) -> "Policy":
        """The snapshot of a bundle and the grants made at run time; without a bundle it denies everything.

        Raises ``BadPolicy`` when a condition does not compile, and when the model is not the supported one.
        """
        problems = [] if bundle is None else model_problems(bundle.model, MODEL_FILE)
        base = Index(rows_of(() if bundle is None else (*ROWS, *bundle.rules), 0, problems))
        return cls._layered(bundle, base, grants, problems=problems, version=version, report=report)

    def with_grants(self, grants: Iterable[Rule | Link], version: str) -> "Policy":
        """The next snapshot: the same bundle, with ``grants`` instead of those so far. Raises ``BadPolicy``."""
        return self._layered(self.bundle, self._layers[0], grants, problems=[], version=version, report=self._report)

    @classmethod
    def _layered(
        cls,
        bundle: Bundle | None,
        base: Index,
        grants: Iterable[Rule | Link],
        *,
        problems: list[Problem],
        version: str,
        report: Report,
    ) -> "Policy":
        made = tuple(grants)
        rows = rows_of((row for row in made if isinstance(row, Rule)), len(base.rows), problems)
        if problems:
            raise BadPolicy(problems)
        links = (*(bundle.links if bundle else ()), *(row for row in made if isinstance(row, Link)))
        return cls(bundle, (base, Index(rows)), links, version, report)

    @property
    def limits(self) -> Limits:
        return self.bundle.limits if self.bundle else Limits()

    @property
    def rules(self) -> tuple[Rule, ...]:
        """Every rule of the snapshot: the built-in ones, those of the files, those of grants."""
        return tuple(row.rule for layer in self._layers for row in layer.rows)

    @cached_property
    def readable(self) -> frozenset[str]:
        """The arguments that conditions read and that are no secret, as paths without ``args`` (``lines.price``)."""
        read = {path[1:] for condition in self._conditions.values() for path in condition.fields if path[0] == "args"}
        paths = {".".join(path) for path in read if path and not any("." in key for key in path)}
        secrets = self.bundle.secrets if self.bundle else NOBODY
        return frozenset(path for path in paths if not any(_overlap(path, secret) for secret in secrets))

    def known_as(
        self, name: str, domain: str, now: int | None = None, groups: frozenset[str] | None = NOBODY
    ) -> frozenset[str]:
        """Every name under which an allow finds ``name`` in ``domain``: himself, his roles and groups, the crowds."""
        return self._roles.names(name, domain, groups, now).allow

    def condition(self, text: str) -> Condition:
        """The condition that a row of this policy writes as ``text``."""
        return self._conditions[text]

    def roles_of(
        self, name: str, domain: str, now: int | None = None, groups: frozenset[str] | None = NOBODY
    ) -> frozenset[str]:
        """The roles of ``name`` and his known ``groups`` in ``domain`` at ``now`` (ms), without ``role:``;
        without ``now`` only those that he has for good.
        """
        names = self._roles.names(name, domain, groups or NOBODY, now).allow
        return frozenset(each.removeprefix("role:") for each in names if each.startswith("role:"))

    def decide(self, chain: Chain) -> Decision:
        """Whether every access of ``chain`` is allowed; the first that is not decides. Never raises.

        Of an allowed chain the first access (the caller's own) and its rule are named.
        """
        asked = None
        try:
            decisions = []
            for asked in chain:
                decisions.append(self._decide(asked))
                if not decisions[-1].allowed:
                    return decisions[-1]
            return decisions[0]
        except Exception as error:  # noqa: BLE001 (deciding fails closed)
            self._tell(error)
            return Decision(False, Reason.FAULT, self.version, access=asked)

    def possible(self, chain: Chain, schema: Json = None) -> bool:
        """Whether some arguments that ``schema`` admits would be allowed, where those of ``chain`` are unknown;
        true as well when that cannot be found out in bounded time. Never raises.
        """
        try:
            return self._possible(chain, schema)
        except Exception as error:  # noqa: BLE001 (deciding fails closed)
            self._tell(error)
            return False

    def possible_below(self, chain: Chain, schema: Json = None) -> bool:
        """As ``possible``, for some name that begins with the objects of ``chain``.

        Rows tell names apart only by being equal to them or a prefix of them: so it is enough to try a name that
        none foresees and, of every allow that goes further, its own name or an unforeseen one below its pattern.
        """
        try:
            further = dict.fromkeys(ending for access in chain for ending in self._endings(access))
            endings = (FRESH, "", *islice(further, CAP))
            return any(self._possible(_longer(chain, each), schema) for each in endings) or len(further) > CAP
        except Exception as error:  # noqa: BLE001 (deciding fails closed)
            self._tell(error)
            return False

    def explain(self, access: Access) -> Explanation:
        """The decision on one access, with every row that spoke and the nearest that did not. Linear in the rows."""
        decision = self.decide((access,))
        if decision.reason in (Reason.FAULT, Reason.NO_POLICY):
            return Explanation(decision, ())
        rows = (row for layer in self._layers for row in layer.rows)
        return explain(access, decision, matching=self._matching(access), rows=rows, roles=self._roles)

    def matching(self, access: Access) -> tuple[Rule, ...]:
        """The living rules whose columns match ``access``, their conditions left aside."""
        return tuple(row.rule for row in self._matching(access))

    def rate_class(self, subject: Subject, domain: str, env: Mapping[str, Json]) -> str:
        """The most generous class of ``limits`` that ``subject`` is allowed in ``domain``, or ``default``."""
        key = (subject.name, domain, subject.groups)
        if (known := self._classes.get(key)) is not None:
            return known
        context = Context(claims=subject.claims, groups=subject.groups, env=env)
        classes = (each.name for each in self.limits.classes)
        asked = ((each, Access(subject.name, domain, subject.name, "*", f"rate:{each}", context)) for each in classes)
        found = next((each for each, access in asked if self.decide((access,)).allowed), DEFAULT)
        if not self._rates_vary and len(self._classes) < REMEMBERED:
            self._classes[key] = found
        return found

    def _decide(self, access: Access) -> Decision:
        if self._court is None:
            return Decision(False, Reason.NO_POLICY, self.version, access=access)
        rows = sorted(self._candidates(access), key=attrgetter("rank"))
        if not rows:  # plain Casbin would ask its matcher about one blank row
            return Decision(False, Reason.NO_RULE, self.version, access=access)
        allowed, row = self._court.judge(access, rows)
        reason = Reason.ALLOWED if allowed else Reason.NO_RULE if row is None else Reason.DENIED
        return Decision(allowed, reason, self.version, row.rule if row else None, access)

    def _candidates(self, access: Access) -> Iterator[Row]:
        """Every living row that could match, found by the index."""
        if not is_subject(access.subject):
            raise ValueError("only users, end users and servers can ask")
        now = moment(access.context)
        known = self._roles.names(access.subject, access.domain, access.context.groups, now)
        names = known.allow if known.allow is known.deny else known.allow | known.deny
        for layer in self._layers:
            for row in layer.find(names, access.domain, access.object):
                if row.lives(now):
                    yield row

    def _matching(self, access: Access) -> list[Row]:
        """The candidates that the matcher accepts with their conditions left aside; none without a bundle."""
        return [] if self._court is None else self._court.fitting(access, list(self._candidates(access)))

    def _possible(self, chain: Chain, schema: Json) -> bool:
        demands = []
        for access in chain:
            demand = self._demand(access)
            if demand is None:
                return False
            demands.append(demand)
        unsettled = frozenset(demand for demand in demands if demand.denies or not demand.open)
        if not unsettled:
            return bool(demands)
        return self._solved(unsettled, schema) is not False

    def _endings(self, access: Access) -> Iterator[str]:
        """What comes after the object in the allows that go further, for whoever asks."""
        names = self._roles.names(access.subject, access.domain, access.context.groups, moment(access.context)).allow
        for layer in self._layers:
            for rule in layer.allows_below(access.object):
                if rule.subject in names:
                    found = rule.object[:-1] + FRESH if rule.object.endswith("*") else rule.object
                    yield found.removeprefix(access.object)

    def _solved(self, demands: frozenset[Demand], schema: Json) -> bool | None:
        """``some_arguments``, remembered; of a schema only the hash is kept, because foreign servers write them."""
        text = msgspec.json.encode(schema)
        if len(text) > LARGEST_SCHEMA:
            text, schema = b"", None
        key = demands, sha256(text).digest()
        if key not in self._solutions:
            if len(self._solutions) >= REMEMBERED:
                self._solutions.clear()
            self._solutions[key] = some_arguments(tuple(demands), schema)
        return self._solutions[key]

    def _demand(self, access: Access) -> Demand | None:
        """What one access still asks of the arguments, or ``None`` when no arguments help."""
        left: dict[Effect, list[Residual]] = {Effect.ALLOW: [], Effect.DENY: []}
        free = False
        for row in self._matching(access):
            outcome = _left(row, access.context)
            if outcome is True and row.rule.effect is Effect.DENY:
                return None
            if outcome is True:
                free = True
            elif outcome is not False:
                left[row.rule.effect].append(outcome)
        allows, denies = (tuple(dict.fromkeys(left[effect])) for effect in (Effect.ALLOW, Effect.DENY))
        return Demand(allows, denies, free) if free or allows else None

    def _tell(self, error: Exception) -> None:
        last = traceback.extract_tb(error.__traceback__)[-1]
        with suppress(Exception):
            self._report(f"{type(error).__name__} at {last.filename}:{last.lineno}")


def _functions(roles: Roles, conditions: Mapping[str, Condition]) -> dict[str, Callable[..., bool]]:
    """What the matcher of the model calls."""

    def sub_match(subject: str, domain: str, context: Context, row: str, effect: str) -> bool:
        known = roles.names(subject, domain, context.groups, moment(context))
        return row in (known.deny if effect == Effect.DENY else known.allow)

    def cond(when: str, context: Context, effect: str) -> bool:
        condition = conditions[when]
        return condition.bites(context) if effect == Effect.DENY else condition.holds(context)

    return {
        "subMatch": sub_match,
        "domMatch": dom_match,
        "ownMatch": own_match,
        "objMatch": obj_match,
        "actMatch": act_match,
        "cond": cond,
    }


def _left(row: Row, context: Context) -> bool | Residual:
    """Whether a row counts, as far as that can be said without the arguments if they are unknown."""
    if context.args is None:
        return residual(row.condition, context, row.rule.effect)
    return row.condition.bites(context) if row.rule.effect is Effect.DENY else row.condition.holds(context)


def _longer(chain: Chain, ending: str) -> Chain:
    return tuple(replace(access, object=access.object + ending) for access in chain)


def _overlap(path: str, other: str) -> bool:
    """Whether one of two paths leads to the other."""
    return f"{path}.".startswith(f"{other}.") or f"{other}.".startswith(f"{path}.")
