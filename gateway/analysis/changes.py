"""What differs between two bundles, row by row: what somebody would read before he applies one of them.

This says how the text differs; what that does to anybody's rights is another question. Knows values only.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import unified_diff
from typing import Final, TypeAlias

from msgspec import structs

from gateway.analysis.wording import in_order
from gateway.policy.bundle import Bundle
from gateway.policy.limits import DEFAULT, Limit, Limits
from gateway.policy.rows import as_written
from gateway.policy.terms import Link, Place, Rule

Row: TypeAlias = Rule | Link

_NOWHERE: Final = Place("")
_CONTEXT: Final = 3
_DAY_MS: Final = 24 * 60 * 60 * 1000


@dataclass(frozen=True, slots=True)
class Changes:
    """``changed`` pairs each row with what became of it. ``texts`` are lines of a unified list: the model, the limits,
    the secret arguments and the policy's own tests.
    """

    added: tuple[Row, ...] = ()
    removed: tuple[Row, ...] = ()
    changed: tuple[tuple[Row, Row], ...] = ()
    texts: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed or self.texts)


def changes(old: Bundle, new: Bundle) -> Changes:
    """What of ``old`` has to be removed, added and changed to have ``new``. A row that only moved is no change.

    Of the others, rows with one ``@id`` are the same row, then rows about the same subject, domain, owner, object,
    action and effect, or about the same member and role.
    """
    left, right = _without_equals((*old.rules, *old.links), (*new.rules, *new.links))
    changed: list[tuple[Row, Row]] = []
    for identity in (_by_id, _by_columns):
        left, right, pairs = _paired(left, right, identity)
        changed += pairs
    changed.sort(key=lambda pair: in_order(pair[1]))
    return Changes(tuple(right), tuple(left), tuple(changed), tuple(_texts(old, new)))


def row_words(row: Row) -> str:
    """A row as files write it, its annotations behind it."""
    notes = {"id": row.id, "owner": row.responsible, "ticket": row.ticket, "expires": _day(row.expires)}
    return as_written(row) + "".join(f" @{name} {value}" for name, value in notes.items() if value)


def _day(expires: int | None) -> str:
    """An expiry (ms since the epoch) as annotations write it: files know days, grants know moments."""
    if expires is None:
        return ""
    moment = datetime.fromtimestamp(expires / 1000, UTC)
    return moment.strftime("%Y-%m-%d") if expires % _DAY_MS == 0 else moment.isoformat(timespec="seconds")


def _without_equals(old: Sequence[Row], new: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """Both without the rows that say the same, wherever they stand; of three equal rows against two, one is left."""
    left, right, _ = _paired(old, new, lambda row: structs.replace(row, place=_NOWHERE))
    return left, right


def _paired(
    old: Iterable[Row], new: Iterable[Row], identity: Callable[[Row], Hashable]
) -> tuple[list[Row], list[Row], list[tuple[Row, Row]]]:
    """What is left of both, in order of place, and the pairs with one identity (``None`` has none)."""
    waiting: defaultdict[Hashable, list[Row]] = defaultdict(list)
    for row in sorted(old, key=in_order, reverse=True):
        waiting[identity(row)].append(row)
    alone = waiting.pop(None, [])
    pairs, right = [], []
    for row in sorted(new, key=in_order):
        name = identity(row)
        if name is not None and waiting.get(name):
            pairs.append((waiting[name].pop(), row))
        else:
            right.append(row)
    left = [row for rows in (alone, *waiting.values()) for row in rows]
    return sorted(left, key=in_order), right, pairs


def _by_id(row: Row) -> Hashable:
    return (type(row), row.id) if row.id else None


def _by_columns(row: Row) -> Hashable:
    if isinstance(row, Link):
        return row.member, row.role
    return row.subject, row.domain, row.owner, row.object, row.action, row.effect


def _texts(old: Bundle, new: Bundle) -> Iterable[str]:
    yield from _difference("model.conf", old.model, new.model)
    yield from _difference("limits.toml", _limits_text(old.limits), _limits_text(new.limits))
    yield from _difference("@secret", _lines(old.secrets), _lines(new.secrets))
    yield from _difference("@lint-ok", _accepted(old), _accepted(new))
    for name, (before, after) in _by_name(old.cases, new.cases).items():
        yield from _difference(f"tests/{name}", before, after)


def _accepted(bundle: Bundle) -> str:
    """What lint may find in which row."""
    every: tuple[Row, ...] = (*bundle.rules, *bundle.links) if bundle.accepted else ()
    rows = ((row, bundle.accepted.get(str(row.place), ())) for row in every)
    return _lines(f"{' '.join(codes)}: {row_words(row)}" for row, codes in rows if codes)


def _by_name(old: Mapping[str, str], new: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """The texts of tests by the names of their files: the folder above may be called otherwise."""
    before, after = ({path.rpartition("/")[2]: text for path, text in each.items()} for each in (old, new))
    return {name: (before.get(name, ""), after.get(name, "")) for name in sorted(before | after)}


def _difference(name: str, old: str, new: str) -> Iterable[str]:
    return unified_diff(old.splitlines(), new.splitlines(), name, name, n=_CONTEXT, lineterm="")


def _lines(texts: Iterable[str]) -> str:
    return "\n".join(sorted(texts))


def _limits_text(limits: Limits) -> str:
    """Limits as values, without comments and the order in which they are written."""
    classes = (f"class {each.name}: {_limit_words(each.limit)}" for each in limits.classes)
    objects = (
        f"object {each.match} for {each.klass or 'everybody'}: {_limit_words(each.limit)}" for each in limits.objects
    )
    return _lines((f"class {DEFAULT}: {_limit_words(limits.default)}", *classes, *objects))


def _limit_words(limit: Limit) -> str:
    return f"{limit.calls} calls in {limit.window_ms / 1000:g} s"
