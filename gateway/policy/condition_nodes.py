"""The tree of a condition: every node carries its judgement as a closure, made once, and prints as text.

Printing gives one canonical text per tree, and reading that text gives the same tree again. The roots are the
fields of a ``Context``; below ``every`` and ``some`` the only root is ``it``. This file reads no text.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from operator import attrgetter
from typing import Any, Final, TypeAlias

from gateway.policy.condition_values import Absent, Affix, Compare, Judge, Kleene, OneOf, Present, descend, quoted
from gateway.policy.terms import Context

Path: TypeAlias = tuple[str, ...]
"""A root and the names below it: ``("args", "channel")``."""

IT: Final = "it"
LONGEST_ADDRESS: Final = 64

_ROOTS: Final[dict[str, Callable[[Context], object]]] = {
    "args": lambda ctx: Absent.UNKNOWN if ctx.args is None else ctx.args,
    "claims": attrgetter("claims"),
    "client": attrgetter("client"),
    "env": attrgetter("env"),
    "connection": attrgetter("connection"),
}
_FIXED: Final[dict[Path, Callable[[Context], object]]] = {
    ("owner", "roles"): lambda ctx: Absent.UNKNOWN if ctx.owner_roles is None else ctx.owner_roles,
    ("tool", "connector"): lambda ctx: str(ctx.tool.connector),
    ("tool", "name"): lambda ctx: str(ctx.tool.name),
    ("tool", "kind"): lambda ctx: str(ctx.tool.kind),
    ("tool", "via"): lambda ctx: str(ctx.tool.via),
    ("tool", "destructive"): attrgetter("tool.destructive"),
    ("tool", "open_world"): attrgetter("tool.open_world"),
    ("tool", "tags"): attrgetter("tool.tags"),
}
FREE_ROOTS: Final = frozenset(_ROOTS)
FIXED_PATHS: Final = frozenset(_FIXED)


def reading(path: Path) -> Callable[[Any], object]:
    """How to get at a field: from a ``Context``, or from a list's element when the root is ``it``."""
    if path in _FIXED:
        return _FIXED[path]
    root, keys = path[0], path[1:]
    if root == IT:
        return lambda element: descend(element, keys)
    top, last, single = _ROOTS[root], keys[-1], len(keys) == 1

    def read(ctx: Context) -> object:
        value = top(ctx)
        return value.get(last, Absent.MISSING) if single and type(value) is dict else descend(value, keys)

    return read


def written(path: Path) -> str:
    return path[0] + "".join(f".{key}" if _is_name(key) else f"[{quoted(key)}]" for key in path[1:])


def _is_name(key: str) -> bool:
    return key.isascii() and key.isidentifier()


@dataclass(frozen=True, slots=True)
class Each:
    """``every`` or ``some`` element of a list satisfies the body, whose root is ``it``."""

    every: bool
    body: "Node"
    judge: Judge = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "judge", _over_elements(self.body.judge, decisive=not self.every))

    def written(self, path: str) -> str:
        return f"{'every' if self.every else 'some'}({path}, {self.body})"


Predicate: TypeAlias = Compare | OneOf | Affix | Present | Each


@dataclass(frozen=True, slots=True)
class Check:
    """A predicate on a field."""

    path: Path
    predicate: Predicate
    judge: Judge = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        read, judge = reading(self.path), self.predicate.judge
        object.__setattr__(self, "judge", lambda scope: judge(read(scope)))

    def __str__(self) -> str:
        return self.predicate.written(written(self.path))


@dataclass(frozen=True, slots=True)
class Always:
    value: bool

    def judge(self, _scope: object) -> Kleene:
        return self.value

    def __str__(self) -> str:
        return "true" if self.value else "false"


@dataclass(frozen=True, slots=True)
class Not:
    part: "Node"
    judge: Judge = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        inner = self.part.judge

        def judge(scope: Any) -> Kleene:
            return None if (found := inner(scope)) is None else not found

        object.__setattr__(self, "judge", judge)

    def __str__(self) -> str:
        return f"not {_bracketed(self.part, And, Or)}"


