"""Findings about roles and the links that give them.

What lives now counts, from the files and, where somebody looked, from what was given at run time. This file knows no
conditions but that they may ask for roles by name.
"""

from collections.abc import Iterable, Iterator, Mapping

from gateway.analysis.lint.findings import Code, Finding, listed, named, row_text, told
from gateway.analysis.lint.graph import Graph, distances
from gateway.analysis.lint.ground import Ground
from gateway.policy.condition_nodes import And, Check, Each, Node, Not, Or
from gateway.policy.condition_values import Compare, OneOf, Op
from gateway.policy.roles import HOPS
from gateway.policy.terms import Link, Place, Rule

_OWNER_ROLES = ("owner", "roles")


def roles_given(ground: Ground) -> Iterator[Finding]:
    """Roles that rows or links of the files name and that nobody has."""
    given = holders(ground.whole_graph)
    spoken: dict[str, Place] = {}
    for rule in ground.rules:
        spoken.setdefault(rule.subject, rule.place)
    for link in ground.links:
        spoken.setdefault(link.member, link.place)
    never = {role: place for role, place in spoken.items() if role.startswith("role:") and role not in given}
    if ground.given is None:
        yield from _not_in_files(never)
        return
    for role, place in never.items():
        sentence = (
            f"nobody has `{role}`, in no file and at run time; give it (`ostiary users give-role EMAIL ROLE`), correct "
            f"its name, or remove its rows"
        )
        yield Finding(Code.ROLE_NEVER_GIVEN, place, sentence)


def _not_in_files(never: Mapping[str, Place]) -> Iterator[Finding]:
    if never:
        sentence = (
            f"these files give {listed(f'`{role}`' for role in sorted(never))} to nobody; `--grants` looks "
            f"at what was given at run time as well"
        )
        yield Finding(Code.ROLE_NOT_IN_FILES, next(iter(never.values())), sentence, tuple(never.values())[1:])


def holders(graph: Graph) -> frozenset[str]:
    """Every role that somebody (or a group) has in some domain, the limit on links in a row aside."""
    domains: dict[str, list[Link]] = {"*": []}
    for link in graph.links:
        domains.setdefault(link.domain, []).append(link)
    everywhere: set[str] = set()
    found: set[str] = set()
    for domain, links in domains.items():  # `*` is the first
        found |= _spread(graph, domain, [link for link in links if _is_first(link) or link.member in everywhere])
        everywhere = everywhere or set(found)
    return frozenset(found)


def _spread(graph: Graph, domain: str, front: list[Link]) -> set[str]:
    """What these links and those behind them give in ``domain``."""
    found: set[str] = set()
    while front:
        link = front.pop()
        if link.role not in found:
            found.add(link.role)
            front += graph.after(link.role, domain)
    return found


def _is_first(link: Link) -> bool:
    return not link.member.startswith("role:")


def idle_links(ground: Ground) -> Iterator[Finding]:
    """Roles given of which no row speaks, and links of the files by which nobody gains anything."""
    used = _Used(ground)
    idle_roles: dict[str, list[Place]] = {}
    gone: set[int] = set()
    graph = ground.graph
    for done, link in enumerate(reversed(ground.links), start=1):
        told(ground.progress, "links", done, len(ground.links))
        if not used.at_all(link.role):
            idle_roles.setdefault(link.role, []).append(link.place)
        elif not used.within(link.role, link.domain):
            yield Finding(Code.LINK_GIVES_NOTHING, link.place, _gives_nothing(link))
        elif _is_spare(link, graph, gone):
            gone.add(id(link))
            yield _redundant_link(link, graph)
    for role, places in idle_roles.items():
        first, *others = sorted(places, key=lambda place: ground.order[place])
        sentence = f"`{role}` is given, and no row speaks of it or of what it includes; remove it, or correct its name"
        yield Finding(Code.ROLE_WITHOUT_ROWS, first, sentence, tuple(others))


def _gives_nothing(link: Link) -> str:
    return (
        f"{row_text(link)} gives nothing: no row speaks of `{link.role}` or of what it includes in the domain "
        f"`{link.domain}`; correct the domain, or remove it"
    )


def _is_spare(link: Link, graph: Graph, gone: set[int]) -> bool:
    hops = graph.has_besides(link, lambda each: id(each) in gone)
    return hops is not None and graph.fits(link.member, hops, link.role)


def _redundant_link(link: Link, graph: Graph) -> Finding:
    others = graph.way(link.member, link.role, link.domain, besides=link)
    sentence = (
        f"`{link.member}` has `{link.role}` in `{link.domain}` without {row_text(link)}, by "
        f"{named(each.place for each in others)}; remove it"
    )
    return Finding(Code.REDUNDANT_LINK, link.place, sentence, tuple(each.place for each in others))


