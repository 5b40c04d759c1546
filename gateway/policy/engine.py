"""The policy: an immutable snapshot that answers questions. Casbin judges (``engine_casbin.py``).

An index chooses the rows that can match, Casbin's own loop and effect judge those rows by the model's matcher, and
what does not depend on the context is remembered, inside the snapshot and gone with it. Deciding never raises: what
goes wrong is a denial. This file knows no disk and no clock.
"""

import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cached_property
from importlib import metadata
from itertools import chain as joined
from itertools import islice
from typing import Protocol, TypeAlias

from msgspec.structs import replace

from gateway.policy.answers import in_files_order
from gateway.policy.bundle import Bundle
from gateway.policy.conditions import Condition
from gateway.policy.explain import Explanation, explain
from gateway.policy.finding import Finder, PlainFinder
from gateway.policy.floor import ROWS
from gateway.policy.index import rows_in
from gateway.policy.layers import BadPolicy, Layer
from gateway.policy.limits import DEFAULT, Limits
from gateway.policy.model import model_problems
from gateway.policy.openings import FRESH, Opening, openings
from gateway.policy.possible import CAP
from gateway.policy.roles import NOBODY, moment
from gateway.policy.rules import MODEL_FILE, row_of
from gateway.policy.schema import ANYTHING, Narrowing, Schema
from gateway.policy.shelves import Slices, at_once
from gateway.policy.terms import Access, Chain, Context, Decision, Json, Link, Place, Problem, Reason, Rule, Subject
from gateway.policy.views import about, granted, naming, owned_by

__all__ = ["FRESH", "BadPolicy", "Policy", "grant_rows"]

