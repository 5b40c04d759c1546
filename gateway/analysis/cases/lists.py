"""Exact lists: precisely these may do it, and precisely this may he use.

Asked is as the gateway lists: at one time, with the claims that are known, whether some arguments are allowed. All
who are known count, and a stranger for everybody else (``analysis/parties.py``).
"""

from collections.abc import Iterable, Iterator

from gateway.analysis.cases.results import TOLD, Failure, Kind, Result
from gateway.analysis.cases.terms import Facts, Question, What, Who, is_used
from gateway.analysis.cases.words import named, question_words
from gateway.analysis.cases.world import World
from gateway.analysis.classes import Class, classes
from gateway.analysis.inventory import Thing, unclassified
from gateway.analysis.reach import Reach
from gateway.policy.model import obj_match
from gateway.policy.terms import Chain, Effect


def who_result(world: World, who: Who) -> Result:
    """Whether exactly those whom the names cover may."""
    if strange := world.strange((*who.names, who.owner), (who.object,)):
        return Result.of(Kind.WHO, who.place, who.title, asked=0, failures=strange)
    may = dict(_may(world, who))
    wanted = world.covered(who.names, who.domain, who.now)
    what = named(f"{who.action or 'use'} {who.object}")
    more, less = sorted(may.keys() - wanted), sorted(wanted - may.keys())
    failures = [
        Failure(f"{name} {what}", "no", "may", world.through(may[name], Effect.ALLOW) if at < TOLD else "")
        for at, name in enumerate(more)
    ]
    failures += [Failure(f"{name} {what}", "may", "no") for name in less]
    return Result.of(Kind.WHO, who.place, who.title, asked=len(world.parties), failures=failures)


def what_result(world: World, what: What) -> Result:
    """Whether he may use exactly what the objects cover."""
    if strange := world.strange((what.subject, what.owner), what.objects):
        return Result.of(Kind.WHAT, what.place, what.title, asked=0, failures=strange)
    failures, facts = [], Facts(now=what.now)
    things = tuple(_usable(world, what))
    for thing in things:
        question = Question(what.subject, "", thing.object, what.domain, None)
        chain = world.chain(question, thing, what.owner, facts)
        may = world.policy.possible(chain, thing.schema)
        if may is not _covers(what.objects, thing.object):
            answers = ("no", "may") if may else ("may", "no")
            failures.append(Failure(question_words(what.subject, chain[0]), *answers))
    failures += [
        Failure(why=f"nothing is known below `{pattern}`; declare some of it under `tools`")
        for pattern in what.objects
        if not any(_covers((pattern,), thing.object) for thing in things)
    ]
    return Result.of(Kind.WHAT, what.place, what.title, asked=len(things), failures=failures)


def _may(world: World, who: Who) -> Iterator[tuple[str, Chain]]:
    """Everybody who may, and a question that shows it."""
    reach = world.reach(who.now)
    for thing in world.things(who.object, who.domain):
        rules = reach.rows(who.domain, thing.object, who.action or thing.action)
        for each in classes([reach], who.domain, who.owner, [rules]):
            for alike in _alike(world, each):
                question = Question(alike[0], who.action, thing.object, who.domain, None)
                chain = world.chain(question, thing, who.owner, Facts(now=who.now))
                if world.policy.possible(chain, thing.schema):
                    yield from ((name, chain) for name in alike)


def _alike(world: World, each: Class) -> Iterator[list[str]]:
    """A class by what conditions may see of its members: whoever brings claims is alone."""
    names = sorted(each.parties)
    yield from ([name] for name in names if world.subject(name).claims)
    if rest := [name for name in names if not world.subject(name).claims]:
        yield rest


def _usable(world: World, what: What) -> Iterator[Thing]:
    """What is known, and what rows that find him name one by one."""
    known = world.offered(what.domain)
    yield from known
    seen = {thing.object for thing in known}
    for object in dict.fromkeys(_named_objects(world.reach(what.now), world, what)):
        if object not in seen and is_used(object):
            yield unclassified(object)


def _named_objects(reach: Reach, world: World, what: What) -> Iterable[str]:
    names = reach.names(world.party(what.subject), what.domain, Effect.ALLOW)
    return (rule.object for rule in reach.rows_of(names, what.domain) if rule.effect is Effect.ALLOW)


def _covers(objects: Iterable[str], object: str) -> bool:
    return any(obj_match(object, each, Effect.ALLOW) for each in objects)
