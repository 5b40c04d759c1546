"""A policy as one value, and as bytes whose hash names it. Knows no disk, no store and no Casbin."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

import msgspec

from gateway.policy.limits import Limits
from gateway.policy.shelves import Slices, at_once
from gateway.policy.terms import Effect, Link, Place, Rule

_Told: TypeAlias = tuple[str | int | None, ...]

FORMAT: Final = 2
OLDEST: Final = 1

CHUNK: Final = 256
"""Rows on one line: what is read between two pauses."""

_NO_NOTES: Final = ("", "", "", None)
"""Without id, responsible, ticket and expiry, which most rows lack."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """What the files of ``policies/`` say, read and checked. ``secrets`` are paths below ``args`` (``card.number``)
    that no audit entry may show. ``cases`` are the policy's own tests (path as it is shown → text), which decide
    nothing: whoever runs them reads them. ``accepted`` are the findings of lint that a row (by its place) accepts.
    """

    model: str
    rules: tuple[Rule, ...] = ()
    links: tuple[Link, ...] = ()
    limits: Limits = field(default_factory=Limits)
    secrets: frozenset[str] = frozenset()
    cases: Mapping[str, str] = field(default_factory=dict)
    accepted: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


class _Envelope(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The first line. In format 1 it was the only one, and the bundle in it the whole; now its rows are on the lines
    below, and ``lines`` says how many.
    """

    format: int
    bundle: Bundle
    lines: tuple[int, int] = (0, 0)


class _RuleLine(msgspec.Struct, frozen=True, gc=False, array_like=True, forbid_unknown_fields=True):
    subject: str
    domain: str
    owner: str
    object: str
    action: str
    when: str
    effect: Effect
    file: str
    line: int | None
    id: str = ""
    responsible: str = ""
    ticket: str = ""
    expires: int | None = None


class _LinkLine(msgspec.Struct, frozen=True, gc=False, array_like=True, forbid_unknown_fields=True):
    member: str
    role: str
    domain: str
    file: str
    line: int | None
    id: str = ""
    responsible: str = ""
    ticket: str = ""
    expires: int | None = None


_RULES: Final = msgspec.json.Decoder(list[_RuleLine])
_LINKS: Final = msgspec.json.Decoder(list[_LinkLine])


def encode(bundle: Bundle) -> bytes:
    """The one text of ``bundle``, lines of JSON: equal bundles give equal bytes."""
    rules, links = _chunks(bundle.rules), _chunks(bundle.links)
    envelope = _Envelope(FORMAT, replace(bundle, rules=(), links=()), (len(rules), len(links)))
    lines = (envelope, *rules, *links)
    return b"\n".join(msgspec.json.encode(each, order="deterministic") for each in lines)


def decode(body: bytes) -> Bundle:
    """The bundle of ``encode``. Raises ``ValueError`` on other bytes and on an unknown format."""
    return at_once(decoding(body))


def decoding(body: bytes) -> Slices[Bundle]:
    """As ``decode``, with a pause after each line, and at the end between what takes longer."""
    lines = _lines(body)
    envelope = msgspec.json.decode(next(lines), type=_Envelope)
    if envelope.format not in (OLDEST, FORMAT):
        raise ValueError(f"the policy bundle has format {envelope.format}; this version reads format {FORMAT}")
    rules: list[Rule] = [*envelope.bundle.rules]
    links: list[Link] = [*envelope.bundle.links]
    texts: dict[str, str] = {}
    for _ in range(envelope.lines[0]):
        rules += [_rule(line, texts.setdefault) for line in _RULES.decode(next(lines, b""))]
        yield
    for _ in range(envelope.lines[1]):
        links += [_link(line, texts.setdefault) for line in _LINKS.decode(next(lines, b""))]
        yield
    if next(lines, None) is not None:
        raise ValueError("the policy bundle goes on behind its end")
    bundle = replace(envelope.bundle, rules=tuple(rules), links=tuple(links))
    for done in (rules, links, texts):  # each of these, too, takes a millisecond where there are many rows
        yield
        done.clear()
    return bundle


def _told(row: Rule | Link) -> _Told:
    """A row as the list that its line holds, without the notes that it lacks."""
    columns: _Told
    if isinstance(row, Rule):
        columns = (row.subject, row.domain, row.owner, row.object, row.action, row.when, row.effect.value)
    else:
        columns = (row.member, row.role, row.domain)
    notes = (row.id, row.responsible, row.ticket, row.expires)
    return (*columns, row.place.file, row.place.line, *(() if notes == _NO_NOTES else notes))


def _rule(line: _RuleLine, once: Callable[[str, str], str]) -> Rule:
    """``once`` gives, of equal texts, the first: a large policy says the same words again and again."""
    return Rule(
        once(line.subject, line.subject),
        once(line.domain, line.domain),
        once(line.owner, line.owner),
        once(line.object, line.object),
        once(line.action, line.action),
        once(line.when, line.when),
        line.effect,
        Place(once(line.file, line.file), line.line),
        line.id,
        line.responsible,
        line.ticket,
        line.expires,
    )


def _link(line: _LinkLine, once: Callable[[str, str], str]) -> Link:
    return Link(
        once(line.member, line.member),
        once(line.role, line.role),
        once(line.domain, line.domain),
        Place(once(line.file, line.file), line.line),
        line.id,
        line.responsible,
        line.ticket,
        line.expires,
    )


def _chunks(rows: Sequence[Rule] | Sequence[Link]) -> list[list[_Told]]:
    return [[_told(row) for row in rows[at : at + CHUNK]] for at in range(0, len(rows), CHUNK)]


def _lines(body: bytes) -> Iterator[memoryview]:
    """The lines, without a second copy of a large body."""
    view, start = memoryview(body), 0
    while (end := body.find(b"\n", start)) >= 0:
        yield view[start:end]
        start = end + 1
    yield view[start:]


def bundle_hash(body: bytes) -> str:
    """The name of a bundle: the SHA-256 of its bytes, in hexadecimal."""
    return hashlib.sha256(body).hexdigest()