Report: TypeAlias = Callable[[str], None]
"""Is told where deciding failed, as ``TypeError at FILE:LINE``; no message, because one may hold arguments."""


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
        layers: tuple[Layer, Layer],
        version: str,
        report: Report,
        finder: type[Finder] = Finder,
    ) -> None:
        self.version = version
        self.bundle = bundle
        self._layers = layers
        self._report = report
        self._finder = finder("" if bundle is None else bundle.model, layers)

    @classmethod
    def build(
        cls, bundle: Bundle | None, grants: Iterable[Rule | Link], version: str, report: Report = lambda _: None
    ) -> "Policy":
        """The snapshot of a bundle and the grants made at run time; without a bundle it denies everything.

        Raises ``BadPolicy`` when a condition does not compile, and when the model is not the supported one.
        """
        built = at_once(cls.building(bundle, version, report))
        return built.with_grants(grants, version)

    @classmethod
    def building(cls, bundle: Bundle | None, version: str, report: Report = lambda _: None) -> "Slices[Policy]":
        """As ``build`` without grants, in slices of less than a millisecond or two."""
        if bundle is None:
            return cls(None, (Layer(), Layer()), version, report)
        problems = model_problems(bundle.model, MODEL_FILE)
        base = yield from Layer.building(joined(ROWS, bundle.rules), bundle.links, problems)
        if problems:
            raise BadPolicy(problems)
        return cls(bundle, (base, Layer()), version, report)

    def with_grants(self, grants: Iterable[Rule | Link], version: str) -> "Policy":
        """The next snapshot: the same bundle, with ``grants`` instead of those so far. Raises ``BadPolicy``."""
        entries = {f"{number:09}": grant for number, grant in enumerate(grants)}
        return self._over(Layer().changed(entries, ()), version)

    def changed(self, put: Mapping[str, Rule | Link], drop: Iterable[str], version: str) -> "Policy":
        """The next snapshot: with the grants ``put`` instead of those with the same ids, and without those of the ids
        ``drop``. It shares all else with this one. Raises ``BadPolicy``.
        """
        return self._over(self._layers[1].changed(put, drop), version)

    def with_grants_of(self, other: "Policy", version: str) -> "Policy":
        """The next snapshot: this bundle, with the grants that ``other`` has."""
        return self._over(other._layers[1], version)  # noqa: SLF001 (of this very class)

    def _over(self, grants: Layer, version: str) -> "Policy":
        return Policy(self.bundle, (self._layers[0], grants), version, self._report, type(self._finder))

    def plainly(self) -> "Policy":
        """The same snapshot, decided by Casbin's own loop over all rows: without an index, and remembering nothing."""
        return Policy(self.bundle, self._layers, self.version, self._report, PlainFinder)

    @property
    def files(self) -> Layer:
        """What the bundle became: shared by all snapshots of it, and large."""
        return self._layers[0]

    @property
    def limits(self) -> Limits:
        return self.bundle.limits if self.bundle else Limits()

    @cached_property
    def rules(self) -> tuple[Rule, ...]:
        """Every rule of the snapshot: the built-in ones, those of the files, those of grants."""
        files = (*ROWS, *self.bundle.rules) if self.bundle else ()
        return (*files, *(row.rule for row in self._layers[1].rows))

    @cached_property
    def links(self) -> tuple[Link, ...]:
        """Every role given: by the files, and by grants."""
        given = (each for _, each in sorted(self._layers[1].entries.items()) if isinstance(each, Link))
        return (*(self.bundle.links if self.bundle else ()), *given)

    def naming(self, name: str) -> tuple[Rule | Link, ...]:
        """Every row of files and of grants that is literally for ``name``, whether it lives or not."""
        return naming(*self._layers, name)

    def about(self, object: str, owner: str) -> tuple[Rule, ...]:
        """Every rule of files and of grants with literally this object and this owner, whether it lives or not."""
        return about(*self._layers, object, owner)

    def owned_by(self, subject: str) -> tuple[Rule, ...]:
        """Every rule of a grant whose owner is ``subject``, whether it lives or not."""
        return owned_by(self._layers[1], subject)

    def grants_naming(self, name: str) -> frozenset[str]:
        """The ids of all grants that are for a subject, role, group or crowd, or about what that subject owns."""
        return frozenset(each.place.file.removeprefix("grant:") for each in granted(self._layers[1], name))

    @cached_property
    def readable(self) -> frozenset[str]:
        """The arguments that conditions read and that are no secret, as paths without ``args`` (``lines.price``)."""
        secrets = self.bundle.secrets if self.bundle else NOBODY
        return frozenset(path for path in self._read("args") if not any(_overlap(path, secret) for secret in secrets))

    @cached_property
    def readable_claims(self) -> frozenset[str]:
        """The claims that conditions read, as paths without ``claims``."""
        return self._read("claims")

    def _read(self, root: str) -> frozenset[str]:
        """The dotted paths below ``root`` that conditions read."""
        paths = (path.partition(".") for layer in self._layers for path in layer.facts.paths)
        return frozenset(below for top, _, below in paths if top == root and below)

    def known_as(
        self, name: str, domain: str, now: int | None = None, groups: frozenset[str] | None = NOBODY
    ) -> frozenset[str]:
        """Every name under which an allow finds ``name`` in ``domain``: himself, his roles and groups, the crowds."""
        return self._finder.known(name, domain, groups, now).names.allow

    def condition(self, text: str) -> Condition:
        """The condition that a row of this policy writes as ``text``."""
        return self._finder.condition(text)

    def roles_of(
        self, name: str, domain: str, now: int | None = None, groups: frozenset[str] | None = NOBODY
    ) -> frozenset[str]:
        """The roles of ``name`` and his known ``groups`` in ``domain`` at ``now`` (ms), without ``role:``;
        without ``now`` only those that he has for good.
        """
        names = self.known_as(name, domain, now, groups or NOBODY)
        return frozenset(each.removeprefix("role:") for each in names if each.startswith("role:"))

    def decide(self, chain: Chain) -> Decision:
        """Whether every access of ``chain`` is allowed; the first that is not decides. Never raises.

        Of an allowed chain the first access (the caller's own) and its rule are named.
        """
        asked = first = None
        try:
            for asked in chain:
                decision = self._decide(asked)
                if not decision.allowed:
                    return decision
                first = first or decision
            if first is None:
                raise ValueError("a chain has at least one access")
            return first
        except Exception as error:  # noqa: BLE001 (deciding fails closed)
            self._tell(error)
            return Decision(False, Reason.FAULT, self.version, access=asked)

    def possible(self, chain: Chain, schema: "Json | Schema" = None) -> bool:
        """Whether some arguments that ``schema`` admits would be allowed, where those of ``chain`` are unknown;
        true as well when that cannot be found out in bounded time. Never raises.
        """
        try:
            return self._possible(chain, _narrowing(schema))
        except Exception as error:  # noqa: BLE001 (deciding fails closed)
            self._tell(error)
            return False

    def possible_below(self, chain: Chain, schema: "Json | Schema" = None) -> bool:
        """As ``possible``, for some name that begins with the objects of ``chain``.

        Rows tell names apart only by being equal to them or a prefix of them: so it is enough to try a name that
        none foresees and, of every allow that goes further, its own name or an unforeseen one below its pattern.
        """
        try:
            narrowing = _narrowing(schema)
            further = dict.fromkeys(ending for access in chain for ending in self._endings(access))
            endings = (FRESH, "", *islice(further, CAP))
            return any(self._possible(_longer(chain, each), narrowing) for each in endings) or len(further) > CAP
        except Exception as error:  # noqa: BLE001 (deciding fails closed)
            self._tell(error)
            return False

    def explain(self, access: Access) -> Explanation:
        """The decision on one access, with every row that spoke and the nearest that did not."""
        decision = self.decide((access,))
        if decision.reason in (Reason.FAULT, Reason.NO_POLICY):
            return Explanation(decision, ())
        allows = in_files_order(layer.index.about(access.object) for layer in self._layers)
        matching = self._finder.answer(access).in_files_order
        return explain(access, decision, matching=matching, allows=allows, roles=self._finder.roles)

    def matching(self, access: Access) -> tuple[Rule, ...]:
        """The living rules whose columns match ``access``, their conditions left aside. Raises ``ValueError`` when
        nobody who can ask asks.
        """
        return () if self.bundle is None else self._finder.answer(access).rules

    def rate_class(self, subject: Subject, domain: str, env: Mapping[str, Json]) -> str:
        """The most generous class of ``limits`` that ``subject`` is allowed in ``domain``, or ``default``."""
        classes = self._finder.classes
        key = (subject.name, domain, subject.groups)
        if (known := classes.get(key)) is not None:
            return known
        context = Context(claims=subject.claims, groups=subject.groups, env=env)
        names = (each.name for each in self.limits.classes)
        asked = ((each, Access(subject.name, domain, subject.name, "*", f"rate:{each}", context)) for each in names)
        found = next((each for each, access in asked if self.decide((access,)).allowed), DEFAULT)
        if not any(layer.facts.varying for layer in self._layers):
            classes.put(key, found)
        return found

    def lenders(self, subject: Subject, domain: str, connector: str, now: int) -> tuple[str, ...]:
        """The others on whose connections to ``connector`` ``subject`` could be allowed something in ``domain`` at
        ``now`` (ms), sorted: those whom a living allow names, whatever else is asked of them.
        """
        return tuple(self._finder.lent(subject, domain, connector, now))

    def lent(self, subject: Subject, domain: str, connector: str, now: int) -> Mapping[str, tuple[str, ...]]:
        """The same, and by each of them what it is, as rows write it (``custom/NAME``, ``custom/*``, ``*``)."""
        return self._finder.lent(subject, domain, connector, now)

    def enters(self, subject: Subject, domain: str, now: int) -> bool:
        """Whether some living row lets ``subject`` use or connect something in ``domain`` at ``now`` (ms), whatever
        else is asked of it, and none forbids him everything there.
        """
        return self.bundle is not None and self._finder.enters(subject, domain, now)

    def openings(self, subject: Subject, domain: str, object: str, action: str, now: int) -> Iterator[Opening]:
        """The questions by which ``subject`` could be allowed ``action`` on ``object`` in ``domain`` at ``now`` (ms),
        on a record that is not known; ``object`` may end in ``*``: then its name is not known either.
        """
        return openings(self._finder.administers(subject, domain, now), subject.name, object, action)

    def _decide(self, access: Access) -> Decision:
        if self.bundle is None:
            return Decision(False, Reason.NO_POLICY, self.version, access=access)
        reason, rule = self._finder.verdict(access)
        return Decision(reason is Reason.ALLOWED, reason, self.version, rule, access)

    def _possible(self, chain: Chain, narrowing: Narrowing) -> bool:
        if self.bundle is None:
            return False
        unsettled = []
        for access in chain:
            demand = self._finder.demand(access)
            if demand is None:
                return False
            if demand.denies or not demand.open:
                unsettled.append(demand)
        if not unsettled:
            return bool(chain)
        return self._finder.solved(unsettled, narrowing) is not False

    def _endings(self, access: Access) -> Iterator[str]:
        """What comes after the object in the allows that go further, for whoever asks."""
        context = access.context
        known = self._finder.known(access.subject, access.domain, context.groups, moment(context))
        for found in known.rows:
            for rows in found:
                for row in rows_in(rows):
                    object = row.rule.object
                    if object.startswith(access.object) and object.rstrip("*") != access.object:
                        ending = object[:-1] + FRESH if object.endswith("*") else object
                        yield ending.removeprefix(access.object)

    def _tell(self, error: Exception) -> None:
        last = traceback.extract_tb(error.__traceback__)[-1]
        with suppress(Exception):
            self._report(f"{type(error).__name__} at {last.filename}:{last.lineno}")


def _narrowing(schema: "Json | Schema") -> Narrowing:
    if isinstance(schema, Schema):
        return schema.narrowing
    return ANYTHING if schema is None else Schema(schema).narrowing


def _longer(chain: Chain, ending: str) -> Chain:
    return tuple(replace(access, object=access.object + ending) for access in chain)


def _overlap(path: str, other: str) -> bool:
    """Whether one of two paths leads to the other."""
    return f"{path}.".startswith(f"{other}.") or f"{other}.".startswith(f"{path}.")
