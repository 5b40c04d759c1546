"""One value for each region into which constants cut all numbers, all texts and all network addresses.

Two values of one region are alike to every predicate that was given, so that trying the representatives
is trying everything. This file knows no fields, no goals and no schema.
"""

from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from itertools import chain, count, pairwise
from math import ceil, floor, inf, nextafter
from sys import maxunicode
from typing import Any, Final

from gateway.policy.condition_nodes import Cidr, Hours, Predicate
from gateway.policy.condition_values import Affix, Compare, Constant, OneOf, Op, Side, is_text

_WHOLE: Final = 2**53
"""From here on every float is a whole number."""

_FILLERS: Final = (*b"xyz0123456789", *range(0xE000, 0xF900), *range(0xF0000, 0xFFFFE))
"""Signs that combine with nothing before them; those for private use combine with nothing behind them either."""

IMPROPER: Final = "e\u0301"
"""A text that every predicate finds unknown, because it is not in normal form C."""

_BLOCKS: Final = tuple(ip_network(each) for each in ("0.0.0.0/0", "::/0", "::ffff:0:0/96"))
"""All addresses of each kind, and those of the second that count as the first."""


def scalars(predicates: Sequence[Predicate | Cidr | Hours], bounds: Iterable[float] = ()) -> Iterator[Any]:
    """A value of every region of the scalars; ``bounds`` are further numbers at which regions end."""
    constants = [(each, op) for predicate in predicates for each, op in _constants(predicate)]
    affixes = [predicate for predicate in predicates if isinstance(predicate, Affix)]
    networks = [predicate.network for predicate in predicates if isinstance(predicate, Cidr)]
    equal = {str(each.value) for each, _ in constants if each.kind is str}
    yield from (None, True, False)
    yield from numbers(number_points(predicates).union(bounds))
    yield from texts(
        equal=equal,
        ordered={each.value for each, op in constants if each.kind is str and op not in (Op.EQUAL, Op.OTHER)},
        prefixes={affix.text for affix in affixes if affix.side is Side.STARTS},
        suffixes={affix.text for affix in affixes if affix.side is Side.ENDS},
    )
    yield IMPROPER
    if networks:
        yield from addresses(networks, other_than=equal)


def number_points(predicates: Iterable[Predicate | Cidr | Hours]) -> set[Any]:
    """The numbers with which predicates compare."""
    return {each.value for predicate in predicates for each, _ in _constants(predicate) if each.kind is float}


def _constants(predicate: Predicate | Cidr | Hours) -> Iterator[tuple[Constant, Op]]:
    match predicate:
        case Compare(op, constant):
            yield constant, op
        case OneOf(members):
            yield from ((member, Op.EQUAL) for member in members)


def numbers(points: set[Any]) -> Iterator[float]:
    """The points, one number below, one above, one between neighbours (a whole one where there is one)."""
    ordered = sorted(points) or [0]
    yield from (*ordered, floor(ordered[0]) - 1, ceil(ordered[-1]) + 1)
    for low, high in pairwise(ordered):
        whole = floor(low) + 1
        if whole < high:
            yield whole
        elif abs(low) < _WHOLE and nextafter(low, inf) < high:
            yield nextafter(low, inf)


def texts(*, equal: set[Any], ordered: set[Any], prefixes: set[str], suffixes: set[str]) -> Iterator[str]:
    """A text of every region.

    The texts with a prefix are an interval in the order of texts. So between two neighbouring points (the
    ordered constants, where prefixes begin and where they end) texts differ by equality and suffixes only.
    """
    ends = (_after(prefix) for prefix in prefixes)
    points = sorted({"", *ordered, *prefixes, *(end for end in ends if end is not None)})
    filler = _filler(equal | ordered | prefixes | suffixes, suffixes)
    yield from sorted(equal.union(points))
    for low, high in zip(points, [*points[1:], None], strict=True):
        free, finite = _between(low, high, filler)
        yield from finite
        if free is not None:
            yield from (free + suffix for suffix in ("", *sorted(suffixes)))


def addresses(networks: Iterable[IPv4Network | IPv6Network], *, other_than: set[str]) -> Iterator[str]:
    """An address of every part into which networks cut all addresses, written like none of ``other_than``.

    Networks are nested or apart, so each part begins where one of them begins or right behind one.
    """
    for block in (*networks, *_BLOCKS):
        yield _spelled(block.network_address, other_than)
        if int(block.broadcast_address) < 2**block.max_prefixlen - 1:
            yield _spelled(block.broadcast_address + 1, other_than)


def _spelled(address: IPv4Address | IPv6Address, other_than: set[str]) -> str:
    """An address as a text; there is always one more, because a zone does not change the address."""
    mapped = f"::ffff:{address}" if isinstance(address, IPv4Address) else str(address)
    spellings = chain((str(address), mapped), (f"{mapped}%{zone}" for zone in count()))
    return next(each for each in spellings if each not in other_than)


def _after(prefix: str) -> str | None:
    """The first text behind all that start with the prefix, or ``None``. What no proper text starts with is
    skipped, because nothing proper lies there.
    """
    for length in range(len(prefix), 0, -1):
        head, last = prefix[: length - 1], ord(prefix[length - 1])
        for code in range(last + 1, maxunicode + 1):
            if is_text(head + chr(code)):
                return head + chr(code)
    return None


def _between(low: str, high: str | None, filler: str) -> tuple[str | None, list[str]]:
    """A text strictly between two that stays there however it is continued, or else all texts between them."""
    if high is None or not high.startswith(low):
        return low + filler, []
    rest = high[len(low) :]
    at = next((index for index, sign in enumerate(rest) if sign != "\0"), None)
    if at is None:
        return None, [low + rest[:length] for length in range(1, len(rest))]
    return low + rest[:at] + ("0" if rest[at] > "0" else "\0") + filler, []


def _filler(constants: set[str], suffixes: set[str]) -> str:
    """A sign that stands in no constant (so that nothing longer than a suffix is matched by accident) and
    combines with no suffix behind it.
    """
    used = frozenset().union(*constants)
    free = (sign for sign in map(chr, _FILLERS) if sign not in used)
    return next((sign for sign in free if all(is_text(sign + each) for each in suffixes)), chr(_FILLERS[-1]))
