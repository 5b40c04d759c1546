"""The text of ``policies/tests/*.yaml`` to cases, or every problem with its file and line.

What a row of the policy could never hold is refused here too: a question that no row could answer tests nothing.
This file knows no policy, no disk and no clock.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import lru_cache
from math import prod
from typing import Final

from gateway.analysis.cases.form import Form
from gateway.analysis.cases.terms import ANYWHERE, Case, Cases, Declared, Expect, Facts, Never, What, Who, is_used
from gateway.analysis.inventory import PASSIVE, Thing, tool_of
from gateway.analysis.wording import reading_order
from gateway.plain_yaml import Fields, Scalar, UnfitError, read_tree
from gateway.policy.model import is_subject
from gateway.policy.rows import link_sentences, object_sentence, rule_sentences
from gateway.policy.terms import MAIN, Effect, Place, Problem

FILES: Final = 1_000
QUESTIONS: Final = 100_000
"""All combinations of all cases."""


class _Level(StrEnum):
    """The words of ``config/upstreams.toml``."""

    READ = "read"
    WRITE = "write"
    DESTRUCTIVE = "destructive"


@dataclass(slots=True)
class _Found:
    """What the files have given so far."""

    subjects: dict[str, Declared] = field(default_factory=dict)
    things: dict[str, tuple[Thing, Place]] = field(default_factory=dict)
    cases: list[Case] = field(default_factory=list)
    who: list[Who] = field(default_factory=list)
    what: list[What] = field(default_factory=list)
    never: list[Never] = field(default_factory=list)
    questions: int = 0


def read_cases(texts: Mapping[str, str]) -> Cases | list[Problem]:
    """The tests in ``texts`` (path as it is shown to people → text), or all that is wrong with them. Never raises."""
    problems: list[Problem] = []
    found = _Found()
    for file in sorted(texts)[:FILES]:
        _read_file(file, texts[file], found, problems)
    if len(texts) > FILES:
        problems.append(Problem(Place(sorted(texts)[FILES]), f"there are more than {FILES} files of tests"))
    if found.questions > QUESTIONS:
        problems.append(Problem(found.cases[-1].place, f"all cases together ask more than {QUESTIONS} questions"))
    if problems:
        return sorted(problems, key=lambda problem: reading_order(problem.place))
    things = tuple(thing for thing, _ in found.things.values())
    lists = (tuple(found.cases), tuple(found.who), tuple(found.what), tuple(found.never))
    return Cases(tuple(found.subjects.values()), things, *lists)


def _read_file(file: str, text: str, found: _Found, problems: list[Problem]) -> None:
    try:
        tree = read_tree(text)
        if not isinstance(tree, Fields):
            raise UnfitError("a file of tests is a mapping; begin it with `cases:`", tree.line)
    except UnfitError as unfit:
        problems.append(Problem(Place(file, unfit.line), str(unfit)))
        return
    form = Form(file, tree, problems)
    now = form.moment("now", None)
    for name, each in form.named("subjects").items():
        _subject(form, name, each, found)
    for name, each in form.named("tools").items():
        _tool(form, name, each, found)
    for row in form.rows("cases"):
        _case(row, now, found)
    for row in form.rows("who"):
        found.who.append(_who(row, now))
    for row in form.rows("what"):
        found.what.append(_what(row, now))
    for row in form.rows("never"):
        found.never.append(_never(row))
    form.close()
    if not any(form.has(each) for each in ("subjects", "tools", "cases", "who", "what", "never")):
        problems.append(Problem(Place(file), "there is no test here; write `cases`, `who`, `what` or `never`"))


def _subject(form: Form, name: str, entry: Form | Scalar, found: _Found) -> None:
    place = Place(form.file, form.line_of("subjects", name))
    sentences = _subject_sentences(name)
    if not sentences and not is_subject(name):
        sentences = (f"`{name}` is nobody in particular; declare a `user:EMAIL`, `end:SERVER/SUB` or `server:ID`",)
    if isinstance(entry, Scalar):
        sentences = (*sentences, f"`{name}` is a mapping; write `{{roles: [NAME]}}`, or `{{}}` for nothing")
    form.problems += [Problem(place, sentence) for sentence in sentences]
    if isinstance(entry, Scalar):
        return
    groups = tuple(f"group:{each}" for each in entry.texts("groups"))
    for group in groups:
        _tell_all(entry, "groups", _subject_sentences(group))
    declared = Declared(name, place, _roles(entry, name), frozenset(groups), entry.object("claims"))
    entry.close()
    first = found.subjects.setdefault(name, declared)
    if replace(first, place=place) != declared:
        sentence = f"`{name}` is declared otherwise at {first.place}; tests of all files share their subjects"
        form.problems.append(Problem(place, sentence))


def _roles(entry: Form, name: str) -> tuple[tuple[str, str], ...]:
    """A list of roles counts in every domain; a mapping tells them by domain."""
    by_domain = entry.sub("roles")
    if by_domain is None:
        roles = tuple((f"role:{each}", ANYWHERE) for each in entry.texts("roles"))
    else:
        domains = tuple(by_domain.tree.fields)
        roles = tuple((f"role:{each}", domain) for domain in domains for each in by_domain.texts(domain))
    for role, domain in roles:
        _tell_all(entry, "roles", tuple(link_sentences((name, role, domain))))
    return roles


def _tool(form: Form, name: str, entry: Form | Scalar, found: _Found) -> None:
    place = Place(form.file, form.line_of("tools", name))
    sentence = object_sentence(name)
    if not sentence and not is_used(name):
        sentence = f"`{name}` is not one thing that is used; declare `CONNECTOR/TOOL`"
    if isinstance(entry, Scalar):
        entry = Form(form.file, Fields({"level": entry}, {"level": entry.line}, entry.line), form.problems)
    form.problems += [Problem(place, sentence)] if sentence else []
    level = entry.choice("level", _Level, _Level.DESTRUCTIVE)
    if not entry.has("level"):
        entry.tell(f"`level` is missing; it is one of `{'`, `'.join(_Level)}`", "level")
    open_world, tags = entry.flag("open_world", True), entry.texts("tags")
    schema = dict(entry.object("schema")) if entry.has("schema") else None
    entry.close()
    tool = tool_of(name, destructive=level is _Level.DESTRUCTIVE, open_world=open_world, tags=tags)
    if tool.kind in PASSIVE and level is not _Level.READ:
        entry.tell(f"a {tool.kind} only reads; write `read`", "level")
    thing = Thing(name, "read" if level is _Level.READ else "write", tool, schema)
    first, where = found.things.setdefault(name, (thing, place))
    if first != thing:
        sentence = f"`{name}` is declared otherwise at {where}; tests of all files share their tools"
        form.problems.append(Problem(place, sentence))


def _case(row: Form, now: int | None, found: _Found) -> None:
    expect = row.choice("expect", Expect, Expect.DENY)
    if not row.has("expect"):
        row.tell(f"`expect` is missing; it is one of `{'`, `'.join(Expect)}`", "expect")
    case = Case(
        place=row.place,
        name=row.text("name"),
        subjects=_subjects(row, "as"),
        actions=row.texts("do") or ("",),
        objects=_objects(row),
        domains=_domains(row, MAIN),
        args=row.objects("with") or (None if expect.listing else {},),
        owner=row.text("owner", "self"),
        expect=expect,
        by=row.text("by"),
        facts=_facts(row, now),
    )
    if expect.listing and row.has("with"):
        row.tell(f"`{expect}` is about some call, whatever its arguments; remove `with`", "with")
    if expect.listing and case.by:
        row.tell(f"`{expect}` is about some call; no single row decides it, remove `by`", "by")
    row.close()
    _check_questions(row, case.actions, case.objects, case.owner)
    found.questions += prod(map(len, (case.subjects, case.actions, case.objects, case.domains, case.args)))
    found.cases.append(case)


def _facts(row: Form, now: int | None) -> Facts:
    return Facts(
        now=row.moment("now", now),
        address=row.text("address"),
        claims=row.object("claims") if row.has("claims") else None,
        client=row.object("client"),
        connection=row.object("connection"),
        via=row.text("via"),
    )


def _who(row: Form, now: int | None) -> Who:
    who = Who(
        place=row.place,
        name=row.text("name"),
        action=row.text("do"),
        object=row.text("on"),
        domain=row.text("in", MAIN),
        owner=row.text("owner", "self"),
        names=_are(row),
        now=row.moment("now", now),
    )
    row.close()
    for name in who.names:
        _tell_all(row, "are", _subject_sentences(name))
    if not who.object:
        row.tell("`on` is missing; name an object", "on")
    _check_domain(row, who.domain)
    _check_questions(row, (who.action,), (who.object,), who.owner)
    return who


def _what(row: Form, now: int | None) -> What:
    what = What(
        place=row.place,
        name=row.text("name"),
        subject=row.text("as"),
        domain=row.text("in", MAIN),
        owner=row.text("owner", "self"),
        objects=_are(row),
        now=row.moment("now", now),
    )
    row.close()
    if not what.subject:
        row.tell("`as` is missing; name a subject", "as")
    else:
        _tell_all(row, "as", _subject_sentences(what.subject))
    for object in what.objects:
        _tell_all(row, "are", tuple(filter(None, (object_sentence(object),))))
    _check_domain(row, what.domain)
    _check_questions(row, ("read",), ("custom/*",), what.owner)
    return what


def _never(row: Form) -> Never:
    never = Never(
        place=row.place,
        name=row.text("name"),
        subjects=_subjects(row, "who"),
        actions=row.texts("do"),
        objects=_objects(row),
        domains=_domains(row, ANYWHERE),
        owner=row.text("owner", ANYWHERE),
    )
    row.close()
    if not never.actions:
        row.tell("`do` is missing; name an action", "do")
    _check_questions(row, never.actions, never.objects, never.owner, any_owner=True)
    return never


def _are(row: Form) -> tuple[str, ...]:
    if not row.has("are"):
        row.tell("`are` is missing; name whom or what, or write `[]`", "are")
    return row.texts("are", none=True)


def _subjects(row: Form, key: str) -> tuple[str, ...]:
    found = row.texts(key)
    if not row.has(key):
        row.tell(f"`{key}` is missing; name a subject", key)
    for name in found:
        _tell_all(row, key, _subject_sentences(name))
    return found


def _objects(row: Form) -> tuple[str, ...]:
    if not row.has("on"):
        row.tell("`on` is missing; name an object", "on")
    return row.texts("on")


def _domains(row: Form, default: str) -> tuple[str, ...]:
    found = row.texts("in") or (default,)
    for domain in found:
        if domain != default:
            _check_domain(row, domain)
    return found


def _check_domain(row: Form, domain: str) -> None:
    if domain == ANYWHERE:
        row.tell(f"domain `{ANYWHERE}` is no server; name `{MAIN}` or a server's id", "in")
    else:
        _tell_all(row, "in", _sentences(("*", domain, "*", "*", "*", "", Effect.DENY.value)))


def _check_questions(
    row: Form, actions: tuple[str, ...], objects: tuple[str, ...], owner: str, *, any_owner: bool = False
) -> None:
    if owner == ANYWHERE and not any_owner:
        row.tell(f"owner `{ANYWHERE}` is nobody in particular; name `self`, `system` or a subject", "owner")
    for object in filter(None, objects):
        for action in actions:
            if action == "*":
                row.tell("action `*` is for a deny; name the action that is asked for", "do")
            elif action:
                _tell_all(row, "do", _sentences(("*", "*", owner, object, action, "", Effect.DENY.value)))
            elif object_sentence(object):
                row.tell(object_sentence(object), "on")
            elif not is_used(object):
                row.tell("`do` is missing; only for a single tool such as `git/git_log` its own level is asked", "do")


def _tell_all(row: Form, key: str, sentences: tuple[str, ...]) -> None:
    for sentence in sentences:
        row.tell(sentence, key)


def _subject_sentences(name: str) -> tuple[str, ...]:
    return _sentences((name, "*", "*", "*", "*", "", Effect.DENY.value))


@lru_cache(4_096)
def _sentences(row: tuple[str, ...]) -> tuple[str, ...]:
    """What is wrong with a row: the same few names come again and again."""
    return tuple(rule_sentences(row))
