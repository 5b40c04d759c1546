"""Recorded decisions as questions that any policy can be asked, with what an audit entry hides left hidden.

An entry shows some arguments and claims, and of all others a keyed hash. Here the question is put together again:
``Hidden`` stands where a value was that cannot be read. This file asks no policy, and knows no store and no key.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import msgspec
from msgspec.structs import replace

from gateway.policy.terms import MAIN, SYSTEM, Access, Chain, Context, Json, Tool

_decode: Final = msgspec.json.Decoder().decode


class Facts(Protocol):
    """What conditions could ask of the thing that was used."""

    @property
    def connector(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def via(self) -> str: ...
    @property
    def destructive(self) -> bool: ...
    @property
    def open_world(self) -> bool: ...
    @property
    def tags(self) -> tuple[str, ...]: ...


class Called(Protocol):
    """What an entry tells of that which a tool that a user made calls."""

    @property
    def owner(self) -> str: ...
    @property
    def object(self) -> str: ...
    @property
    def action(self) -> str: ...
    @property
    def tool(self) -> Facts: ...
    @property
    def lenders(self) -> tuple[str, ...]: ...
    @property
    def arguments(self) -> Mapping[str, str]: ...
    @property
    def hashed(self) -> Mapping[str, str]: ...
    @property
    def kinds(self) -> str: ...


class Asked(Protocol):
    """What an entry tells of its question apart."""

    @property
    def tool(self) -> Facts: ...
    @property
    def groups(self) -> Sequence[str] | None: ...
    @property
    def claims(self) -> Mapping[str, str]: ...
    @property
    def hashed_claims(self) -> Mapping[str, str]: ...
    @property
    def owner_roles(self) -> tuple[str, ...] | None: ...
    @property
    def lenders(self) -> tuple[str, ...]: ...
    @property
    def connection(self) -> Mapping[str, str]: ...
    @property
    def offset(self) -> int: ...
    @property
    def cut(self) -> bool: ...
    @property
    def key(self) -> str: ...
    @property
    def kinds(self) -> str: ...
    @property
    def claim_kinds(self) -> str: ...
    @property
    def calls(self) -> Called | None: ...


class Entry(Protocol):
    """An audit entry, as far as its decision is concerned."""

    @property
    def id(self) -> str: ...
    @property
    def at(self) -> int: ...
    @property
    def subject(self) -> str: ...
    @property
    def domain(self) -> str: ...
    @property
    def address(self) -> str: ...
    @property
    def method(self) -> str: ...
    @property
    def owner(self) -> str: ...
    @property
    def object(self) -> str: ...
    @property
    def action(self) -> str: ...
    @property
    def allowed(self) -> bool | None: ...
    @property
    def reason(self) -> str: ...
    @property
    def rule(self) -> str: ...
    @property
    def policy(self) -> str: ...
    @property
    def arguments(self) -> Mapping[str, str]: ...
    @property
    def hashed(self) -> Mapping[str, str]: ...
    @property
    def asked(self) -> Asked | None: ...


@dataclass(frozen=True, slots=True)
class Hidden:
    """A value that an entry does not show: its keyed hash, where it stands (``args.text``), and the letter of its kind
    (``t`` text, ``n`` number, ``b`` true or false, ``z`` null, ``o`` another one, anything else: unknown).
    """

    digest: str
    at: str
    kind: str


class Values(Mapping[str, Any]):
    """Arguments or claims as an entry has them, put together when somebody looks: most rows ask nothing of them.

    Raises ``ValueError`` then, on text that no gateway has written.
    """

    __slots__ = ("_kinds", "_root", "_shown", "_tree", "hashes")

    def __init__(self, root: str, shown: Mapping[str, str], hashes: Mapping[str, str], kinds: str) -> None:
        self._root = root
        self._shown = shown
        self.hashes = hashes
        self._kinds = kinds
        self._tree: dict[str, Any] | None = None

    def hides(self, names: frozenset[str]) -> bool:
        """Whether a value of one of these names is hidden, as a whole or in parts."""
        if "" in self.hashes:
            return bool(names)
        return any(_first_name(pointer) in names for pointer in self.hashes)

    def __getitem__(self, key: str) -> Any:
        if "" in self.hashes:
            return Hidden("", self._root, "")
        if self._tree is None:
            self._tree = self._read()
        return self._tree[key]

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(_first_name(pointer) for pointer in (*self._shown, *self.hashes)))

    def __len__(self) -> int:
        return len(list(iter(self)))

    def _read(self) -> dict[str, Any]:
        tree: dict[str, Any] = {}
        for pointer, text in self._shown.items():
            _put(tree, pointer, _decode(text))
        for (pointer, digest), kind in zip(self.hashes.items(), self._kinds.ljust(len(self.hashes)), strict=False):
            _put(tree, pointer, Hidden(digest, ".".join((self._root, *_keys(pointer))), kind))
        return {key: _with_lists(value) for key, value in tree.items()}


@dataclass(frozen=True, slots=True)
class Recorded:
    """The question of one entry; ``args`` are those of all that is asked about, ``key`` tells which key its hashes were
    made with.
    """

    chain: Chain
    args: tuple[Values, ...]
    claims: Values
    key: str = ""


def recorded(entry: Entry, asked: Asked) -> Recorded:
    """The question that ``entry`` answers; in its contexts ``args`` and ``claims`` may hold ``Hidden`` values."""
    args = Values("args", entry.arguments, entry.hashed, asked.kinds)
    claims = Values("claims", asked.claims, asked.hashed_claims, asked.claim_kinds)
    tool, connection = _tool(asked.tool), dict[str, Json](asked.connection)
    env: dict[str, Json] = {"now": entry.at, "offset": asked.offset, "address": entry.address}
    caller = Context(
        args=args,
        claims=claims,
        groups=None if asked.groups is None else frozenset(asked.groups),
        tool=tool,
        env=env,
        connection=connection,
        owner_roles=asked.owner_roles,
    )
    first = Access(entry.subject, entry.domain, entry.owner, entry.object, entry.action, caller)
    chain = _with_lenders(first, asked.lenders)
    if (calls := asked.calls) is None:
        return Recorded(chain, (args,), claims, asked.key)
    made = Values("args", calls.arguments, calls.hashed, calls.kinds)
    through = replace(caller, args=made, tool=_tool(calls.tool))
    called = Access(entry.subject, entry.domain, calls.owner, calls.object, calls.action, through)
    return Recorded((*chain, *_with_lenders(called, calls.lenders)), (args, made), claims, asked.key)


def _with_lenders(first: Access, lenders: Sequence[str]) -> Chain:
    """The first access, and those whose right it rests on, each for himself."""
    known = first.context
    absent = Context(args=known.args, groups=None, tool=known.tool, env=known.env, connection=known.connection)
    others = (
        Access(
            each,
            MAIN,
            SYSTEM if first.owner == SYSTEM else each,
            first.object,
            first.action,
            known if each == first.subject else absent,
        )
        for each in lenders
    )
    return (first, *others)


def _tool(facts: Facts) -> Tool:
    return Tool(facts.connector, facts.name, facts.kind, facts.via, facts.destructive, facts.open_world, facts.tags)


def _put(tree: dict[str, Any], pointer: str, value: object) -> None:
    *path, last = _keys(pointer)
    for key in path:
        tree = tree.setdefault(key, {})
        if type(tree) is not dict:
            raise ValueError(f"`{pointer}` stands below a value")
    tree[last] = value


def _keys(pointer: str) -> list[str]:
    return [key.replace("~1", "/").replace("~0", "~") for key in pointer.split("/")[1:]] or [""]


def _first_name(pointer: str) -> str:
    return pointer[1:] if "/" not in pointer[1:] and "~" not in pointer else _keys(pointer)[0]


def _with_lists(value: Any) -> Any:
    """Objects whose names are numbers are lists: entries hide an object that looks like one."""
    if type(value) is not dict:
        return value
    parts = {key: _with_lists(each) for key, each in value.items()}
    if parts and all(map(str.isdecimal, parts)):
        return [parts[key] for key in sorted(parts, key=int)]
    return parts
