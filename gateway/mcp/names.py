"""Names of things: what the policy calls them (objects), and what clients call them (public names).

Both are functions of values, without memory: the same items get the same names on every node and after every
start. This file does not know what stands behind a name.
"""

import re
from collections.abc import Sequence
from hashlib import sha256
from typing import Final, TypeAlias

from gateway.mcp.terms import Kind
from gateway.policy.spelling import spelled_name, spelled_uri

Named: TypeAlias = tuple[str, str]
"""A connector's id (``[a-z0-9-]{1,32}``) and the connector's own name for a tool or prompt."""

MAX_NAME: Final = 64
JOINT: Final = "__"
HASHES: Final = (6, 12, 24, 48)
"""Hexadecimal digits of a suffix; more than the first only when two names still meet."""

META: Final = (
    "list_connectors",
    "get_connector_resources",
    "get_action_details",
    "execute_action",
    "create_credential",
    "get_credentials",
    "get_credential_metadata",
    "discover_action_path",
)
"""The tools by which those of other connectors are found and called."""

META_SUFFIX: Final = "_alloy"
META_NAMES: Final = frozenset(f"{name}{suffix}" for name in META for suffix in ("", META_SUFFIX))
"""The names that they answer to: each has two."""

_GOOD: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_BAD_SIGN: Final = re.compile(r"[^A-Za-z0-9_-]")
_HASHED: Final = re.compile(r".*--[0-9a-f]{6}(?:[0-9a-f]{6}|[0-9a-f]{18}|[0-9a-f]{42})?", re.DOTALL)

_ESCAPE: Final = re.compile(r"%([0-9A-Fa-f]{2})")
_STEP: Final = re.compile(r"[/\\]")


# -- objects


def object_name(connector: str, kind: Kind, name: str) -> str:
    """The policy's object: ``connector/tool``, ``connector/prompt:NAME`` or ``connector/resource:URI``.

    A template is called by what all its URIs begin with. Different tools and prompts are different objects;
    different spellings of one URI are the same one.
    """
    if kind is Kind.TOOL:
        return f"{connector}/{spelled_name(name)}"
    if kind is Kind.PROMPT:
        return f"{connector}/prompt:{spelled_name(name)}"
    uri = name.partition("{")[0] if kind is Kind.TEMPLATE else name
    return f"{connector}/resource:{spelled_uri(uri)}"


def climbs(uri: str) -> bool:
    """Whether the path of ``uri`` has a step ``.`` or ``..``, however it is spelled: then its beginning does
    not tell where it leads, and a policy about beginnings cannot judge it.
    """
    path = re.split(r"[?#]", uri, maxsplit=1)[0]
    plain = _ESCAPE.sub(lambda escape: chr(int(escape[1], 16)), path)
    return any(step in (".", "..") for step in _STEP.split(plain))


# -- public names


def public_names(items: Sequence[Named], *, prefixed: bool, reserved: frozenset[str] = frozenset()) -> list[str]:
    """The names by which clients call ``items`` of one kind, in the same order; equal items share one. Those that
    would have a ``reserved`` name, which ours have, take a suffix.

    Prefixed, a name is ``connector__name``, or, where that is not ``[A-Za-z0-9_-]{1,64}`` or could be taken for
    a suffixed one, a readable part of it and ``--HASH6``. Bare, it is the name itself.

    Different items never get one name: those that meet in one take a suffix, or a longer one, all of them; but
    where only some have a suffix, only the others. So a name depends on its own item and on no other, nor on their
    order, unless two meet. Prefixed names of different connectors never do (the prefix is kept), those of one
    connector only when 24 bits of their hashes agree; bare names do when two connectors use the same one.
    """
    digits = dict.fromkeys(items, 0)
    if prefixed:
        digits = {item: 0 if is_plain(JOINT.join(item)) else HASHES[0] for item in digits}
    elif reserved:
        digits = {item: HASHES[0] if item[1] in reserved else 0 for item in digits}
    takers: dict[str, list[Named]] = {}
    placed = list(digits)
    while placed:
        names = [_public(item, digits[item], prefixed=prefixed) for item in placed]
        for item, name in zip(placed, names, strict=True):
            takers.setdefault(name, []).append(item)
        placed = []
        for name in dict.fromkeys(names):
            takers[name], leaving = _parted(takers[name], digits)
            placed += leaving
        for item in placed:
            digits[item] = min(count for count in HASHES if count > digits[item])
    public = {taker[0]: name for name, taker in takers.items() if taker}
    return [public[item] for item in items]


def suffixed(item: Named, name: str, digits: int = HASHES[0]) -> str:
    """A readable part of ``name`` with digits of the hash of ``item``, which tell it from others of that name."""
    stem = _BAD_SIGN.sub("_", name)[: MAX_NAME - 2 - digits]
    digest = sha256("\0".join(item).encode(errors="surrogatepass")).hexdigest()
    return f"{stem}--{digest[:digits]}"


def is_plain(name: str) -> bool:
    """Whether ``name`` is one that clients take, and could not be taken for a suffixed one."""
    return _GOOD.fullmatch(name) is not None and _HASHED.fullmatch(name) is None


def _public(item: Named, digits: int, *, prefixed: bool) -> str:
    name = JOINT.join(item) if prefixed else item[1]
    return suffixed(item, name, digits) if digits else name


def _parted(same: list[Named], digits: dict[Named, int]) -> tuple[list[Named], list[Named]]:
    """Who keeps the name that ``same`` meet in, and who takes another: the only one with a suffix keeps it, otherwise
    a server could drive others through all suffixes.
    """
    if len(same) == 1:
        return same, []
    suffixed = [item for item in same if digits[item] > 0]
    return (suffixed, [item for item in same if digits[item] == 0]) if len(suffixed) == 1 else ([], same)
