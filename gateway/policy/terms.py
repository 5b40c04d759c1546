"""The words of the policy: subjects, accesses, rules, links, decisions.

Here belong the values that the rest of the product exchanges with the policy. This file knows
no file format, no Casbin and no clock; everything in it is frozen. What there are many of, or what is made
for every question, is a ``Struct`` (``msgspec.structs.replace`` copies one) that the garbage collector need not
look into: such values cannot be parts of a cycle.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final, TypeAlias

from msgspec import Struct

from gateway.policy import json_value
from gateway.policy.mapping import ArgumentMapping

Json: TypeAlias = json_value.Json

MAIN: Final = "main"
"""The domain of ``/mcp``, ``/sse``, ``/api`` and the pages."""

SYSTEM: Final = "system"
"""The owner of the operator's own connections and records."""

NOTHING: Final[Mapping[str, Json]] = MappingProxyType({})


class Effect(StrEnum):
    ALLOW = "allow"
    DENY = "deny"


class Reason(StrEnum):
    """Why a decision came out as it did; closed, so that metrics may count by it."""

    ALLOWED = "allowed"
    DENIED = "denied"
    NO_RULE = "no_rule"
    NO_POLICY = "no_policy"
    STALE_POLICY = "stale_policy"
    FAULT = "fault"


class Place(Struct, frozen=True, gc=False, omit_defaults=True):
    """Where a rule stands: ``policies/rules.csv:14``, ``builtin:3`` or ``grant:ID``."""

    file: str
    line: int | None = None

    def __str__(self) -> str:
        return self.file if self.line is None else f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Problem:
    """A fault in a policy or config file, as one sentence that starts with its place."""

    place: Place
    sentence: str

    def __str__(self) -> str:
        return f"{self.place}: {self.sentence}"


class Rule(Struct, frozen=True, gc=False, omit_defaults=True):
    """One ``p`` row with its provenance; ``expires`` is milliseconds since the epoch."""

    subject: str
    domain: str
    owner: str
    object: str
    action: str
    when: str
    effect: Effect
    place: Place
    id: str = ""
    responsible: str = ""
    ticket: str = ""
    expires: int | None = None


class Link(Struct, frozen=True, gc=False, omit_defaults=True):
    """One ``g`` row: ``member`` has ``role`` in ``domain`` (``*`` = everywhere)."""

    member: str
    role: str
    domain: str
    place: Place
    id: str = ""
    responsible: str = ""
    ticket: str = ""
    expires: int | None = None


@dataclass(frozen=True, slots=True)
class Subject:
    """Who asks, verified: ``user:EMAIL``, ``end:SERVER/SUB`` or ``server:ID``. Built in ``identity.py`` only.

    ``groups`` is ``None`` when they are unknown (someone absent whose last sign-in is too old):
    then an allow through a group is off and a deny through a group is on.
    """

    name: str
    groups: frozenset[str] | None = frozenset()
    claims: Mapping[str, Json] = field(default_factory=lambda: NOTHING)
    credential: str = ""
    """Id of the key or session that proved the subject; never the secret itself."""
    rests_on: tuple[str, ...] = ()
    """Ids of what else has to count for as long as he is to be believed."""
    expires_at: int | None = None
    """When the proof ends, in ms since the epoch; ``None`` where what it rests on knows."""
    acting: "Acting | None" = None
    """Who stands for this end user, where nothing proves him but that somebody may."""


@dataclass(frozen=True, slots=True)
class Acting:
    """``subject`` stands for an end user, and asked to from where ``env`` says (``offset``, ``address``)."""

    subject: Subject
    env: Mapping[str, Json] = field(default_factory=lambda: NOTHING)


@dataclass(frozen=True, slots=True)
class Tool:
    """What a condition may ask of the thing that is used (root ``tool``).

    The defaults are the worst case, for tools that nobody classified.
    """

    connector: str = ""
    name: str = ""
    kind: str = "tool"
    via: str = ""
    destructive: bool = True
    open_world: bool = True
    tags: tuple[str, ...] = ()


class Context(Struct, frozen=True, gc=False):
    """The roots of the condition language.

    ``args`` is ``None`` when the arguments are unknown (a listing): then a decision answers
    whether *some* arguments could be allowed. ``env`` has ``now`` (ms since the epoch),
    ``offset`` (minutes east of UTC, for ``hours``) and ``address`` (text). ``owner_roles`` is ``None``
    when nobody looked them up: then a condition on them is unknown. With a ``mapping`` the unknown arguments are those
    that it makes of the arguments of the chain; known ones are what it made.
    """

    args: Mapping[str, Json] | None = NOTHING
    claims: Mapping[str, Json] = NOTHING
    groups: frozenset[str] | None = frozenset()
    tool: Tool = Tool()
    client: Mapping[str, Json] = NOTHING
    env: Mapping[str, Json] = NOTHING
    connection: Mapping[str, Json] = NOTHING
    owner_roles: tuple[str, ...] | None = None
    mapping: ArgumentMapping | None = None


class Access(Struct, frozen=True, gc=False):
    """One question. ``owner`` is the actual one: the subject's own name for what is his own or
    needs no credential, another subject for a loan, ``system`` for the operator's.
    """

    subject: str
    domain: str
    owner: str
    object: str
    action: str
    context: Context = Context()


Chain: TypeAlias = tuple[Access, ...]
"""The accesses that must all be allowed for one call, in one policy version."""


class Decision(Struct, frozen=True, gc=False):
    """The answer to a chain: ``access`` and ``rule`` are those that decided (``None``: no rule spoke)."""

    allowed: bool
    reason: Reason
    version: str
    rule: Rule | None = None
    access: Access | None = None