class _Used:
    """Which roles are spoken of: as the subject of a row, or by a condition on the roles of an owner."""

    def __init__(self, ground: Ground) -> None:
        self._graph = ground.whole_graph
        self._domains: dict[str, set[str]] = {}
        for rule in (*ground.rules, *(row for row in ground.made if isinstance(row, Rule))):
            self._domains.setdefault(rule.subject, set()).add(rule.domain)
        asked = [name for rule in ground.rules for name in _roles_asked(ground.conditions[rule.when].node)]
        self._asked = frozenset(f"role:{name}" for name in asked)
        self._any_asked = "" in asked
        self._anywhere: dict[str, bool] = {}

    def at_all(self, role: str) -> bool:
        if role not in self._anywhere:
            behind = {role}
            front = [role]
            while front:
                after = {link.role for each in front for link in self._graph.links_of(each)} - behind
                behind |= after
                front = list(after)
            self._anywhere[role] = any(self._named(each) for each in behind)
        return self._anywhere[role]

    def within(self, role: str, domain: str) -> bool:
        if domain == "*":
            return self.at_all(role)
        return any(self._named(each, domain) for each in self._graph.ever(role, domain))

    def _named(self, role: str, domain: str = "*") -> bool:
        if self._any_asked or role in self._asked:
            return True
        domains = self._domains.get(role, set())
        return bool(domains) if domain == "*" else not domains.isdisjoint((domain, "*"))


def _roles_asked(node: Node) -> Iterator[str]:
    """The roles that a condition names when it asks for those of an owner; ``""`` when it may mean any."""
    match node:
        case Check(path, predicate) if path == _OWNER_ROLES:
            yield from _names(predicate.body) if isinstance(predicate, Each) else ("",)
        case Not(part):
            yield from _roles_asked(part)
        case And(parts) | Or(parts):
            for part in parts:
                yield from _roles_asked(part)


def _names(node: Node) -> Iterator[str]:
    match node:
        case Check(("it",), Compare(Op.EQUAL | Op.OTHER, constant)):
            yield str(constant.value)
        case Check(("it",), OneOf(members)):
            yield from (str(member.value) for member in members)
        case Not(part):
            yield from _names(part)
        case And(parts) | Or(parts):
            for part in parts:
                yield from _names(part)
        case _:
            yield ""


def role_cycles(ground: Ground) -> Iterator[Finding]:
    """Roles that include themselves, each ring once, at its first link."""
    ringed: set[str] = set()
    knot = _knot(ground.links)
    for link in ground.links:
        if link.member not in knot or link.role not in knot or link.member in ringed:
            continue
        domains = (link.domain,) if link.domain != "*" else ground.graph.domains
        rings = (_ring(ground.graph, link, domain) for domain in domains)
        if ring := next(filter(None, rings), None):
            ringed.update(each.member for each in ring)
            sentence = (
                f"`{link.member}` includes itself, by {listed(row_text(each) for each in ring)}; "
                f"remove one of these links"
            )
            yield Finding(Code.ROLE_CYCLE, link.place, sentence, tuple(each.place for each in ring[1:]))


def _knot(links: Iterable[Link]) -> frozenset[str]:
    """The names that are left when those with no way in or no way out are taken away, one after the other."""
    pairs = {(link.member, link.role) for link in links}
    before = -1
    while len(pairs) != before:
        before = len(pairs)
        inner = {member for member, _ in pairs} & {role for _, role in pairs}
        pairs = {(member, role) for member, role in pairs if member in inner and role in inner}
    return frozenset(name for pair in pairs for name in pair)


def _ring(graph: Graph, link: Link, domain: str) -> list[Link]:
    if link.role == link.member:
        return [link]
    way = graph.way(link.role, link.member, domain)
    return [link, *way] if way else []


def roles_too_deep(ground: Ground) -> Iterator[Finding]:
    """Roles that somebody does not have because too many links in a row lead to them."""
    graph = ground.whole_graph
    for role, height in graph.height.items():
        if height > HOPS:
            far = ((domain, _farthest(graph, role, domain)) for domain in graph.domains)
            if found := next(((domain, member) for domain, member in far if member), None):
                yield _too_deep(graph, role, *found)


def _farthest(graph: Graph, role: str, domain: str) -> str:
    """Somebody whose shortest way to ``role`` is too long; ``""`` when there is nobody."""
    away = distances(role, lambda each: graph.turned.after(each, domain), lambda _: True, hops=len(graph.links))
    return next((name for name, hops in away.items() if hops > HOPS and not name.startswith("role:")), "")


def _too_deep(graph: Graph, role: str, domain: str, member: str) -> Finding:
    way = graph.way(member, role, domain)
    sentence = (
        f"`{member}` is {len(way)} links away from `{role}`; more than {HOPS} in a row give nothing, so he does not "
        f"have it; give `{role}` on a shorter way"
    )
    return Finding(Code.ROLE_TOO_DEEP, way[-1].place, sentence, tuple(each.place for each in way[:-1]))
