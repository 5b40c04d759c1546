"""What restrictions say, checked against what there is: from the words of a form to a record, or to problems.

Every problem is told, with its place. A name that nothing has is refused and never ignored: in a list of what is kept
out it would let in what somebody meant to keep out. Pure; what there is, is found out elsewhere.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from gateway.mcp.jsonrpc import quoted
from gateway.records import Listing, Permission, Restrictions
from gateway.servers.forms import (
    ListMode,
    ServerActions,
    ServerConnectors,
    ServerPermission,
    ServerRestrictions,
    ServerUsers,
)

MOST_SIGNS: Final = 100_000
"""Characters of all names together."""

OPEN: Final = frozenset({"custom", "http"})
"""Connectors whose tools come and go as users make them, and hosts: any name counts."""

NO_RESTRICTIONS: Final = Restrictions()

_ALL: Final = "*"


@dataclass(frozen=True, slots=True)
class Known:
    """What there is: the actions of each connector by their names (``None``: it cannot be asked now), and which of
    them are servers behind us.
    """

    actions: Mapping[str, frozenset[str] | None] = field(default_factory=dict)
    upstreams: frozenset[str] = frozenset()

    def connector_problem(self, id: str) -> str:
        """Why ``id`` names no connector, ``""`` where it does."""
        return "" if id in self.actions or id in OPEN else f"there is no connector {quoted(id)}"

    def action_problem(self, name: str) -> str:
        """The same of ``NAME`` or ``CONNECTOR:NAME`` and an action; a name with a ``*`` may stand for none."""
        connector, colon, action = name.rpartition(":")
        if colon and (problem := self.connector_problem(connector)):
            return problem
        if _ALL in action or connector in OPEN:
            return ""
        return self._missing(action, (connector,) if colon else tuple(self.actions))

    def _missing(self, action: str, among: Sequence[str]) -> str:
        if any(action in (self.actions[each] or ()) for each in among):
            return ""
        if silent := [quoted(each) for each in among if self.actions[each] is None]:
            return f"{quoted(action)} is not known, and {', '.join(silent)} cannot be asked now; try again later"
        if len(among) == 1:
            return f"{quoted(among[0])} has no action {quoted(action)}"
        return f"no connector has an action {quoted(action)}; a tool that a user made is `custom:NAME`"


def read_restrictions(form: ServerRestrictions | None, problems: list[str]) -> Restrictions:
    """The restrictions that ``form`` means; what is wrong with it is added to ``problems``."""
    if form is None:
        return NO_RESTRICTIONS
    read = Restrictions(
        connectors=_connectors(form.connectors, problems),
        actions=_actions(form.actions, problems),
        users=_users(form.users, problems),
        permissions=_permissions(form.permissions, problems),
    )
    names = [name for _, name in _named(read)]
    if sum(map(len, names)) > MOST_SIGNS:
        problems.append(f"`restrictions`: all names together are longer than {MOST_SIGNS} characters; use `*`")
    return read


def unknown(restrictions: Restrictions, former: Restrictions, known: Known) -> Iterator[str]:
    """The names in ``restrictions`` that nothing has, a sentence each. Those that stand in ``former`` are not asked
    about: an action that a platform dropped does not keep its server from being changed.
    """
    there = {*_named(former)}
    for place, name in _named(restrictions):
        if (place, name) not in there and (problem := _unknown(place, name, known)):
            yield f"`restrictions.{place}`: {problem}"


def form_of(restrictions: Restrictions) -> ServerRestrictions | None:
    """What ``read_restrictions`` reads as ``restrictions``; ``None`` where they say nothing."""
    if restrictions == NO_RESTRICTIONS:
        return None
    found = restrictions
    return ServerRestrictions(
        connectors=None if found.connectors is None else ServerConnectors(*_lists(found.connectors)),
        actions=None if found.actions is None else ServerActions(*_lists(found.actions)),
        users=None if found.users is None else ServerUsers(*_lists(found.users)),
        permissions=None
        if found.permissions is None
        else tuple(ServerPermission(each.connector, each.actions) for each in found.permissions),
    )


# -- names


def _named(restrictions: Restrictions) -> Iterator[tuple[str, str]]:
    """Every name in them, with the block where it stands."""
    for block in ("connectors", "actions", "users"):
        listing: Listing | None = getattr(restrictions, block)
        if listing is not None:
            yield from ((block, name) for name in listing.names)
    for each in restrictions.permissions or ():
        yield "permissions.connector", each.connector
        yield from (("permissions.actions", f"{each.connector}:{action}") for action in each.actions)


def _unknown(place: str, name: str, known: Known) -> str:
    if place == "users":
        return ""
    return known.action_problem(name) if place.endswith("actions") else known.connector_problem(name)


def _pattern_problem(action: str) -> str:
    """Why the name of an action cannot be meant so, ``""`` where it can."""
    if not action:
        return "the name of an action is missing"
    if _ALL in action[1:-1] or (len(action) > 1 and action[0] == action[-1] == _ALL):
        return f"in {quoted(action)}, one `*` may begin the name or end it"
    return ""


# -- blocks


def _connectors(form: ServerConnectors | None, problems: list[str]) -> Listing | None:
    if form is None:
        return None
    return _listing("connectors", "Ids", form.mode, form.allowed_ids, form.blocked_ids, problems)


def _users(form: ServerUsers | None, problems: list[str]) -> Listing | None:
    if form is None:
        return None
    listing = _listing("users", "Ids", form.mode, form.allowed_ids, form.blocked_ids, problems)
    if _ALL in listing.names:
        problems.append("`restrictions.users`: `*` is nobody; leave `users` out to let everybody in")
    return listing


def _actions(form: ServerActions | None, problems: list[str]) -> Listing | None:
    if form is None:
        return None
    listing = _listing("actions", "Actions", form.mode, form.allowed_actions, form.blocked_actions, problems)
    found = filter(None, (_pattern_problem(each.rpartition(":")[2]) for each in listing.names))
    problems += [f"`restrictions.actions`: {each}" for each in found]
    return listing


def _listing(
    block: str,
    what: str,
    mode: ListMode,
    allowed: Sequence[str] | None,
    blocked: Sequence[str] | None,
    problems: list[str],
) -> Listing:
    allow = mode is ListMode.ALLOW
    meant, other = (allowed, blocked) if allow else (blocked, allowed)
    here, there = (f"allowed{what}", f"blocked{what}") if allow else (f"blocked{what}", f"allowed{what}")
    if meant is None:
        problems.append(f"`restrictions.{block}.{here}`: it is missing; mode `{mode.value}` needs it")
    if other:
        problems.append(f"`restrictions.{block}.{there}`: mode `{mode.value}` has no use for it; leave it out")
    return Listing(allow=allow, names=tuple(dict.fromkeys(meant or ())))


def _permissions(forms: Sequence[ServerPermission] | None, problems: list[str]) -> tuple[Permission, ...] | None:
    if forms is None:
        return None
    read: dict[str, Permission] = {}
    for number, form in enumerate(forms):
        place = f"`restrictions.permissions[{number}]"
        if form.connector in read:
            problems.append(f"{place}.connector`: {quoted(form.connector)} stands in the list already; say all at once")
        names = (_ALL,) if form.actions is None else [_bare(form.connector, each) for each in form.actions]
        for name in names:
            if ":" in name:
                problems.append(f"{place}.actions`: {quoted(name)} is not one of {quoted(form.connector)}")
            elif problem := _pattern_problem(name):
                problems.append(f"{place}.actions`: {problem}")
        read[form.connector] = Permission(connector=form.connector, actions=tuple(dict.fromkeys(names)))
    return tuple(read.values())


def _bare(connector: str, action: str) -> str:
    return action.removeprefix(f"{connector}:")


def _lists(listing: Listing) -> tuple[ListMode, tuple[str, ...] | None, tuple[str, ...] | None]:
    if listing.allow:
        return ListMode.ALLOW, listing.names, None
    return ListMode.BLOCK, None, listing.names
