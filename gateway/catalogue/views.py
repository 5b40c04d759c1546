"""One server as one principal finds it: the catalogues of its connectors under the names that clients see.

Pure: values in, values out. It knows nothing of policy (what is offered is not yet what is allowed),
and does not ask connectors anything.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import sha256
from operator import attrgetter
from typing import Final, TypeAlias
from urllib.parse import quote

import msgspec

from connectors.base import Catalogue, Connector, Item
from gateway.mcp import tasks
from gateway.mcp.cursors import Position
from gateway.mcp.names import climbs, object_name, public_names
from gateway.mcp.repeating import Places, places
from gateway.mcp.schema import Arguments
from gateway.mcp.terms import Kind, Params
from gateway.policy.mapping import ArgumentMapping
from gateway.policy.schema import Schema
from gateway.policy.terms import Json
from gateway.records import CustomPrompt, CustomTool

Source: TypeAlias = tuple[Connector, Catalogue | None]
"""A connector and what it offers; ``None`` when it has never said so."""

Found: TypeAlias = tuple[int, Connector, Item]
"""An item, its connector, and the place of that among those of the server."""

_WITH_LISTS: Final = ("tools", "prompts", "resources")
_MADE: Final = ("tools", "prompts")
_WITHOUT: Final = ("completions", "logging")


@dataclass(frozen=True)
class Offer:
    """An item as one server offers it: ``name`` is what clients see, ``object`` what the policy sees, ``place`` the
    number of its connector among those of the server. ``made`` is the record of what a user made, which calls
    ``target`` if it is a tool; ``connector`` is then whatever answers in the end.
    """

    connector: Connector
    item: Item
    name: str
    object: str
    place: int = 0
    made: CustomTool | CustomPrompt | None = None
    target: "Target | None" = None

    @property
    def position(self) -> Position:
        """Where it stands in its list: by its connector's place, then by its own name."""
        if self.made is None:
            return self.place, self.item.name
        return self.place, f"{self.made.name} {sha256(self.made.owner.encode()).hexdigest()}"

    @property
    def owner(self) -> str:
        """Who made it; ``""`` where no user did."""
        return "" if self.made is None else self.made.owner

    @property
    def objects(self) -> tuple[str, ...]:
        """All that the policy is asked about when it is used: itself, and what it calls."""
        return (self.object,) if self.target is None else (self.object, self.target.offer.object)

    @cached_property
    def mark(self) -> str:
        """What tells that which a user made from all that was or will be made under this name: a tool that calls
        another one, or calls it otherwise, has another mark. ``""`` where no user made it.
        """
        if self.made is None:
            return ""
        does = (self.made.handler, self.made.schema) if isinstance(self.made, CustomTool) else self.made
        told = msgspec.json.encode((self.made.id, self.made.created_at, does), order="deterministic")
        return sha256(told).hexdigest()

    @cached_property
    def definition(self) -> Params:
        """What a list shows; shared, not to be changed."""
        named = self.item.kind in (Kind.TOOL, Kind.PROMPT)
        return {**self.item.definition, "name": self.name} if named else self.item.definition

    @cached_property
    def schema(self) -> Json:
        """What its arguments must be: a tool's own schema; a prompt's arguments are text (MCP 2025-11-25, prompts)."""
        return self.knowing({}) if self.item.kind is Kind.PROMPT else self.item.definition.get("inputSchema")

    def knowing(self, known: Mapping[str, str]) -> Json:
        """The schema of a prompt's arguments where some are known already."""
        return _prompt_schema(self.item.definition.get("arguments"), known)

    def below(self, known: Mapping[str, str]) -> "Offer | None":
        """The template where what it begins with is known already; ``None`` when nothing may begin like that."""
        name = filled(self.item.name, known)
        if climbs(literal_prefix(name)):
            return None
        return replace(self, object=object_name(self.item.connector, self.item.kind, name))

    @cached_property
    def narrowing(self) -> Schema:
        """The schema as the policy is asked about it in a listing."""
        return Schema(self.schema)

    @cached_property
    def arguments(self) -> Arguments:
        """The check of a tool's or prompt's arguments, compiled at its first use."""
        return Arguments(self.schema)

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """The names of its arguments, as far as its schema tells them."""
        properties = self.schema.get("properties") if isinstance(self.schema, dict) else None
        return tuple(properties) if isinstance(properties, dict) else ()

    @cached_property
    def repeats(self) -> Places:
        """Which of a tool's arguments HTTP headers repeat, compiled at its first use."""
        return places(self.schema) if self.item.kind is Kind.TOOL else {}

    @cached_property
    def weight(self) -> int:
        """The bytes of its definition in a list."""
        return len(msgspec.json.encode(self.definition))


