"""From a question to its answer: who asks, which rows can match, what Casbin says about them; all of it remembered.

One ``Finder`` belongs to one snapshot. What it remembers is bounded, is a function of the snapshot and of what stands
in its key, and refers to nothing that refers to it: a snapshot that is dropped is gone at once, without the garbage
collector (which a server may freeze).
"""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, Final, TypeAlias, TypeVar

from msgspec import Struct

from gateway.policy.answers import Answer, Verdict, in_casbins_order
from gateway.policy.conditions import Condition
from gateway.policy.engine_casbin import Court, question
from gateway.policy.index import Found, Row, covers, is_administration, is_loan, lets_in, rows_in, shuts_out
from gateway.policy.layers import Layer
from gateway.policy.model import dom_match, is_subject
from gateway.policy.possible import Demand, possible
from gateway.policy.roles import Eras, Names, Roles, moment
from gateway.policy.schema import Narrowing
from gateway.policy.terms import Access, Reason, Subject

REMEMBERED: Final = 10_000
"""Things of one kind."""

ABSENT: Final = 100
"""Subjects whose groups are unknown: each may be in any group, so that the names of all of them are his."""

LONGEST: Final = 512
"""Characters of an object, or of who asks, about which anything is remembered: clients choose the ones, and whoever
signs for a server the others.
"""

K = TypeVar("K")
V = TypeVar("V")
Key: TypeAlias = tuple[Hashable, ...]


class Known(Struct, frozen=True, gc=False):
    """Who asks: his names, and the rows that stand under them in one domain, for each layer."""

    names: Names
    rows: tuple[list[Found], ...]


