"""What a policy's own tests say: cases, exact lists of who and what, and what must never be allowed.

Here belong the values alone. How they are written stands in ``reading.py``, what they are held against in
``world.py``. This file knows no YAML and asks no policy.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import product
from typing import Final

from gateway.analysis.inventory import Thing
from gateway.policy.terms import NOTHING, Json, Place

ANYWHERE: Final = "*"
"""As the domain or the owner of what must never be: every one."""


class Expect(StrEnum):
    """``listed`` and ``hidden`` ask about some call, whatever its arguments; the others about the call as written."""

    ALLOW = "allow"
    DENY = "deny"
    LISTED = "listed"
    HIDDEN = "hidden"

    @property
    def wanted(self) -> bool:
        return self in (Expect.ALLOW, Expect.LISTED)

    @property
    def listing(self) -> bool:
        return self in (Expect.LISTED, Expect.HIDDEN)


@dataclass(frozen=True, slots=True)
class Declared:
    """A subject made for the tests; ``roles`` are (``role:NAME``, domain)."""

    name: str
    place: Place
    roles: tuple[tuple[str, str], ...] = ()
    groups: frozenset[str] = frozenset()
    claims: Mapping[str, Json] = field(default_factory=lambda: NOTHING)


@dataclass(frozen=True, slots=True)
class Question:
    """One combination of a case: ``subject`` as it is written, ``action`` empty for the level that calling needs,
    ``args`` ``None`` where they are unknown.
    """

    subject: str
    action: str
    object: str
    domain: str
    args: Mapping[str, Json] | None


@dataclass(frozen=True, slots=True)
class Facts:
    """What a question says beside its columns. ``claims`` ``None``: those of the subject; ``now``: ms since the epoch,
    ``None`` for the time of the run.
    """

    now: int | None = None
    address: str = ""
    claims: Mapping[str, Json] | None = None
    client: Mapping[str, Json] = field(default_factory=lambda: NOTHING)
    connection: Mapping[str, Json] = field(default_factory=lambda: NOTHING)
    via: str = ""


@dataclass(frozen=True, slots=True)
class Case:
    """Every combination of subject, action, object, domain and arguments comes out as ``expect``; ``by`` is the id or
    the place of the row that decides, when that matters too.
    """

    place: Place
    name: str
    subjects: tuple[str, ...]
    actions: tuple[str, ...]
    objects: tuple[str, ...]
    domains: tuple[str, ...]
    args: tuple[Mapping[str, Json] | None, ...]
    owner: str
    expect: Expect
    by: str = ""
    facts: Facts = field(default_factory=Facts)

    @property
    def title(self) -> str:
        return self.name or " ".join((*map(_first, (self.subjects, self.actions, self.objects)), self.expect.value))

    def questions(self) -> Iterator[Question]:
        for combination in product(self.subjects, self.actions, self.objects, self.domains, self.args):
            yield Question(*combination)


@dataclass(frozen=True, slots=True)
class Who:
    """Exactly those whom ``names`` cover may do ``action`` with (something of) ``object``, with some arguments."""

    place: Place
    name: str
    action: str
    object: str
    domain: str
    owner: str
    names: tuple[str, ...]
    now: int | None = None

    @property
    def title(self) -> str:
        return self.name or f"who may {self.action or 'use'} {self.object}"


@dataclass(frozen=True, slots=True)
class What:
    """Exactly what ``objects`` cover may ``subject`` use, each with some arguments."""

    place: Place
    name: str
    subject: str
    domain: str
    owner: str
    objects: tuple[str, ...]
    now: int | None = None

    @property
    def title(self) -> str:
        return self.name or f"what {self.subject} may use"


@dataclass(frozen=True, slots=True)
class Never:
    """No call whatever by anyone whom ``subjects`` cover, judged at the time of the run."""

    place: Place
    name: str
    subjects: tuple[str, ...]
    actions: tuple[str, ...]
    objects: tuple[str, ...]
    domains: tuple[str, ...] = (ANYWHERE,)
    owner: str = ANYWHERE

    @property
    def title(self) -> str:
        return self.name or " ".join((*map(_first, (self.subjects, self.actions, self.objects)), "never"))


@dataclass(frozen=True, slots=True)
class Cases:
    """All tests of a policy. What one file declares is known in every other."""

    subjects: tuple[Declared, ...] = ()
    things: tuple[Thing, ...] = ()
    cases: tuple[Case, ...] = ()
    who: tuple[Who, ...] = ()
    what: tuple[What, ...] = ()
    never: tuple[Never, ...] = ()

    @property
    def size(self) -> int:
        return len(self.cases) + len(self.who) + len(self.what) + len(self.never)


def _first(words: tuple[str, ...]) -> str:
    """The first of several words, for a name that nobody gave."""
    return f"{words[0] or 'use'}{' …' * (len(words) > 1)}" if words else ""


def is_used(object: str) -> bool:
    """Whether ``object`` is one single thing that is used: no pattern, no connector, no administration."""
    return "/" in object and not object.startswith("gateway/") and not object.endswith("*")