@dataclass(frozen=True, slots=True)
class Target:
    """What a tool that a user made calls, and how the arguments of a call become those of its own."""

    offer: Offer
    mapping: ArgumentMapping


@dataclass(frozen=True, eq=False, weakref_slot=True, slots=True)
class View:
    """All that a server offers to one principal, each list sorted by ``Offer.position``: so it has the same order
    whatever the servers behind us do. ``missing`` are connectors whose word is absent or old. ``behind`` are, by their
    objects, the tools that are reached through the meta tools alone; they have no public names. ``tools`` are those and
    the listed ones. ``custom`` tells whether the server has tools and prompts of its own and of its users, too.
    """

    sources: tuple[Source, ...]
    listed: Mapping[Kind, tuple[Offer, ...]]
    by_name: Mapping[tuple[Kind, str], Offer]
    missing: frozenset[str] = frozenset()
    behind: Mapping[str, Offer] = field(default_factory=dict)
    tools: Mapping[str, Offer] = field(default_factory=dict)
    custom: bool = False

    def find(self, kind: Kind, name: str) -> Offer | None:
        """The offer of a tool or prompt by its public name, of a resource by URI, of a template as it is written.

        A resource that nobody lists belongs to the template that fits it best, or to the only connector. A URI
        that climbs (``..``) is nobody's, since a policy on its beginning would not know where it leads.
        """
        found = self.by_name.get((kind, name))
        if found is None and kind is Kind.RESOURCE and not climbs(name):
            found = self._unlisted(name)
        return found

    def _unlisted(self, uri: str) -> Offer | None:
        fitting = [offer for offer in self.listed[Kind.TEMPLATE] if fits(offer.item.name, uri)]
        if fitting:
            return _resource(max(fitting, key=lambda offer: len(literal_prefix(offer.item.name))), uri)
        if len(self.sources) != 1:
            return None
        offers = (*self.listed[Kind.RESOURCE], *self.listed[Kind.TEMPLATE])
        return _resource(offers[0], uri) if offers else None

    @property
    def capabilities(self) -> Params:
        """What the server can do: the union over its connectors. One not heard from yet may do anything,
        but for running tasks, which nobody expects.
        """
        known = [catalogue.capabilities for _, catalogue in self.sources if catalogue is not None]
        unheard = len(known) < len(self.sources)
        made = _MADE if self.custom else ()
        merged: Params = {
            name: {"listChanged": True}
            for name in _WITH_LISTS
            if unheard or name in made or any(name in each for each in known)
        }
        if isinstance(resources := merged.get("resources"), dict):
            resources["subscribe"] = unheard or any(_subscribes(each) for each in known)
        merged.update({name: {} for name in _WITHOUT if unheard or any(name in each for each in known)})
        return merged | tasks.offered(known)

    def title_of(self, connector: Connector) -> str:
        """What people call a connector."""
        heard = (catalogue.title for each, catalogue in self.sources if each is connector and catalogue is not None)
        return next(heard, "") or connector.id

    def capabilities_of(self, connector: Connector) -> Params:
        """What the server behind one connector can do, as far as it was heard."""
        heard = (catalogue for each, catalogue in self.sources if each is connector and catalogue is not None)
        return next((catalogue.capabilities for catalogue in heard), {})


