"""What the columns of a row mean: the one supported Casbin model and its matching functions.

Here belong the check that a ``model.conf`` is that model, and the functions that its matcher names
(all but the subject, which needs the roles, and the condition). This file knows no rows, no Casbin
and no file on disk.
"""

import re
from collections.abc import Iterable, Mapping
from itertools import groupby
from types import MappingProxyType
from typing import Final

from gateway.policy.terms import MAIN, Effect, Place, Problem

USE: Final = ("read", "write")
ADMINISTRATION: Final = ("inspect", "revoke", "manage")
LADDERS: Final = (USE, ADMINISTRATION)
"""Each from the lower step to the higher one; no ladder says anything about the other."""

ELSEWHERE: Final = "!main"
"""The domain of built-in rows: every domain but ``main``."""

SUBJECT_ROOTS: Final = ("user:", "end:", "server:")

_DEFINITIONS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "request_definition": ("r", "sub, dom, own, obj, act, ctx"),
        "policy_definition": ("p", "sub, dom, own, obj, act, when, eft"),
        "role_definition": ("g", "_, _, _"),
        "policy_effect": ("e", "some(where (p.eft == allow)) && !some(where (p.eft == deny))"),
    }
)
_MATCHER: Final = (
    "subMatch(r.sub, r.dom, r.ctx, p.sub, p.eft)",
    "domMatch(r.dom, p.dom)",
    "ownMatch(r.own, r.sub, p.own)",
    "objMatch(r.obj, p.obj, p.eft)",
    "actMatch(r.act, p.act, p.eft)",
    "cond(p.when, r.ctx, p.eft)",
)
_CALL: Final = re.compile(r"(\w+)\((.*)\)")
_LADDER_OF: Final = MappingProxyType({step: ladder for ladder in LADDERS for step in ladder})
_GIVEN: Final = MappingProxyType({step: ladder[: ladder.index(step)] for step, ladder in _LADDER_OF.items()})
_TAKEN: Final = MappingProxyType({step: ladder[ladder.index(step) + 1 :] for step, ladder in _LADDER_OF.items()})


def model_problems(text: str, file: str) -> list[Problem]:
    """Every way in which ``text`` is not the supported model; empty when it is."""
    sections, problems = _sections(text, file)
    wanted = {*_DEFINITIONS, "matchers"}
    for section in sorted(wanted - {section for section, _ in sections}):
        problems.append(Problem(Place(file), f"section `[{section}]` is missing"))
    for section, lines in sections:
        if section not in wanted:
            problems.append(
                Problem(lines[0][0], f"section `[{section}]` is not part of the supported model; remove it")
            )
        else:
            problems += _section_problems(section, lines)
    return sorted(problems, key=lambda problem: problem.place.line or 0)


