"""Findings about single conditions, and about what several of them spell differently.

A condition that stands in many rows is told once, at its first row. This file compares no rows.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from gateway.analysis.lint.findings import Code, Finding, listed, told
from gateway.analysis.lint.ground import Ground
from gateway.analysis.lint.meaning import Meanings
from gateway.policy.condition_nodes import And, Check, Each, Node, Not, Or, Path, written
from gateway.policy.condition_values import Compare, Constant, OneOf, Op
from gateway.policy.conditions import Condition
from gateway.policy.goals import ARGS, AllOf, AnyOf, Goal, Literal, Want, all_of, any_of, goal_of
from gateway.policy.possible import CAP, Demand, Residual, possible
from gateway.policy.terms import Context, Effect, Place, Rule

EMPTY_ROOTS: Final = ("claims", "client")
"""Empty as long as everybody comes with an API key."""

CONNECTION: Final = "connection"
"""Empty where none is used."""

_ROOTS: Final = frozenset(("args", "claims", "client", "connection", "env", "owner", "tool"))
_UPPER: Final = (Op.BELOW, Op.AT_MOST)
_LOWER: Final = (Op.ABOVE, Op.AT_LEAST)


def conditions(ground: Ground, meanings: Meanings) -> Iterator[Finding]:
    """What is wrong with each condition by itself, and what its root, bound or size makes of it."""
    groups: dict[tuple[str, Effect], list[Rule]] = {}
    for rule in ground.rules:
        if rule.when:
            groups.setdefault((rule.when, rule.effect), []).append(rule)
    for done, ((text, effect), rules) in enumerate(groups.items(), start=1):
        told(ground.progress, "conditions", done, len(groups))
        for code, sentence in _faults(text, effect, ground.conditions[text], meanings):
            yield Finding(code, rules[0].place, sentence, tuple(rule.place for rule in rules[1:]))


def _faults(text: str, effect: Effect, condition: Condition, meanings: Meanings) -> Iterator[tuple[Code, str]]:
    outcome = _outcome(text, effect, meanings)
    if outcome is not None:
        yield outcome
        return
    yield from _empty_roots(text, effect, condition)
    yield from _bounds(text, effect, condition.node)
    if _is_beyond_cap(condition, effect):
        sentence = (
            f"condition `{text}` takes more than {CAP} points to search, so that what it is about is always listed "
            f"(calls are decided exactly); split the row"
        )
        yield Code.BEYOND_CAP, sentence


def _outcome(text: str, effect: Effect, meanings: Meanings) -> tuple[Code, str] | None:
    """What a condition comes to when it comes to the same in every context."""
    if effect is Effect.ALLOW and meanings.can(text, Want.TRUE) is False:
        return Code.NEVER_ALLOWS, f"condition `{text}` is never true, so the row allows nothing; correct or remove it"
    if effect is Effect.DENY and meanings.can(text, Want.NOT_FALSE) is False:
        return Code.NEVER_DENIES, f"condition `{text}` is always false, so the row denies nothing; correct or remove it"
    off = Want.NOT_TRUE if effect is Effect.ALLOW else Want.FALSE
    if meanings.can(text, off) is False:
        what = "true" if effect is Effect.ALLOW else "true or unknown"
        sentence = f"condition `{text}` is always {what}, so the row says the same without it; remove the condition"
        return Code.CONDITION_ALWAYS, sentence
    return None


def _empty_roots(text: str, effect: Effect, condition: Condition) -> Iterator[tuple[Code, str]]:
    read = {path[0] for path in condition.fields}
    if effect is Effect.DENY and CONNECTION in read:
        sentence = (
            f"condition `{text}` reads `{CONNECTION}`, empty where no connection is used: there the deny is on; see "
            "that its object names connectors with accounts only"
        )
        yield Code.EMPTY_ROOT, sentence
    if roots := sorted(read.intersection(EMPTY_ROOTS)):
        what = "an allow is off" if effect is Effect.ALLOW else "a deny is on"
        sentence = (
            f"condition `{text}` reads {listed(f'`{root}`' for root in roots)}, empty as long as everybody comes with "
            f"an API key: {what} where that is asked; see that the row does what it should today"
        )
        yield Code.EMPTY_ROOT, sentence


def _bounds(text: str, effect: Effect, node: Node) -> Iterator[tuple[Code, str]]:
    sides: dict[Path, set[bool]] = {}
    for path, upper in _limits(node, positive=effect is Effect.ALLOW):
        sides.setdefault(path, set()).add(upper)
    for path, found in sides.items():
        if found == {True}:
            sentence = (
                f"condition `{text}` lets `{written(path)}` be as small as anyone likes, negative too; give it a lower "
                f"bound as well, such as `{written(path)} > 0`"
            )
            yield Code.UPPER_BOUND_ONLY, sentence


def _limits(node: Node, *, positive: bool, below: Path = ()) -> Iterator[tuple[Path, bool]]:
    """The arguments that are compared with numbers, and whether what passes has an upper bound by that."""
    match node:
        case And(parts) | Or(parts):
            for part in parts:
                yield from _limits(part, positive=positive, below=below)
        case Not(part):
            yield from _limits(part, positive=not positive, below=below)
        case Check(path, Each(body=body)):
            yield from _limits(body, positive=positive, below=_joined(below, path))
        case Check(path, predicate) if _joined(below, path)[0] == ARGS:
            yield from ((_joined(below, path), upper) for upper in _sides(predicate, positive=positive))


def _joined(below: Path, path: Path) -> Path:
    return (*below, *path[1:]) if below else path


def _sides(predicate: object, *, positive: bool) -> Iterator[bool]:
    match predicate:
        case Compare(op, Constant(kind, _)) if kind is float and op in (*_UPPER, *_LOWER):
            yield (op in _UPPER) is positive
        case Compare(Op.EQUAL, Constant(kind, _)) if kind is float and positive:
            yield from (True, False)


def _is_beyond_cap(condition: Condition, effect: Effect) -> bool:
    """Whether a listing cannot find out if some arguments reach the goal, where all else leaves most open."""
    want = Want.TRUE if effect is Effect.ALLOW else Want.FALSE
    goal = _of_arguments(goal_of(condition.node, want, _ROOTS, Context()))
    if isinstance(goal, bool):
        return False
    left = (Residual(goal),)
    demand = Demand(allows=left) if effect is Effect.ALLOW else Demand(denies=left, open=True)
    return possible((demand,)) is None


def _of_arguments(goal: Goal) -> Goal:
    """The goal without what asks for anything but arguments, as if that did not decide."""
    match goal:
        case Literal():
            return goal if goal.path[0] == ARGS else True
        case AllOf(parts):
            return all_of(kept for part in parts if not isinstance(kept := _of_arguments(part), bool))
        case AnyOf(parts):
            left = [each for part in parts if not isinstance(each := _of_arguments(part), bool)]
            return any_of(left) if left else True
    return goal


def case_variants(ground: Ground) -> Iterator[Finding]:
    """Names and constants that differ in capital letters only: comparison is exact, so that one is likely a slip."""
    first: dict[tuple[str, str], dict[str, Place]] = {}
    for rule in ground.rules:
        _note(first, "subject", rule.subject, rule.place)
        _note(first, "object", rule.object, rule.place)
        for path, value in _texts(ground.conditions[rule.when].node):
            _note(first, f"`{written(path)}` with", value, rule.place)
    for link in ground.links:
        _note(first, "subject", link.member, link.place)
        _note(first, "subject", link.role, link.place)
    for (what, _), spelled in first.items():
        if len(spelled) > 1:
            yield _variant(what, spelled)


def _note(first: dict[tuple[str, str], dict[str, Place]], what: str, value: str, place: Place) -> None:
    first.setdefault((what, value.casefold()), {}).setdefault(value, place)


def _variant(what: str, spelled: Mapping[str, Place]) -> Finding:
    *others, place = spelled.values()
    kind = f"{what} constants" if what.endswith("with") else f"{what}s"
    sentence = (
        f"the {kind} {listed(f'`{each}`' for each in spelled)} differ in capital letters only, and so they are not "
        f"the same; see that both are meant"
    )
    return Finding(Code.CASE_VARIANTS, place, sentence, tuple(others))


def _texts(node: Node, below: Path = ()) -> Iterator[tuple[Path, str]]:
    """The texts with which fields are compared for being equal."""
    match node:
        case And(parts) | Or(parts):
            for part in parts:
                yield from _texts(part, below)
        case Not(part):
            yield from _texts(part, below)
        case Check(path, Each(body=body)):
            yield from _texts(body, _joined(below, path))
        case Check(path, predicate):
            values: Iterable[object] = ()
            if isinstance(predicate, OneOf):
                values = sorted((each.value for each in predicate.members), key=str)
            elif isinstance(predicate, Compare) and predicate.op in (Op.EQUAL, Op.OTHER):
                values = (predicate.constant.value,)
            yield from ((_joined(below, path), value) for value in values if isinstance(value, str))


def secrets_unread(ground: Ground) -> Iterator[Finding]:
    """`@secret` for arguments that no condition reads: only those are ever written down."""
    read = {".".join(path[1:]) for each in ground.conditions.values() for path in each.fields if path[0] == ARGS}
    for secret in sorted(ground.bundle.secrets):
        if not any(f"{path}.".startswith(f"{secret}.") or f"{secret}.".startswith(f"{path}.") for path in read):
            sentence = (
                f"`@secret args.{secret}` keeps nothing out of the audit, because no condition reads it; correct "
                f"the path, or remove it"
            )
            yield Finding(Code.SECRET_UNREAD, ground.file("*.csv"), sentence)