def merge(
    sources: Sequence[Source],
    *,
    prefixed: bool,
    missing: frozenset[str] = frozenset(),
    meta: frozenset[str] = frozenset(),
    reserved: frozenset[str] = frozenset(),
    custom: bool = False,
) -> View:
    """The view over ``sources``, in their order. Of a URI that several offer, the first keeps it. The tools of the
    connectors ``meta`` stand behind; the names ``reserved`` are nobody's.
    """
    found = {kind: _found(sources, kind) for kind in Kind}
    behind = [each for each in found[Kind.TOOL] if each[1].id in meta]
    found[Kind.TOOL] = [each for each in found[Kind.TOOL] if each[1].id not in meta]
    listed = {kind: tuple(_offers(kind, found[kind], prefixed=prefixed, reserved=reserved)) for kind in Kind}
    by_name = {(kind, offer.name): offer for kind, offers in listed.items() for offer in offers}
    hidden = {offer.object: offer for offer in map(_hidden, behind)}
    tools = {offer.object: offer for offer in listed[Kind.TOOL]} | hidden
    return View(tuple(sources), listed, by_name, missing, hidden, tools, custom)


def everything(view: View) -> View:
    """The same, with all its tools behind: for who asks by connector and action, whatever names clients see."""
    return replace(view, behind=view.tools)


def literal_prefix(template: str) -> str:
    """What every URI of a template begins with (RFC 6570)."""
    return template.partition("{")[0]


def filled(template: str, known: Mapping[str, str]) -> str:
    """The template with its first variables replaced, up to one that is not known or not simple (RFC 6570, level 1)."""
    done, rest = "", template
    while "{" in rest:
        before, _, tail = rest.partition("{")
        name, _, after = tail.partition("}")
        if name not in known:
            break
        done, rest = f"{done}{before}{quote(known[name], safe='')}", after
    return done + rest


def fits(template: str, uri: str) -> bool:
    """Whether the literal parts of a template stand in ``uri`` in their order: in linear time, and generous
    about what a variable may hold, since this only finds the connector to ask.
    """
    first, *others = (part.rpartition("}")[2] for part in template.split("{"))
    if not others:
        return uri == template
    if not uri.startswith(first) or len(uri) < len(first) + len(others[-1]) or not uri.endswith(others[-1]):
        return False
    at, end = len(first), len(uri) - len(others[-1])
    for part in others[:-1]:
        if (at := uri.find(part, at, end)) < 0:
            return False
        at += len(part)
    return True


def _found(sources: Sequence[Source], kind: Kind) -> Sequence[Found]:
    """What the sources offer, in the order of the list."""
    return [
        (place, connector, item)
        for place, (connector, catalogue) in enumerate(sources)
        if catalogue is not None
        for item in sorted(catalogue.items.get(kind, ()), key=attrgetter("name"))
    ]


def _hidden(found: Found) -> Offer:
    place, connector, item = found
    object = object_name(item.connector, item.kind, item.name)
    return Offer(connector, item, object, object, place)


def _offers(kind: Kind, found: Sequence[Found], *, prefixed: bool, reserved: frozenset[str]) -> Iterable[Offer]:
    if kind in (Kind.TOOL, Kind.PROMPT):
        taken = reserved if kind is Kind.TOOL else frozenset[str]()
        named = [(item.connector, item.name) for _, _, item in found]
        names = public_names(named, prefixed=prefixed, reserved=taken)
    else:
        found = [each for each in found if not climbs(each[2].name)]
        names = [item.name for _, _, item in found]
    seen: set[str] = set()
    for (place, connector, item), name in zip(found, names, strict=True):
        if name not in seen:
            seen.add(name)
            yield Offer(connector, item, name, object_name(item.connector, item.kind, item.name), place)


def _prompt_schema(arguments: Json, known: Mapping[str, str]) -> Json:
    named = [each for each in arguments if isinstance(each, dict)] if isinstance(arguments, list) else []
    properties: Params = {str(each.get("name")): {"type": "string"} for each in named}
    return {
        "type": "object",
        "properties": {**properties, **{name: {"const": text} for name, text in known.items()}},
        "required": [str(each.get("name")) for each in named if each.get("required") is True],
        "additionalProperties": {"type": "string"},
    }


def _resource(like: Offer, uri: str) -> Offer:
    """The resource ``uri`` of the connector of ``like``, with the facts of ``like``."""
    facts = replace(like.item.facts, name=uri, kind=Kind.RESOURCE.value)
    item = replace(like.item, kind=Kind.RESOURCE, name=uri, definition={"uri": uri}, facts=facts)
    return Offer(like.connector, item, uri, object_name(item.connector, item.kind, item.name))


def _subscribes(capabilities: Params) -> bool:
    resources = capabilities.get("resources")
    return isinstance(resources, dict) and resources.get("subscribe") is True
