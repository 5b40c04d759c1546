"""Making, changing and deleting what users define: tools and prompts, by one function for each operation.

Every one asks before it acts, with the whole of what would be there; what there is is told to nobody who may not know.
Who else may use it is a matter of shares, which begin and end with it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, TypeAlias, TypeVar

from gateway.custom.known import record_id
from gateway.custom.names import address, creator_of, name_problem, read_address
from gateway.custom.reading import Definition
from gateway.errors import InvalidArguments, Unknown
from gateway.manage.asking import Asker, Operation, now_of
from gateway.manage.custom_found import owner_named, owners
from gateway.manage.office import Office
from gateway.manage.role_shares import roles_change, roles_permitted, write_roles
from gateway.manage.share_ends import end_base_rows, end_shares_of
from gateway.manage.share_rows import as_date
from gateway.manage.sorts import Sort
from gateway.manage.stored import stored
from gateway.mcp.jsonrpc import quoted
from gateway.mcp.terms import Params
from gateway.policy.terms import SYSTEM, Json
from gateway.records import CustomPrompt, CustomTool
from gateway.store.base import Conflict, NotFound

R = TypeVar("R", CustomTool, CustomPrompt)
Read: TypeAlias = Definition[R] | list[str]

HOW: Final = ("inputSchema", "handler")
"""The fields of a tool that say what it calls, and with what."""

MOST: Final = 100
"""Tools, and as many prompts, that one owner can have."""


@stored
async def add(office: Office, asker: Asker, sort: Sort[R], given: Mapping[str, Json]) -> Params:
    """Make what ``given`` defines, his own or (named ``system:NAME``) the operator's, and tell it. Raises ``Denied``,
    ``InvalidArguments`` with all that is wrong.
    """
    owner, name = _new(asker, given)
    read = sort.read({**given, "name": name}, owner=owner, by=asker.subject.name, now=now_of(asker))
    asker.allow(_question(sort, "add", owner, name, read, sort.changes(given)))
    made = _sound(read)
    await _refuse_if_there(office, sort, owner, name)
    await end_shares_of(office, owner, sort.object(name))  # left from one that was there before: nothing is inherited
    roles = await roles_change(office, asker, owner, sort.object(name), made.roles or ())
    try:
        record = await sort.records(office.store).add(made.record)
    except Conflict:
        raise _there_already(sort, owner, name) from None
    await write_roles(office, roles)
    await office.followed()
    return _told(office, asker, sort, record)


@stored
async def update(
    office: Office, asker: Asker, sort: Sort[R], named: str, updates: Mapping[str, Json], rev: int | None = None
) -> Params:
    """Change some fields of what ``named`` means, and tell it; with ``rev`` only where nobody changed it since. Raises
    ``Denied``, ``InvalidArguments`` with all that is wrong, ``Unknown``.
    """
    if problems := sort.misfits(updates):
        raise InvalidArguments("; ".join(problems))

    def read_of(record: R | None) -> "Read[R]":
        return [] if record is None else sort.changed(record, updates, by=asker.subject.name, now=now_of(asker))

    def question(owner: str, name: str, record: R | None) -> Operation:
        read = read_of(record)
        permitted = roles_permitted(asker.policy, owner, sort.object(name))
        return _question(sort, "update", owner, name, read, _changes(sort, updates, record, read), permitted)

    known = await _asked_for(office, asker, sort, named, question)
    changed = _sound(read_of(known))
    if rev not in (None, known.rev):
        raise _moved(known)
    record = await _changed(office, asker, sort, known, changed)
    await office.followed()
    return _told(office, asker, sort, record)


@stored
async def delete(office: Office, asker: Asker, sort: Sort[R], named: str) -> str:
    """Delete what ``named`` means, and end all shares of it; returns its address. Raises ``Denied``, ``Unknown``,
    ``InvalidArguments``.
    """

    def question(owner: str, name: str, record: R | None) -> Operation:
        return _question(sort, "delete", owner, name, [] if record is None else Definition(record, None))

    known = await _asked_for(office, asker, sort, named, question)
    try:
        await sort.records(office.store).remove(known.id)
    except NotFound:
        raise _missing(sort, named) from None
    await end_shares_of(office, known.owner, sort.object(known.name))
    await office.followed()
    return address(known.owner, known.name)


@stored
async def see(office: Office, asker: Asker, sort: Sort[R], named: str) -> Params:
    """The whole definition that ``named`` means. Raises ``Denied``, ``Unknown``, ``InvalidArguments``."""
    known = await _asked_for(office, asker, sort, named, lambda owner, name, _: _sight(sort, owner, name))
    return _told(office, asker, sort, known)


# -- what is meant


def _new(asker: Asker, given: Mapping[str, Json]) -> tuple[str, str]:
    """Whose a new one would be, and its name. Everybody makes his own: what another finds in his lists, he chose."""
    text = given.get("name")
    named = read_address(text if isinstance(text, str) else "")
    owner = owner_named(named.creator) if named.creator else asker.subject.name
    if owner not in (asker.subject.name, SYSTEM):
        raise InvalidArguments(f"name: nobody makes anything in the name of another; leave {quoted(named.creator)} out")
    return owner, named.name


async def _asked_for(
    office: Office, asker: Asker, sort: Sort[R], named: str, question: Callable[[str, str, R | None], Operation]
) -> R:
    """The record that ``named`` means, once ``question`` about it was allowed: about what there is not, too."""
    owner, name = _meant(office, asker, sort, named, question)
    known = None if name_problem(name) else await sort.records(office.store).get(record_id(owner, name))
    asker.allow(question(owner, name, known))
    if known is None:
        raise _missing(sort, named)
    return known


def _meant(
    office: Office, asker: Asker, sort: Sort[R], named: str, question: Callable[[str, str, R | None], Operation]
) -> tuple[str, str]:
    """Owner and name. A bare name means his own; where he has none, the one that he was given, or of several the one
    for which ``question`` is allowed. Raises ``InvalidArguments`` where it is allowed for several.
    """
    wanted = read_address(named)
    if wanted.creator:
        return owner_named(wanted.creator), wanted.name
    name, made = wanted.name, sort.made(office.snapshot().custom)
    first, *more = owners(made, asker, name, sort.object(name))
    mine = asker.subject.name
    if first == mine or not (more or first == SYSTEM):
        return first, name
    open = [each for each in (first, *more) if asker.may(question(each, name, made.get(each, name)))]
    if len(open) > 1:
        named_so = ", ".join(quoted(address(each, name)) for each in open)
        raise InvalidArguments(f"name: there are several {sort.word}s called {quoted(name)}: say which, {named_so}")
    given = (each for each in (first, *more) if each != SYSTEM)
    return open[0] if open else next(given, mine), name


# -- what is asked


def _question(
    sort: Sort[R],
    operation: str,
    owner: str,
    name: str,
    what: "Read[R]",
    changes: Iterable[str] = (),
    permitted: Sequence[str] = (),
) -> Operation:
    """``what`` would be there, or is to go; ``permitted`` are the roles that have it, where it says nothing of them."""
    args: Params = {"operation": operation, "changes": [*changes]}
    roles: Sequence[str] = permitted
    if isinstance(what, Definition):
        args["handler"] = sort.handler(what.record)
        roles = permitted if what.roles is None else what.roles
    args["roles"] = [*roles]
    return Operation(f"{sort.word}s.{operation}", sort.object(name), "manage", owner, args)


def _changes(sort: Sort[R], updates: Mapping[str, Json], known: R | None, read: "Read[R]") -> list[str]:
    """The fields that ``updates`` name, and the handler where they change what it is handed."""
    named: list[str] = sort.changes(updates)
    more = known is not None and isinstance(read, Definition) and sort.passes_more(known, read.record)
    return [*named, *({"handler"} - {*named})] if more else named


def _sight(sort: Sort[R], owner: str, name: str) -> Operation:
    return Operation(f"{sort.word}s.inspect", sort.object(name), "inspect", owner)


# -- what is done


async def _refuse_if_there(office: Office, sort: Sort[R], owner: str, name: str) -> None:
    if await sort.records(office.store).get(record_id(owner, name)) is not None:
        raise _there_already(sort, owner, name)
    if len(sort.made(office.snapshot().custom).of(owner)) >= MOST:
        whose = quoted(creator_of(owner))
        raise InvalidArguments(f"{whose} has {MOST} {sort.word}s, which is all that fit; delete one that is not used")


async def _changed(office: Office, asker: Asker, sort: Sort[R], known: R, changed: Definition[R]) -> R:
    """Write it, and what it means for shares."""
    owner, object = known.owner, sort.object(known.name)
    roles = None if changed.roles is None else await roles_change(office, asker, owner, object, changed.roles)
    otherwise = _calls_otherwise(asker, sort, known, changed.record)
    if otherwise:  # first: at no moment, and whatever fails, does what is new use what was lent for the old
        await end_base_rows(office, owner, object)
    try:
        record = await sort.records(office.store).replace(changed.record)
    except (Conflict, NotFound):
        raise _moved(known) from None
    if otherwise:  # and what was lent meanwhile
        await end_base_rows(office, owner, object)
    if roles is not None:
        await write_roles(office, roles)
    return record


def _calls_otherwise(asker: Asker, sort: Sort[R], known: R, record: R) -> bool:
    """Whether what its owner lent for it ends: it calls something else, or does so by the will of somebody else, who
    may let callers say what its schema kept from them.
    """
    before, after = sort.called(known), sort.called(record)
    if before is None or after is None or before.object != after.object:
        return True
    then, now = sort.document(known), sort.document(record)
    return asker.subject.name != known.owner and any(then[each] != now[each] for each in HOW)


# -- what is told


def _told(office: Office, asker: Asker, sort: Sort[R], record: R) -> Params:
    """The definition as its maker wrote it; of how it works only to who may see that."""
    object = sort.object(record.name)
    roles = roles_permitted(office.snapshot().policy, record.owner, object)
    shown = sort.document(record)
    if not asker.may(_sight(sort, record.owner, record.name)):
        del shown["handler"]
    return {
        "id": address(record.owner, record.name),
        **shown,
        "creator": creator_of(record.owner),
        "rolesPermitted": list(roles),
        "createdAt": as_date(record.created_at),
        "updatedAt": as_date(record.updated_at),
        "rev": record.rev,
    }


def _sound(read: "Read[R]") -> Definition[R]:
    if isinstance(read, list):
        raise InvalidArguments("; ".join(read))
    return read


def _there_already(sort: Sort[R], owner: str, name: str) -> InvalidArguments:
    where = quoted(address(owner, name))
    return InvalidArguments(f"name: there is a {sort.word} {where} already; `update-{sort.word}` changes it")


def _moved(known: CustomTool | CustomPrompt) -> InvalidArguments:
    return InvalidArguments(
        f"{quoted(address(known.owner, known.name))} was changed meanwhile; look at it, and try again"
    )


def _missing(sort: Sort[R], named: str) -> Unknown:
    return Unknown(f"there is no {sort.word} {quoted(named)}; `list-{sort.word}s` names those that there are")
