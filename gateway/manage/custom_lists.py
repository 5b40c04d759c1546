"""The tools and prompts that somebody sees, as he is told of them: cut to a name, the hidden ones apart.

What he sees was decided at the door; nothing here looks into a record.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from gateway.manage.asking import Asker, Operation, VisiblePrompt, VisibleTool

DIRECTORY: Final = "gateway/directory"


@dataclass(frozen=True, slots=True)
class SeenTools:
    """``same`` are the addresses of tools of one name, by that name, where there are several."""

    visible: tuple[VisibleTool, ...]
    hidden: tuple[VisibleTool, ...]
    same: Mapping[str, tuple[str, ...]]


async def list_tools(asker: Asker, contains: str = "") -> SeenTools:
    """The tools that he sees, if they have ``contains`` in a name, in whatever case. Raises ``Denied``."""
    _ask(asker, "tools.list")
    seen = [each for each in await asker.visible_tools() if _named(contains, each.name, each.id)]
    hidden = tuple(each for each in seen if each.hidden)
    return SeenTools(tuple(each for each in seen if not each.hidden), hidden, _several(seen))


async def list_prompts(asker: Asker, contains: str = "") -> tuple[VisiblePrompt, ...]:
    """The prompts that he sees, likewise. Raises ``Denied``."""
    _ask(asker, "prompts.list")
    return tuple(each for each in await asker.visible_prompts() if _named(contains, each.name, each.id))


def _ask(asker: Asker, method: str) -> None:
    asker.allow(Operation(method, DIRECTORY, "inspect", asker.subject.name))


def _named(contains: str, *names: str) -> bool:
    """The text is taken as it is: it is no pattern."""
    return any(contains.casefold() in each.casefold() for each in names)


def _several(seen: Iterable[VisibleTool]) -> dict[str, tuple[str, ...]]:
    """Of tools that users made; those of connectors have names of their own."""
    found: dict[str, tuple[str, ...]] = {}
    for each in seen:
        if each.owner:
            name = each.id.rpartition(":")[2]
            found[name] = (*found.get(name, ()), each.id)
    return {name: ids for name, ids in found.items() if len(ids) > 1}