class Memory(dict[K, V]):
    """A bounded one, of ``most`` things: what came first goes first. Nothing is kept about a long name."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def put(self, key: K, value: V) -> V:
        if isinstance(key, tuple) and isinstance(key[0], str) and len(key[0]) > LONGEST:
            return value
        if len(self) >= self._most and key not in self:
            del self[next(iter(self))]
        self[key] = value
        return value


class NoMemory(Memory[K, V]):
    """Where nothing is remembered."""

    def put(self, key: K, value: V) -> V:  # noqa: ARG002 (it is forgotten)
        return value


class Finder:
    """What the layers of a snapshot say, by the matcher of ``model`` (a checked one; ``""``: nothing is asked)."""

    _memory: ClassVar[type[Memory[Any, Any]]] = Memory

    def __init__(self, model: str, layers: tuple[Layer, Layer]) -> None:
        files, grants = self._layers = layers
        self.condition = _reading(files.conditions, grants.conditions)
        self._eras = Eras(files.ends, grants.ends)
        self.roles = Roles((files.links, grants.links), (*files.facts.groups, *grants.facts.groups), self._eras)
        self._court = Court(model, self.condition) if model else None
        self._known: Memory[Key, Known] = self._memory(REMEMBERED)
        self._absent: Memory[Key, Known] = self._memory(ABSENT)
        self._answers: Memory[Key, Answer] = self._memory(REMEMBERED)
        self._demands: Memory[Demand, Demand] = self._memory(REMEMBERED)
        self._solutions: Memory[tuple[Demand | frozenset[Demand], bytes], bool | None] = self._memory(REMEMBERED)
        self.classes: Memory[Key, str] = self._memory(REMEMBERED)
        self._lent: Memory[Key, Mapping[str, tuple[str, ...]]] = self._memory(REMEMBERED)
        self._administers: Memory[Key, tuple[Row, ...]] = self._memory(REMEMBERED)
        self._enters: Memory[Key, bool] = self._memory(REMEMBERED)

    def known(self, name: str, domain: str, groups: frozenset[str] | None, now: int | None) -> Known:
        """Who ``name`` is in ``domain``, at ``now`` in ms since the epoch; ``None`` is unknown."""
        key = (name, domain, groups, self._eras.at(now))
        memory = self._absent if groups is None else self._known
        if (known := memory.get(key)) is not None:
            return known
        names = self.roles.names(name, domain, groups, now)
        return memory.put(key, Known(names, tuple(layer.index.of(names.deny, domain) for layer in self._layers)))

    def verdict(self, access: Access) -> Verdict:
        """The decision on one access: at first Casbin's own, by its loop and effect over the rows that can match; then
        what is remembered of it, with the conditions asked anew. Raises ``ValueError`` when nobody who can ask asks.
        """
        key = self._key(access)
        answer = self._answers.get(key)
        if answer is not None and answer.judged:
            return answer.verdict(access.context)
        known = self._asking(access)
        return self._judged(access, key, known, self._candidates(access, known) if answer is None else answer.rows)

    def answer(self, access: Access) -> Answer:
        """What can be said of a question by its columns, its groups and its era. Raises ``ValueError`` when nobody who
        can ask asks.
        """
        key = self._key(access)
        if (answer := self._answers.get(key)) is not None:
            return answer
        known = self._asking(access)
        rows = self._candidates(access, known)
        asked = question(access, known.names)
        return self._kept(key, Answer.over([] if self._court is None else self._court.fitting(asked, rows)))

    def lent(self, subject: Subject, domain: str, connector: str, now: int) -> Mapping[str, tuple[str, ...]]:
        """The others on whose connections some living allow lets ``subject`` use something of ``connector``, sorted;
        and of each of them what: objects as rows write them.
        """
        key = subject.name, domain, connector, subject.groups, self._eras.at(now)
        if (known := self._lent.get(key)) is not None:
            return known
        names = self.known(subject.name, domain, subject.groups, now).names.allow
        found: dict[str, dict[str, None]] = {}
        for row in self._loans(names, domain):
            if row.lives(now) and covers(row.rule, connector) and row.rule.owner != subject.name:
                found.setdefault(row.rule.owner, {})[row.rule.object] = None
        return self._lent.put(key, {owner: tuple(found[owner]) for owner in sorted(found)})

    def administers(self, subject: Subject, domain: str, now: int) -> tuple[Row, ...]:
        """The living rows that find ``subject`` and are about administration."""
        key = subject.name, domain, subject.groups, self._eras.at(now)
        if (known := self._administers.get(key)) is not None:
            return known
        names = self.known(subject.name, domain, subject.groups, now).names.deny
        rows = (row for row in self._of(names, domain) if row.rule.subject in names and row.lives(now))
        return self._administers.put(key, tuple(row for row in rows if is_administration(row.rule)))

    def enters(self, subject: Subject, domain: str, now: int) -> bool:
        """Whether some living allow of ``domain`` itself lets ``subject`` use or connect anything there, and no deny
        takes it all.
        """
        key = subject.name, domain, subject.groups, self._eras.at(now)
        if (known := self._enters.get(key)) is not None:
            return known
        names = self.known(subject.name, domain, subject.groups, now).names
        rules = [row.rule for row in self._of(names.deny, domain) if row.rule.subject in names.deny and row.lives(now)]
        let_in = any(rule.domain == domain and lets_in(rule) and rule.subject in names.allow for rule in rules)
        return self._enters.put(key, let_in and not any(map(shuts_out, rules)))

    def _loans(self, names: frozenset[str], domain: str) -> Iterable[Row]:
        return (row for layer in self._layers for row in layer.index.lent(names, domain))

    def _of(self, names: frozenset[str], domain: str) -> Iterable[Row]:
        """The rows of ``names``, at least."""
        found = (found for layer in self._layers for found in layer.index.of(names, domain))
        return (row for each in found for row in rows_in(each))

    def demand(self, access: Access) -> Demand | None:
        """What a question leaves to its arguments; ``None`` when none help. Equal ones are the same object. Raises
        ``ValueError`` when nobody who can ask asks.
        """
        return self.answer(access).demand(access.context, self._same)

    def solved(self, demands: Sequence[Demand], narrowing: Narrowing) -> bool | None:
        """Whether some arguments meet all of ``demands`` (of ``demand``); of a schema only the digest is kept, because
        foreign servers write them.
        """
        key = demands[0] if len(demands) == 1 else frozenset(demands), narrowing.digest
        try:
            return self._solutions[key]
        except KeyError:
            return self._solutions.put(key, possible(demands, narrowing.value))

    def _same(self, demand: Demand) -> Demand:
        return self._demands.get(demand) or self._demands.put(demand, demand)

    def _key(self, access: Access) -> Key:
        """All of a question that the rows which fit it depend on."""
        context = access.context
        era = self._eras.of(context)
        return access.subject, access.domain, access.owner, access.object, access.action, context.groups, era

    def _kept(self, key: Key, answer: Answer) -> Answer:
        """The answer, remembered; but for a long object, because clients choose those of resources."""
        return answer if len(str(key[3])) > LONGEST else self._answers.put(key, answer)

    def _asking(self, access: Access) -> Known:
        if not is_subject(access.subject):
            raise ValueError("only users, end users and servers can ask")
        return self.known(access.subject, access.domain, access.context.groups, moment(access.context))

    def _candidates(self, access: Access, known: Known) -> Sequence[Row]:
        """The living rows that can match, in Casbin's order."""
        now = moment(access.context)
        layers = zip(self._layers, known.rows, strict=True)
        found = [_living(layer.index.find(rows, access.object), now) for layer, rows in layers if rows]
        return in_casbins_order(found)

    def _judged(self, access: Access, key: Key, known: Known, rows: Sequence[Row]) -> Verdict:
        if not rows or self._court is None:
            self._kept(key, Answer.over((), judged=True))
            return Reason.NO_RULE, None
        heard = self._court.judge(question(access, known.names), rows)
        self._kept(key, Answer.over(heard.fitting, judged=True))
        if heard.row is None:
            return Reason.NO_RULE, None
        return Reason.ALLOWED if heard.allowed else Reason.DENIED, heard.row.rule


class PlainFinder(Finder):
    """The fallback, without an index and without a memory: whatever they may be wrong about, this is not."""

    _memory = NoMemory

    def _candidates(self, access: Access, known: Known) -> Sequence[Row]:  # noqa: ARG002 (whoever asks)
        """All living rows."""
        return _living(self._all, moment(access.context))

    def _loans(self, names: frozenset[str], domain: str) -> Iterable[Row]:
        there = (row for row in self._all if row.rule.subject in names and dom_match(domain, row.rule.domain))
        return (row for row in there if is_loan(row.rule))

    def _of(self, names: frozenset[str], domain: str) -> Iterable[Row]:  # noqa: ARG002 (whoever asks)
        return (row for row in self._all if dom_match(domain, row.rule.domain))

    @cached_property
    def _all(self) -> list[Row]:
        return in_casbins_order(layer.rows for layer in self._layers)


def _living(rows: Sequence[Row], now: int | None) -> Sequence[Row]:
    return [row for row in rows if row.rule.expires is None or row.lives(now)]


def _reading(files: Mapping[str, Condition], grants: Mapping[str, Condition]) -> Callable[[str], Condition]:
    return lambda text: files.get(text) or grants[text]