@dataclass(frozen=True, slots=True)
class And:
    """At least two parts, none of them an ``And``."""

    parts: tuple["Node", ...]
    judge: Judge = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "judge", _joined(self.parts, decisive=False))

    def __str__(self) -> str:
        return " and ".join(_bracketed(part, Or) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Or:
    """At least two parts, none of them an ``Or``."""

    parts: tuple["Node", ...]
    judge: Judge = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "judge", _joined(self.parts, decisive=True))

    def __str__(self) -> str:
        return " or ".join(map(str, self.parts))


def _bracketed(part: "Node", *kinds: type) -> str:
    return f"({part})" if isinstance(part, kinds) else str(part)


def _joined(parts: tuple["Node", ...], *, decisive: bool) -> Judge:
    judges = tuple(part.judge for part in parts)

    def judge(scope: Any) -> Kleene:
        result: Kleene = not decisive
        for each in judges:
            answer = each(scope)
            if answer is decisive:
                return decisive
            if answer is None:
                result = None
        return result

    return judge


def _over_elements(body: Judge, *, decisive: bool) -> Judge:
    def judge(actual: Any) -> Kleene:
        if not isinstance(actual, list | tuple):
            return None
        result: Kleene = not decisive
        for element in actual:
            answer = body(element)
            if answer is decisive:
                return decisive
            if answer is None:
                result = None
        return result

    return judge


@dataclass(frozen=True, slots=True)
class Hours:
    """``env.now`` lies in a daily window, in the local time that ``env.offset`` tells; minutes after
    midnight, the end excluded. A window whose end comes before its start runs over midnight.
    """

    start: int
    end: int

    def judge(self, ctx: Context) -> Kleene:
        return self.during(ctx.env)

    def during(self, env: Mapping[str, object]) -> Kleene:
        now, offset = env.get("now"), env.get("offset")
        if type(now) is not int or type(offset) is not int:
            return None
        minute = (now // 60_000 + offset) % 1_440
        if self.start < self.end:
            return self.start <= minute < self.end
        return minute >= self.start or minute < self.end

    def __str__(self) -> str:
        return f"hours(env.now, '{_clock(self.start)}', '{_clock(self.end)}')"


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


@dataclass(frozen=True, slots=True)
class Cidr:
    """``env.address`` lies in a network. An IPv4 address that came mapped into IPv6 is the IPv4 address."""

    network: IPv4Network | IPv6Network

    def judge(self, ctx: Context) -> Kleene:
        return self.covers(ctx.env.get("address"))

    def covers(self, text: object) -> Kleene:
        address = _address(text)
        return None if address is None else address in self.network

    def __str__(self) -> str:
        return f"cidr(env.address, '{self.network}')"


def _address(text: object) -> IPv4Address | IPv6Address | None:
    if not isinstance(text, str) or len(text) > LONGEST_ADDRESS:
        return None
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


Node: TypeAlias = Check | Always | Not | And | Or | Hours | Cidr


def fields_of(node: Node) -> Iterator[Path]:
    """The fields that a node reads. Elements of a list have the list's own path: ``args.lines.price``."""
    match node:
        case Check(path, Each() as each):
            yield from ((*path, *below[1:]) for below in fields_of(each.body))
        case Check(path):
            yield path
        case Not(part):
            yield from fields_of(part)
        case And(parts) | Or(parts):
            for part in parts:
                yield from fields_of(part)
        case Hours():
            yield from (("env", "now"), ("env", "offset"))
        case Cidr():
            yield ("env", "address")


def conjunction(parts: list[Node]) -> Node:
    """The parts joined by ``and``, flat."""
    flat = [each for part in parts for each in (part.parts if isinstance(part, And) else (part,))]
    return flat[0] if len(flat) == 1 else And(tuple(flat))


def disjunction(parts: list[Node]) -> Node:
    """The parts joined by ``or``, flat."""
    flat = [each for part in parts for each in (part.parts if isinstance(part, Or) else (part,))]
    return flat[0] if len(flat) == 1 else Or(tuple(flat))
