"""By which questions an operation could be allowed of which only the kind is known: neither whose record, nor its name.

Rows tell owners and names apart only by what they say of them. So it is enough to ask about those that the allows
name, about an owner and a name that no row foresees, and about the roles and names that conditions compare with. This
file decides nothing: each question is put to the policy as any other.
"""

from collections.abc import Iterable, Iterator
from itertools import combinations, islice
from typing import Final, NamedTuple

from gateway.policy.condition_nodes import IT, And, Check, Each, Node, Not, Or, Path, Predicate
from gateway.policy.condition_values import Affix, Compare, OneOf
from gateway.policy.index import Row
from gateway.policy.model import act_match, obj_match
from gateway.policy.spelling import spelled_name
from gateway.policy.terms import SYSTEM, Effect, Rule

FRESH: Final = "\x00"
"""A character that no row can hold: what follows a prefix in a name that no rule foresees."""

SOMEBODY: Final = f"user:{FRESH}"
"""A user whom no row foresees."""

MOST: Final = 64
"""Sets of roles, and names, of which one question tries so many."""

_ROLES: Final = ("owner", "roles")
_NAME: Final = ("tool", "name")


class Opening(NamedTuple):
    """One question: about ``object``, of a record of ``owner``, whose roles are ``roles`` (``None``: his own ones)."""

    object: str
    owner: str
    roles: tuple[str, ...] | None


def openings(rows: Iterable[Row], subject: str, object: str, action: str) -> Iterator[Opening]:
    """The questions of ``subject`` that one of ``rows`` could answer with yes; those are living ones that find him.
    ``object`` may end in ``*``: then it is something of that kind, as in a row that allows.
    """
    there = [row for row in rows if _concerns(row, object, action)]
    allows = [row.rule for row in there if row.rule.effect is Effect.ALLOW]
    conditions = [row.condition.node for row in there] if allows else []
    for rule in allows:
        for owner, roles in _owners(rule, subject, conditions):
            for name in _objects(rule, object, conditions):
                yield Opening(name, owner, roles)


def _concerns(row: Row, object: str, action: str) -> bool:
    rule, stem = row.rule, object.removesuffix("*")
    below = stem != object and rule.object.startswith(stem)
    return act_match(action, rule.action, rule.effect) and (below or obj_match(stem, rule.object, rule.effect))


def _owners(rule: Rule, subject: str, conditions: Iterable[Node]) -> Iterator[tuple[str, tuple[str, ...] | None]]:
    if rule.owner != "*":
        yield (subject if rule.owner == "self" else rule.owner), None
        return
    yield SOMEBODY, ()
    yield subject, None
    yield SYSTEM, ()
    named = _texts_of(conditions, _ROLES)
    some = (roles for many in range(1, len(named) + 1) for roles in combinations(named, many))
    yield from ((SOMEBODY, roles) for roles in islice(some, MOST))


def _objects(rule: Rule, object: str, conditions: Iterable[Node]) -> Iterator[str]:
    pattern = rule.object
    if not object.endswith("*"):
        yield object
        return
    stem = object[:-1]
    if not pattern.endswith("*"):
        if _is_one(pattern, object):
            yield pattern
        return
    prefix = max(stem, pattern[:-1], key=len) or f"{FRESH}/"
    texts = (text + more for text in _texts_of(conditions, _NAME) for more in ("", FRESH))
    names = (prefix + name for name in (FRESH, *(spelled_name(text) for text in islice(texts, MOST))))
    yield from (name for name in names if _is_one(name, object))


def _is_one(object: str, pattern: str) -> bool:
    """Whether it is something of the kind: a prompt is no tool of its connector."""
    name = object[len(pattern) - 1 :]
    return bool(name) and ":" not in name and obj_match(object, pattern, Effect.ALLOW)


def _texts_of(conditions: Iterable[Node], path: Path) -> list[str]:
    """The texts with which conditions compare a field, or the elements of that list."""
    return sorted(frozenset[str]().union(*(_texts_in(node, path) for node in conditions)))


def _texts_in(node: Node, path: Path) -> frozenset[str]:
    match node:
        case Check(found, Each() as each) if found == path:
            return _texts_in(each.body, (IT,))
        case Check(found, predicate) if found == path:
            return _texts(predicate)
        case Not(part):
            return _texts_in(part, path)
        case And(parts) | Or(parts):
            return frozenset[str]().union(*(_texts_in(part, path) for part in parts))
        case _:
            return frozenset()


def _texts(predicate: Predicate) -> frozenset[str]:
    match predicate:
        case Compare(_, constant):
            members = {constant}
        case OneOf(found):
            members = {*found}
        case Affix(_, text):
            return frozenset((text,))
        case _:
            members = set()
    return frozenset(each.value for each in members if isinstance(each.value, str))
