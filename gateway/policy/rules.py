"""The text of policy files to values: rules, links, limits, or every problem with its file and line.

A row is split exactly as plain Casbin splits it (commas outside brackets), and what Casbin would read
differently from how it looks (quotes, comments behind a row, unpaired brackets) is a problem, so that the
same files mean the same here and there. This file knows no disk and no Casbin.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from gateway.policy.bundle import Bundle
from gateway.policy.conditions import ConditionError, parse
from gateway.policy.limits import DEFAULT, Limits, read_limits
from gateway.policy.model import model_problems
from gateway.policy.rows import Ask, ask, link_sentences, rule_sentences
from gateway.policy.terms import Effect, Link, Place, Problem, Rule

MODEL_FILE: Final = "model.conf"
LIMITS_FILE: Final = "limits.toml"
RULES_SUFFIX: Final = ".csv"
CASES_FOLDER: Final = "tests"
CASES_SUFFIX: Final = ".yaml"

REMEMBERED: Final = 50_000
"""Words of one reading of which what is wrong with them is remembered."""

_OPEN: Final = {"(": ")", "[": "]"}
_SIGNS: Final = re.compile(r"[,\[\]()]")
_BRACKET: Final = re.compile(r"[\[\]()]")
_ANNOTATION: Final = re.compile(r"#\s*@(?P<name>[\w-]*)\s*(?P<value>.*)")
_ABOVE_ROW: Final = ("id", "owner", "ticket", "expires", "lint-ok")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_CODES: Final = re.compile(r"[a-z-]+(?: +[a-z-]+)*")
_SECRET: Final = re.compile(r"args((?:\.[A-Za-z_][A-Za-z0-9_]*)+)")
_SINGLE: Final = re.compile(r"'(?:[^'\\]|\\.|\\$)*(?:'|$)" + r'|"(?:[^"\\]|\\.|\\$)*(?:"|$)')
"""Texts; one without an end goes to the end of the line, so that no sign is looked at more than once."""


def read(files: Mapping[str, str]) -> Bundle | list[Problem]:
    """The policy that ``files`` (path as it is shown to people → text) say, or all that is wrong with them.

    They are one ``model.conf``, any number of ``*.csv`` and at most one ``limits.toml``, told by their names, and any
    number of ``tests/*.yaml``, whose text is kept as it is.
    """
    models = [path for path in files if _base(path) == MODEL_FILE]
    problems = [Problem(Place(path), f"this is a second `{MODEL_FILE}`; keep one") for path in models[1:]]
    if not models:
        problems.append(Problem(Place(MODEL_FILE), "the file is missing; a policy needs its model"))
    limits = Limits()
    read_rows = _Rows()
    for path in sorted(files):
        if is_case(path):
            continue
        if _base(path) == MODEL_FILE:
            problems += model_problems(files[path], path)
        elif _base(path) == LIMITS_FILE:
            found = read_limits(files[path], path)
            limits, problems = (found, problems) if isinstance(found, Limits) else (limits, problems + found)
        elif path.endswith(RULES_SUFFIX):
            _read_rows(files[path], path, read_rows)
        else:
            problems.append(
                Problem(
                    Place(path),
                    f"a policy has no such file; it has `{MODEL_FILE}`, `*.csv`, `{LIMITS_FILE}` "
                    f"and `{CASES_FOLDER}/*{CASES_SUFFIX}`",
                )
            )
    problems += read_rows.problems
    problems += [] if problems else _unknown_classes(read_rows.rules, limits)
    if problems:
        return problems
    return Bundle(
        files[models[0]],
        tuple(read_rows.rules),
        tuple(read_rows.links),
        limits,
        frozenset(read_rows.secrets),
        {path: files[path] for path in sorted(files) if is_case(path)},
        read_rows.accepted,
    )


def is_case(path: str) -> bool:
    """Whether a file of a policy holds its own tests, told by its path: ``tests/NAME.yaml``."""
    folder, _, name = path.rpartition("/")
    return _base(folder) == CASES_FOLDER and name.endswith(CASES_SUFFIX)


def row_of(
    kind: str, values: Sequence[str], place: Place, notes: Mapping[str, str] | None = None, ask: Ask = ask
) -> Rule | Link | list[str]:
    """The rule (``kind`` ``p``) or link (``g``) with these columns, or sentences that say what is wrong with them."""
    notes = notes or {}
    sentences = rule_sentences(values, ask) if kind == "p" else link_sentences(values, ask)
    if not sentences and kind == "p" and (wrong := ask(_condition_sentence, values[5])):
        sentences = [wrong]
    sentences += [sentence for name, value in notes.items() if (sentence := _note_sentence(name, value))]
    if sentences:
        return sentences
    id, owner, ticket = (notes.get(name, "") for name in ("id", "owner", "ticket"))
    expires = _midnight(notes["expires"]) if "expires" in notes else None
    if kind == "g":
        member, role, domain = values
        return Link(member, role, domain, place, id, owner, ticket, expires)
    subject, domain, whose, object, action, when, effect = values
    return Rule(subject, domain, whose, object, action, when, Effect(effect), place, id, owner, ticket, expires)


def split(line: str) -> list[str] | str:
    """The fields of a row as plain Casbin sees them, or a sentence when its brackets do not pair."""
    if not _BRACKET.search(line):
        return [each.strip() for each in line.split(",")]
    fields: list[str] = []
    expected: list[str] = []
    start = 0
    for sign in _SIGNS.finditer(line):
        if sign[0] in _OPEN:
            expected.append(_OPEN[sign[0]])
        elif sign[0] == ",":
            if not expected:
                fields.append(line[start : sign.start()].strip())
                start = sign.end()
        elif not expected or expected.pop() != sign[0]:
            return f"`{sign[0]}` at character {sign.start() + 1} closes no bracket; brackets pair, also inside quotes"
    if expected:
        return f"`{expected[-1]}` is missing; brackets pair, also inside quotes"
    return [*fields, line[start:].strip()]


@dataclass(slots=True)
class _Rows:
    """What the row files have given so far."""

    rules: list[Rule] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    secrets: set[str] = field(default_factory=set)
    accepted: dict[str, tuple[str, ...]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    ids: dict[str, Place] = field(default_factory=dict)
    ask: Ask = field(default_factory=lambda: lru_cache(REMEMBERED)(ask))


def _read_rows(text: str, path: str, rows: _Rows) -> None:
    notes: dict[str, str] = {}
    noted = Place(path)
    if text.startswith("\ufeff"):
        rows.problems.append(
            Problem(
                Place(path, 1), "the file begins with a byte order mark, which hides its first row; save it without"
            )
        )
        text = text[1:]
    for number, raw in enumerate(text.split("\n"), start=1):
        line, place = raw.strip(), Place(path, number)
        if line.startswith("#"):
            noted = place if _read_comment(line, place, notes, rows) else noted
            continue
        if line:
            _read_row(line, place, notes, rows)
        elif notes:
            rows.problems.append(_lost(notes, noted))
        notes = {}
    if notes:
        rows.problems.append(_lost(notes, noted))


def _read_comment(line: str, place: Place, notes: dict[str, str], rows: _Rows) -> bool:
    """Put an annotation where it belongs; true when it waits for the row below."""
    found = _ANNOTATION.fullmatch(line)
    if found is None:
        return False
    name, value = found["name"], found["value"]
    if name == "secret":
        if path := _SECRET.fullmatch(value):
            rows.secrets.add(path[1].removeprefix("."))
        else:
            rows.problems.append(Problem(place, f"`{value}` is not the path of an argument such as `args.card.number`"))
    elif name not in _ABOVE_ROW:
        known = "`, `@".join((*_ABOVE_ROW, "secret"))
        rows.problems.append(Problem(place, f"`@{name}` is not one of `@{known}`"))
    elif name in notes:
        rows.problems.append(Problem(place, f"`@{name}` stands twice above one row"))
    else:
        notes[name] = value
        return True
    return False


def _read_row(line: str, place: Place, notes: dict[str, str], rows: _Rows) -> None:
    fields = split(line)
    if isinstance(fields, str):
        sentences = [fields]
    elif fields[0] not in ("p", "g"):
        sentences = [
            f"a row of type `{fields[0]}` is neither a rule (`p`) nor a role given (`g`); a comment begins with `#`"
        ]
    else:
        found = row_of(fields[0], fields[1:], place, notes, rows.ask)
        if isinstance(found, Rule):
            rows.rules.append(found)
        elif isinstance(found, Link):
            rows.links.append(found)
        sentences = found if isinstance(found, list) else list(_repeated(found, rows))
        if "lint-ok" in notes:
            rows.accepted[str(place)] = tuple(notes["lint-ok"].split())
    if sentences and _quoted_comma(line):
        sentences.append("a comma in quotes splits the row unless it stands in brackets: write `(args.text == 'a, b')`")
    rows.problems += [Problem(place, sentence) for sentence in sentences]


def _repeated(row: Rule | Link, rows: _Rows) -> Iterator[str]:
    first = rows.ids.setdefault(row.id, row.place) if row.id else row.place
    if first != row.place:
        yield f"`@id {row.id}` is taken by {first}"


def _condition_sentence(text: str) -> str:
    try:
        parse(text)
    except ConditionError as error:
        return f"condition `{text}`: {error.sentence} (at character {error.column})"
    return ""


def _note_sentence(name: str, value: str) -> str:
    if not value:
        return f"`@{name}` says nothing; write a value behind it"
    if name == "id" and not _NAME.fullmatch(value):
        return f"`@id {value}` is not one word of letters, digits, `.`, `_` and `-`"
    if name == "lint-ok" and not _CODES.fullmatch(value):
        return f"`@lint-ok {value}` does not name what lint finds, such as `broad-allow`"
    if name == "expires" and _midnight(value) is None:
        return f"`@expires {value}` is not a day such as `2027-01-31`"
    return ""


def _midnight(day: str) -> int | None:
    """The first moment of a day, UTC, in ms since the epoch: from then on the row is off."""
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", day):
        return None
    try:
        return int(datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC).timestamp() * 1000)
    except ValueError:
        return None


def _lost(notes: Mapping[str, str], place: Place) -> Problem:
    return Problem(place, f"`@{'`, `@'.join(notes)}` stands above no row; put it directly above the row it is about")


def _quoted_comma(line: str) -> bool:
    """Whether a comma in quotes lies outside all brackets, where plain Casbin cuts the row."""
    depths = [0]
    for sign in line:
        depths.append(depths[-1] + (sign in "([") - (sign in ")]"))
    return any(
        sign == "," and depths[quoted.start() + at] == 0
        for quoted in _SINGLE.finditer(line)
        for at, sign in enumerate(quoted[0])
    )


def _unknown_classes(rules: Sequence[Rule], limits: Limits) -> list[Problem]:
    """A rate class that no limit defines is never asked for, so that its row would say nothing."""
    known = {DEFAULT, *(each.name for each in limits.classes)}
    return [
        Problem(rule.place, f"rate class `{name}` is not defined in `{LIMITS_FILE}`")
        for rule in rules
        if rule.action.startswith("rate:") and (name := rule.action.removeprefix("rate:")) not in known
    ]


def _base(path: str) -> str:
    return path.rpartition("/")[2]
