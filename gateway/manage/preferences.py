"""How somebody wants to see his tools: which ones his lists leave out. It changes no right: they can be called."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeAlias

from msgspec import structs

from gateway.errors import InvalidArguments, Unknown
from gateway.manage.asking import Asker, Operation, VisibleTool
from gateway.manage.office import Office
from gateway.manage.stored import stored
from gateway.store.base import Conflict, NotFound

MOST_HIDDEN: Final = 500
TRIES: Final = 5

Change: TypeAlias = Callable[[tuple[str, ...]], tuple[str, ...]]


@stored
async def hide(office: Office, asker: Asker, tools: Sequence[str]) -> tuple[str, ...]:
    """Leave ``tools`` out of his lists: by id (``ann@example.com:report``), or by the name that his list shows. Returns
    all that he hides. Raises ``Denied``, ``InvalidArguments``.
    """
    _ask(asker, "tools.hide")
    found = _found(await asker.visible_tools(), tools)
    if staying := [each.name for each in found if each.always_visible]:
        raise InvalidArguments(f"`toolId`: {_quoted(staying)} cannot be hidden")
    more = tuple(each.id for each in found)
    return await _changed(office, asker, lambda before: tuple(dict.fromkeys((*before, *more))))


@stored
async def unhide(office: Office, asker: Asker, tools: Sequence[str]) -> tuple[str, ...]:
    """Show ``tools`` in his lists again; as ``hide``. What was not hidden stays shown."""
    _ask(asker, "tools.unhide")
    hidden = asker.identities.hidden_of(asker.subject)
    named = [each for each in tools if each not in hidden]
    less = {*tools, *(each.id for each in (_found(await asker.visible_tools(), named) if named else ()))}
    return await _changed(office, asker, lambda before: tuple(each for each in before if each not in less))


def _ask(asker: Asker, method: str) -> None:
    asker.allow(Operation(method, "gateway/directory", "inspect", asker.subject.name))


def _found(seen: Iterable[VisibleTool], texts: Iterable[str]) -> list[VisibleTool]:
    """The tools that are so called, by id before by name."""
    by = {each.name: each for each in seen} | {each.id: each for each in seen}
    if unknown := [each for each in texts if each not in by]:
        raise InvalidArguments(f"`toolId`: you see no tool {_quoted(unknown)}; `list-tools` shows those that there are")
    return [by[each] for each in texts]


async def _changed(office: Office, asker: Asker, change: Change) -> tuple[str, ...]:
    """What he hides from now on."""
    hidden = await _written(office, asker.subject.name.removeprefix("user:"), change)
    await office.followed()
    return hidden


async def _written(office: Office, id: str, change: Change) -> tuple[str, ...]:
    """Read, change and write over what was read, until nobody else wrote meanwhile."""
    for _ in range(TRIES):
        user = await office.store.users.get(id)
        if user is None:
            break
        hidden = change(user.hidden)
        if len(hidden) > MOST_HIDDEN:
            raise InvalidArguments(f"`toolId`: at most {MOST_HIDDEN} tools can be hidden; unhide some first")
        if hidden == user.hidden:
            return hidden
        try:
            return (await office.store.users.replace(structs.replace(user, hidden=hidden))).hidden
        except (Conflict, NotFound):
            continue
    raise Unknown("this account is gone, or changes all the time; try again")


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f"`{each}`" for each in names)
