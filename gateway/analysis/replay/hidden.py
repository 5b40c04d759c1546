"""What a policy answers to a question of which some values are hidden: yes, no, or "that depends on them".

A hidden value still tells three things. It is there; it is of some kind; and its keyed hash is that of a constant or
it is not, so that ``==``, ``!=`` and ``in`` can be judged. Everything else about it stays open, and an answer counts
only when it is the same whatever the hidden values are. This file knows no keys.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from gateway.analysis.replay.recorded import Hidden, Recorded
from gateway.policy.condition_nodes import IT, And, Check, Each, Node, Not, Or, Path, Predicate
from gateway.policy.condition_text import MAX_NUMBER, MAX_TEXT
from gateway.policy.condition_values import Absent, Compare, Kleene, OneOf, Op, Present, descend, kind_of
from gateway.policy.engine import Policy
from gateway.policy.terms import Access, Context, Effect, Reason, Rule

Digest: TypeAlias = Callable[[object], str]
"""A JSON value to the keyed hash that an audit entry shows instead of it."""

ROOTS: Final = ("args", "claims")
_OPEN: Final = object()
_STAND_INS: Final[Mapping[str, object]] = {"t": "x" * (MAX_TEXT + 1), "n": 10 ** (MAX_NUMBER + 1), "o": object()}
"""Values that no constant can equal, by the letter of their kind."""

_EVERYDAY: Final[tuple[object, ...]] = (None, True, False, [], {})
"""Values that are always worth a try."""


@dataclass(frozen=True, slots=True)
class Answer:
    """``allowed`` is ``None`` where it depends on what is hidden: then ``hidden`` names it (``args.text``)."""

    allowed: bool | None
    rule: Rule | None = None
    hidden: tuple[str, ...] = ()


class Asking:
    """One policy, to be asked recorded questions; ``digests`` are the keyed hashes by what tells their keys apart."""

    def __init__(self, policy: Policy, digests: Mapping[str, Digest]) -> None:
        self._policy = policy
        self._digests = digests
        self._args, self._claims = (_first_names(policy, root) for root in ROOTS)
        self._known: dict[tuple[str, type, object], str] = {}

    def answer(self, question: Recorded) -> Answer:
        """What the policy answers; what none of its conditions reads is as good as not there. Raises ``ValueError`` on
        text that no gateway has written.
        """
        if not (any(each.hides(self._args) for each in question.args) or question.claims.hides(self._claims)):
            decision = self._policy.decide(question.chain)
            if decision.reason is Reason.FAULT:
                raise ValueError("what is recorded cannot be read")
            return Answer(decision.allowed, decision.rule)
        answers = [self._judged(access, question.key) for access in question.chain]
        denied = next((each for each in answers if each.allowed is False), None)
        if denied is not None:
            return denied
        hidden = tuple(dict.fromkeys(name for each in answers if each.allowed is None for name in each.hidden))
        return Answer(None, hidden=hidden) if hidden else answers[0]

    def _judged(self, access: Access, key: str) -> Answer:
        """The rows that match, each judged as far as it goes."""
        scope = _Scope(access.context, self._digests.get(key), self._known, key)
        allow: Rule | None = None
        open_allow = open_deny = False
        for rule in self._policy.matching(access):
            denies = rule.effect is Effect.DENY
            reached = scope.reaches(self._policy.condition(rule.when).node, not denies)
            if denies and reached is False:
                return Answer(False, rule)
            open_deny |= denies and reached is None
            open_allow |= not denies and reached is None
            if not denies and reached:
                allow = rule
        if allow is None and not open_allow:
            return Answer(False)
        if open_deny or allow is None:
            return Answer(None, hidden=tuple(scope.missed))
        return Answer(True, allow)


@dataclass(slots=True)
class _Scope:
    """One context, or an element of a list in it (``element``), and the key that its hashes were made with."""

    context: Context
    digest: Digest | None
    known: dict[tuple[str, type, object], str]
    key: str
    element: Any = None
    missed: dict[str, None] = field(default_factory=dict)
    """Hidden values on which something depended."""

    def reaches(self, node: Node, wanted: bool) -> Kleene:
        """Whether ``node`` judges ``wanted``; ``None`` where that depends on what is hidden."""
        match node:
            case Check(path, predicate) if path[0] in (*ROOTS, IT):
                return self._check(self._value(path), predicate, wanted)
            case And(parts) | Or(parts):
                answers = (self.reaches(part, wanted) for part in parts)
                return _every(answers) if isinstance(node, And) is wanted else _some(answers)
            case Not(part):
                return self.reaches(part, not wanted)
            case _:
                return node.judge(self.context) is wanted

    def _value(self, path: Path) -> object:
        """What stands at ``path``; below something hidden, ``Hidden`` without a hash of its own."""
        value = self.element if path[0] == IT else getattr(self.context, path[0])
        for key in path[1:]:
            value = _below(value) if isinstance(value, Hidden) else descend(value, (key,))
        return value

    def _check(self, value: object, predicate: Predicate, wanted: bool) -> Kleene:
        if isinstance(value, Hidden):
            alike = self._alike(value, predicate)
            if alike is _OPEN:
                self.missed[value.at] = None
                return None
            return predicate.judge(alike) is wanted
        if isinstance(predicate, Each) and isinstance(value, list | tuple):
            answers = (self._inside(element).reaches(predicate.body, wanted) for element in value)
            return _every(answers) if predicate.every is wanted else _some(answers)
        return predicate.judge(value) is wanted

    def _inside(self, element: object) -> "_Scope":
        return _Scope(self.context, self.digest, self.known, self.key, element, self.missed)

    def _alike(self, value: Hidden, predicate: Predicate) -> object:
        """A value that the predicate cannot tell from the hidden one; ``_OPEN`` where there may be none."""
        if not value.digest:
            return _OPEN
        if isinstance(predicate, Present) or value.kind == "z":
            return None
        for each in (*_constants(predicate), *_EVERYDAY):
            if self._hashed(each) == value.digest:
                return each
        if value.kind not in _STAND_INS:
            return _OPEN
        stand_in = _STAND_INS[value.kind]
        match predicate:
            case Compare(Op.EQUAL | Op.OTHER) | OneOf():
                depends = self.digest is None and kind_of(stand_in) in map(kind_of, _constants(predicate))
            case Compare(_, constant):
                depends = constant.kind is kind_of(stand_in)
            case Each():
                depends = value.kind == "o"
            case _:
                depends = value.kind == "t"
        return _OPEN if depends else stand_in

    def _hashed(self, value: Any) -> str:
        if self.digest is None:
            return ""
        name = (self.key, type(value), repr(value))
        if name not in self.known:
            self.known[name] = self.digest(value)
        return self.known[name]


def _below(value: Hidden) -> object:
    """What stands below a hidden value: unknown as below anything that is no object, or hidden with it."""
    return Absent.UNKNOWN if value.kind in ("t", "n", "b", "z") else Hidden("", value.at, "")


def _first_names(policy: Policy, root: str) -> frozenset[str]:
    """The first names that the conditions of a policy read below ``root``."""
    texts = {rule.when for rule in policy.rules}
    return frozenset(path[1] for text in texts for path in policy.condition(text).fields if path[0] == root)


def _constants(predicate: Predicate) -> Iterator[object]:
    """The constants of a predicate, in every form in which an equal value may have been written."""
    match predicate:
        case Compare(_, constant):
            yield from _forms(constant.value)
        case OneOf(members):
            for member in members:
                yield from _forms(member.value)


def _forms(value: Any) -> Iterator[object]:
    yield value
    if type(value) not in (int, float):
        return
    if value == 0:
        yield -0.0
    yield float(value)
    if value == value // 1:
        yield int(value)


def _every(answers: Iterable[Kleene]) -> Kleene:
    result: Kleene = True
    for each in answers:
        if each is False:
            return False
        if each is None:
            result = None
    return result


def _some(answers: Iterable[Kleene]) -> Kleene:
    inverted = _every(None if each is None else not each for each in answers)
    return None if inverted is None else not inverted
