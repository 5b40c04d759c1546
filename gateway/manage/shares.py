"""Sharing: one person lets another, or everybody in a role, use what is his, for a while.

A share is rows of the policy that name its owner: making one is a question of its own, using it is judged as every
use is, and nothing that was lent can be lent on. This file says nothing about how rows are spelled
(``share_rows.py``), nor what may stand beside the policy (``share_checks.py``).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from gateway.custom.calling import HTTP, declared_by, read_call
from gateway.custom.names import RESERVED, prompt_object, tool_object
from gateway.errors import Denied, InvalidArguments, Unknown
from gateway.manage import tool_loans
from gateway.manage.asking import Asker, Operation, now_of
from gateway.manage.custom_found import found_prompt, found_tool
from gateway.manage.loans import Level, loan_of, recipient
from gateway.manage.office import Office
from gateway.manage.share_checks import Wanted, check_recipient, check_rows, rows_of, wanted
from gateway.manage.share_ends import drop
from gateway.manage.share_rows import PROMPT_KIND, USER, Share, Terms, ids, shares_in, shares_of_loan
from gateway.manage.stored import drop_grant, put_grant, stored
from gateway.mcp.terms import Params
from gateway.policy.terms import SYSTEM, Json
from gateway.records import CustomPrompt, CustomTool, Grant, Handler

DAYS: Final = 90
"""For how long something is shared unless the request says."""


@dataclass(frozen=True, slots=True)
class Thing:
    """Something that could be shared, whether there is such a thing or not; ``told`` is how it was asked for."""

    owner: str
    name: str
    object: str
    told: str

    @property
    def is_prompt(self) -> bool:
        return self.object == prompt_object(self.name)


@stored
async def share(
    office: Office,
    asker: Asker,
    tool: str,
    to: str,
    level: str = Level.READ.value,
    days: int = DAYS,
    *,
    with_account: bool = False,
    connection: str = "",
) -> Share:
    """Let ``to`` (an e-mail address or ``role:NAME``) use a tool or prompt for ``days``; an earlier share of it to him
    is replaced. ``tool`` is ``creator:name``, a bare name, ``prompt:NAME``, or ``connector:tool`` on the one connection
    that he has or names. ``with_account``: what the tool calls may be called on its owner's account, through this tool.

    Raises ``Denied``, ``InvalidArguments``, ``Unknown``.
    """
    want = wanted(to, level, days)
    if item := await tool_loans.found(asker, tool):
        return await _lend(office, asker, item, want, connection)
    thing = _allowed(asker, _named(office, asker, tool), "tools.share", "share", want.args)
    record = _record(office, thing)
    terms = Terms(want.to, thing.owner, thing.object, want.level)
    if with_account:
        terms = await _with_account(office, asker, terms, record, want, connection)
    check_recipient(asker, want.to, thing.owner)
    grants = rows_of(asker, terms, want.days)
    check_rows(asker, grants)
    await _write(office, terms, grants, record)
    return shares_in(grants, now_of(asker))[0]


@stored
async def unshare(office: Office, asker: Asker, tool: str, to: str) -> int:
    """End what ``to`` may do with a tool or prompt by shares of it; how many shares that were.

    Raises ``Denied``, ``InvalidArguments``, ``Unknown`` where nothing is shared so.
    """
    borrower = recipient(to)
    if item := await tool_loans.found(asker, tool):
        asker.allow(Operation("tools.unshare", item.connector, "revoke", asker.subject.name, {"to": borrower}))
        ended = await tool_loans.end(office, asker, item, borrower)
        await office.followed()
    else:
        thing = _allowed(asker, _named(office, asker, tool), "tools.unshare", "revoke", {"to": borrower})
        ended = int(await drop(office, ids(thing.owner, thing.object, borrower)) > 0)
    if not ended:
        raise Unknown(f"`{tool[:200]}` is not shared with `{to[:200]}`")
    return ended


def called_object(tool: CustomTool) -> str:
    """What ``tool`` calls on an account that somebody connected, as the policy names it; ``""`` for nothing."""
    called = read_call(tool.handler, declared_by(tool.schema))
    return "" if isinstance(called, list) or called.connector == HTTP else called.object


def _named(office: Office, asker: Asker, text: str) -> Thing:
    """What ``text`` stands for. A tool of the gateway itself is asked about as what it is: administration."""
    *_, creator, kind, name = ("", "", *text.strip().split(":"))
    if kind == PROMPT_KIND:
        owner, name = found_prompt(office, asker, f"{creator}:{name}" if creator else name)
        return Thing(owner, name, prompt_object(name), text)
    if name in RESERVED and kind in ("", SYSTEM):
        return Thing(asker.subject.name, name, f"gateway/{name}", text)
    owner, name = found_tool(office, asker, text)
    return Thing(owner, name, tool_object(name), text)


def _allowed(asker: Asker, thing: Thing, method: str, action: str, args: Mapping[str, Json]) -> Thing:
    """Ask, and tell what is meant. What is another's, and what there is not, are the same to who may not; so a bare
    name means what the operator has to those alone who may do this with it.
    """
    operation = Operation(method, thing.object, action, thing.owner, args)
    if thing.owner == SYSTEM and not thing.told.strip().startswith(f"{SYSTEM}:") and not asker.may(operation):
        thing = replace(thing, owner=asker.subject.name)
        operation = replace(operation, owner=thing.owner)
    try:
        asker.allow(operation)
    except Denied:
        if operation.owner == asker.subject.name:
            raise
        raise _missing(thing) from None
    return thing


def _missing(thing: Thing) -> Unknown:
    return Unknown(f"there is no `{thing.told[:200]}` of yours to share; `list-tools` shows what you made")


def _record(office: Office, thing: Thing) -> CustomTool | CustomPrompt:
    custom = office.snapshot().custom
    known = custom.prompts if thing.is_prompt else custom.tools
    if (record := known.get(thing.owner, thing.name)) is None:
        raise _missing(thing)
    return record


async def _with_account(
    office: Office, asker: Asker, terms: Terms, record: CustomTool | CustomPrompt, want: Wanted, connection: str
) -> Terms:
    """``terms`` with what the tool calls on which connection, at the level that calling it needs. Lending that is a
    question of its own.
    """
    if terms.owner == SYSTEM:  # everybody's tools may call on that account, those that are called so too
        raise InvalidArguments("`withAccount`: the operator's account is not lent so; a row of the policy gives it")
    target = called_object(record) if isinstance(record, CustomTool) else ""
    if not target:
        raise InvalidArguments("`withAccount`: it calls nothing on an account of yours; leave that out")
    seen = (each.action for each in await asker.visible_tools() if each.object == target)
    level = Level(next(seen, Level.WRITE.value))
    lent = Wanted(want.to, level, want.days)
    asker.allow(Operation("tools.share", target, "share", terms.owner, lent.args))
    lender = tool_loans.connection_of(office, terms.owner, target.partition("/")[0], connection)
    return replace(terms, target=target, needs=level, connection=lender.id)


async def _lend(office: Office, asker: Asker, item: tool_loans.Item, want: Wanted, connection: str) -> Share:
    """A share of a connector's tool: a loan of a connection of his."""
    asker.allow(Operation("tools.share", item.object, "share", asker.subject.name, want.args))
    check_recipient(asker, want.to, asker.subject.name)
    grant = tool_loans.lent(office, asker, item, want, connection)
    check_rows(asker, [grant])
    await put_grant(office.store, grant)
    await _keep_if(office, [grant], await _recipient_lives(office, want.to))
    return shares_of_loan(loan_of(grant), asker.subject.name, item.connector)[0]