def conjuncts(matcher: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The parts of a matcher that passed the check, in its own order, as (function, arguments)."""
    calls = (_CALL.fullmatch(part.strip()) for part in matcher.split("&&"))
    return tuple((call[1], tuple(each.strip() for each in call[2].split(","))) for call in calls if call)


def _sections(text: str, file: str) -> tuple[list[tuple[str, list[tuple[Place, str]]]], list[Problem]]:
    """The sections with the lines in each (its header first), and what stands outside or twice."""
    rows: list[tuple[str, Place, str]] = []
    problems: list[Problem] = []
    section = ""
    seen: set[str] = set()
    for number, line in enumerate(text.split("\n"), start=1):
        bare, place = line.strip(), Place(file, number)
        if not bare or bare[0] in "#;":
            continue
        if bare[0] == "[" and bare[-1] == "]":
            section = bare[1:-1]
            if section in seen:
                problems.append(Problem(place, f"section `[{section}]` comes twice"))
            seen.add(section)
        elif not section:
            problems.append(Problem(place, f"`{bare}` stands before the first section"))
            continue
        rows.append((section, place, bare))
    grouped = groupby(rows, key=lambda row: row[0])
    return [(name, [(place, line) for _, place, line in group]) for name, group in grouped], problems


def _section_problems(section: str, lines: list[tuple[Place, str]]) -> list[Problem]:
    key, value = _DEFINITIONS.get(section, ("m", " && ".join(_MATCHER)))
    header, definitions = lines[0][0], lines[1:]
    if not definitions:
        return [Problem(header, f"section `[{section}]` is empty; write `{key} = {value}`")]
    problems = [
        Problem(place, f"`{line}` is one definition too many; `[{section}]` has one") for place, line in definitions[1:]
    ]
    place, line = definitions[0]
    name, _, given = line.partition("=")
    if name.strip() != key:
        problems.append(
            Problem(place, f"`{name.strip()}` is not the definition of `[{section}]`; write `{key} = {value}`")
        )
    elif section == "matchers":
        problems += _matcher_problems(given, place)
    elif _bare(given) != _bare(value):
        why = "is not deny-by-default" if section == "policy_effect" else "is not supported"
        problems.append(Problem(place, f"`{given.strip()}` {why}; write `{key} = {value}`"))
    return problems


def _matcher_problems(given: str, place: Place) -> list[Problem]:
    """One problem per part that is unknown, doubled or missing: a wider matcher must not pass unseen."""
    wanted = {_bare(part): part for part in _MATCHER}
    parts = [part.strip() for part in given.split("&&")]
    bare = [_bare(part) for part in parts]
    return [
        *(
            Problem(place, f"matcher part `{part}` is not supported; the parts are `{'`, `'.join(_MATCHER)}`")
            for part, text in zip(parts, bare, strict=True)
            if text not in wanted
        ),
        *(Problem(place, f"matcher part `{wanted[text]}` comes twice") for text in wanted if bare.count(text) > 1),
        *(Problem(place, f"matcher part `{wanted[text]}` is missing") for text in wanted if text not in bare),
    ]


def _bare(text: str) -> str:
    return "".join(text.split())


SUPERSET: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "subMatch": ("closure",),
        "domMatch": ("exact", "star", "elsewhere"),
        "objMatch": ("exact", "prefix", "star"),
    }
)
"""What the rows are looked up by: of each of these parts of the matcher, every way in which it can come true
(``domains_for``, ``patterns_for``, and the names of ``roles.py``). The other parts are left to the matcher alone.
"""


def domains_for(asked: str) -> tuple[str, ...]:
    """Every domain of a row that ``dom_match`` accepts, each once."""
    if asked in ("*", ELSEWHERE):
        return ("*", ELSEWHERE)
    return (asked, "*") if asked == MAIN else (asked, "*", ELSEWHERE)


def patterns_for(asked: str, longest: int, odd: Iterable[int] = ()) -> list[str]:
    """Every object of a row that ``obj_match`` can accept, each once, where no pattern has more than ``longest``
    characters before its ``*``. A pattern ends behind a ``/`` or ``:``, or is bare; of others, ``odd`` are the lengths.
    """
    found = [asked, "*"]
    for end in "/:":
        at = asked.find(end, 0, longest)
        while at >= 0:
            found.append(asked[: at + 1] + "*")
            at = asked.find(end, at + 1, longest)
    if not odd and asked[-1:] != "*":
        return found
    found += [f"{asked[:length]}*" for length in odd if length <= len(asked)]
    return list(dict.fromkeys(found))


def is_odd(pattern: str) -> bool:
    """Whether it is a pattern that ends elsewhere than policy files let it end."""
    return pattern[-1:] == "*" and pattern[-2:-1] not in ("", "/", ":")


def is_subject(name: str) -> bool:
    """Whether ``name`` can ask: a user, an end user or a server; never a role, a group or a crowd."""
    return name.startswith(SUBJECT_ROOTS) and not name.endswith((":", "/", "*"))


def dom_match(asked: str, row: str) -> bool:
    return row in ("*", asked) or (row == ELSEWHERE and asked != MAIN)


def own_match(asked: str, subject: str, row: str) -> bool:
    """Whose it is: ``self`` in a row is the subject who asks."""
    return row == "*" or asked == (subject if row == "self" else row)


def obj_match(asked: str, row: str, effect: str) -> bool:
    """A trailing ``*`` stands for any rest; a bare one in an allow never reaches administration."""
    if row == "*":
        return effect == Effect.DENY or not (asked == "gateway" or asked.startswith("gateway/"))
    return asked.startswith(row[:-1]) if row.endswith("*") else asked == row


def act_match(asked: str, row: str, effect: str) -> bool:
    """An allow gives the lower steps of its ladder, a deny takes the higher ones (``*``: everything)."""
    if asked == row:
        return True
    if effect == Effect.DENY:
        return row == "*" or asked in _TAKEN.get(row, ())
    return asked in _GIVEN.get(row, ())


def one_ladder(action: str, other: str) -> bool:
    """Whether two actions are steps of one ladder; what is on none is alone."""
    return _LADDER_OF.get(action, (action,)) == _LADDER_OF.get(other, (other,))
