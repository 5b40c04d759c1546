"""What one subject sees of one server: what stands behind it, what users made, and the tools that are our own.

Whether he sees a thing is decided by asking whether some use of it could be allowed. What he hides from himself is left
out of his lists after that, and of nothing else. This file knows no message.
"""

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TypeAlias

from gateway.builtins.terms import Builtin, Could, Whose
from gateway.catalogue.views import Offer, View
from gateway.custom.names import address
from gateway.manage.asking import VisiblePrompt, VisibleTool
from gateway.mcp.terms import Kind
from gateway.pipeline.chain import operation_chain
from gateway.pipeline.custom import CustomOffers
from gateway.pipeline.judge import Judge
from gateway.pipeline.meta_definitions import TOOLS, MetaTool
from gateway.policy.terms import MAIN, SYSTEM

Item: TypeAlias = Offer | MetaTool | Builtin


@dataclass(slots=True)
class Shown:
    """``builtins`` are the gateway's own tools on this server, in order of name; ``hidden`` are the ids of the tools
    that the subject's lists leave out. ``custom`` is what users made (``None``: this server has none of it).
    """

    judge: Judge
    view: View
    builtins: tuple[Builtin, ...] = ()
    hidden: AbstractSet[str] = frozenset()
    custom: CustomOffers | None = None
    _any: bool | None = field(default=None)

    def listed(self, kind: Kind) -> Sequence[Item]:
        """All there is of a kind, sorted by position."""
        offers, ours = self._offers(kind), self._ours if kind is Kind.TOOL else ()
        return (*ours, *offers) if ours else offers

    def find(self, kind: Kind, name: str) -> Offer | None:
        """What is offered under a public name, a URI, or a template as it is written."""
        found = self.view.find(kind, name)
        return self.custom.find(kind, name) if found is None and self.custom is not None else found

    def made(self, kind: Kind) -> Sequence[Offer]:
        """What users made of a kind, as far as he could have it; sorted by position, behind all else."""
        return () if self.custom is None else self.custom.listed(kind)

    def __call__(self, item: Item) -> bool:
        """Whether his list has it."""
        return not self.hides(item) and self.sees(item)

    def sees(self, item: Item) -> bool:
        """Whether some use of it could be allowed."""
        match item:
            case MetaTool():
                return self.any
            case Builtin():
                return any(could_ask(self.judge, each) for each in item.could)
            case _:
                return self.judge.visible(item)

    def hides(self, item: Item) -> bool:
        """Whether he wants his list to leave it out, where that counts."""
        return bool(self.hidden) and _is_tool(item) and id_of(item) in self.hidden and not self._stays(item)

    def tools(self) -> tuple[VisibleTool, ...]:
        """Every tool that he sees, the hidden ones too, in the order of the list."""
        return tuple(self._told(each) for each in self.listed(Kind.TOOL) if self.sees(each))

    def prompts(self) -> tuple[VisiblePrompt, ...]:
        """Every prompt that he sees, in the order of the list."""
        return tuple(_told_of(each) for each in self._offers(Kind.PROMPT) if self.sees(each))

    # -- what stands behind the meta tools

    @property
    def any(self) -> bool:
        """Whether some action behind the meta tools could be used."""
        if self._any is None:
            self._any = next(self.actions(), None) is not None
        return self._any

    def actions(self, connector: str = "") -> Iterator[Offer]:
        """The visible actions, of one connector or of all."""
        there = (each for each in self.view.behind.values() if connector in ("", each.connector.id))
        return (each for each in there if self.judge.visible(each))

    def firsts(self) -> list[Offer]:
        """One visible action of each connector that has any."""
        found: dict[str, Offer] = {}
        for each in self.view.behind.values():
            if each.connector.id not in found and self.judge.visible(each):
                found[each.connector.id] = each
        return list(found.values())

    # -- parts of it

    @property
    def _ours(self) -> Sequence[MetaTool | Builtin]:
        if not self.view.behind:
            return self.builtins
        return sorted((*self.builtins, *TOOLS.values()), key=attrgetter("name"))

    def _offers(self, kind: Kind) -> Sequence[Offer]:
        made = self.made(kind)
        return (*self.view.listed[kind], *made) if made else self.view.listed[kind]

    def _stays(self, item: Item) -> bool:
        """Whether nobody can hide it."""
        match item:
            case MetaTool():
                return False
            case Builtin():
                return item.always_visible
            case _:
                return item.made is not None and item.made.always_visible

    def _told(self, item: Item) -> VisibleTool:
        definition = item.definition
        return VisibleTool(
            id=id_of(item),
            name=item.name,
            title=str(definition.get("title", "")),
            description=str(definition.get("description", "")),
            owner=item.owner if isinstance(item, Offer) else "",
            object=item.object if isinstance(item, Offer) else "",
            action=item.item.level if isinstance(item, Offer) else "",
            always_visible=self._stays(item),
            hidden=self.hides(item),
        )


def id_of(item: Item) -> str:
    """How records name a tool: by its maker, or by its connector."""
    if not isinstance(item, Offer):
        return address(SYSTEM, item.name)
    return address(item.owner or item.item.connector, item.item.name)


def _told_of(prompt: Offer) -> VisiblePrompt:
    definition = prompt.definition
    arguments = definition.get("arguments")
    return VisiblePrompt(
        id=id_of(prompt),
        name=prompt.name,
        title=str(definition.get("title", "")),
        description=str(definition.get("description", "")),
        owner=prompt.owner,
        arguments=tuple(arguments) if isinstance(arguments, list) else (),
    )


def could_ask(judge: Judge, could: Could) -> bool:
    """Whether some question of that kind could be allowed, its arguments unknown."""
    mine = judge.subject.name
    for opening in judge.policy.openings(judge.subject, MAIN, could.object, could.action, judge.now):
        if could.whose is Whose.OWN and opening.owner != mine:
            continue
        chain = operation_chain(
            opening.object,
            could.action,
            judge.subject,
            domain=MAIN,
            owner=opening.owner,
            args=None,
            env=judge.env,
            owner_roles=judge.roles_of(opening.owner) if opening.roles is None else opening.roles,
        )
        if judge.policy.possible(chain, could.schema):
            return True
    return False


def _is_tool(item: Item) -> bool:
    return not isinstance(item, Offer) or item.item.kind is Kind.TOOL