async def _write(office: Office, terms: Terms, grants: tuple[Grant, ...], record: CustomTool | CustomPrompt) -> None:
    """Write a share over an earlier one: first what it gives no more. Who deletes ends shares after the record is gone,
    so that one of both finds what the other did.
    """
    fresh = {each.id for each in grants}
    for id in ids(terms.owner, terms.object, terms.to):
        if id not in fresh:
            await drop_grant(office.store, id)
    for each in grants:
        await put_grant(office.store, each)
    await _keep_if(office, grants, await _as_it_was(office, record) and await _recipient_lives(office, terms.to))


async def _keep_if(office: Office, grants: list[Grant] | tuple[Grant, ...], kept: bool) -> None:
    """Take rows back that were written while what they rest on was taken away. Raises ``InvalidArguments``."""
    if not kept:
        for each in grants:
            await drop_grant(office.store, each.id)
    await office.followed()
    if not kept:
        raise InvalidArguments("this was changed or deleted at the same moment; look at it and try again")


async def _as_it_was(office: Office, record: CustomTool | CustomPrompt) -> bool:
    """Whether it is still there, and calls the same in the same way."""
    if isinstance(record, CustomPrompt):
        prompt = await office.store.prompts.get(record.id)
        return prompt is not None and prompt.created_at == record.created_at
    tool = await office.store.tools.get(record.id)
    return tool is not None and _how(tool) == _how(record)


def _how(tool: CustomTool) -> tuple[int, Handler, Params]:
    return tool.created_at, tool.handler, tool.schema


async def _recipient_lives(office: Office, to: str) -> bool:
    return not to.startswith(USER) or await office.store.users.get(to.removeprefix(USER)) is not None
