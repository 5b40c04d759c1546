"""From a call to the accesses that must all be allowed for it.

This file knows who is asked about besides the caller, and what each of them is known to be; it
decides nothing, and asks neither a clock nor a store.
"""

from collections.abc import Mapping
from typing import Final

from connectors.base import Item
from gateway.policy.mapping import ArgumentMapping
from gateway.policy.spelling import read_name
from gateway.policy.terms import MAIN, NOTHING, SYSTEM, Access, Chain, Context, Json, Subject, Tool

CONNECT: Final = "connect"
"""The action by which somebody connects an account."""

GATEWAY: Final = "gateway"


def chain_of(
    item: Item,
    object: str,
    subject: Subject,
    *,
    domain: str,
    owner: str,
    args: Mapping[str, Json] | None,
    env: Mapping[str, Json],
    connection: Mapping[str, Json] = NOTHING,
    server_owner: str = "",
    mapping: ArgumentMapping | None = None,
) -> Chain:
    """The chain of one use of ``item`` on ``owner``'s connection; ``args`` is ``None`` where they are unknown, and
    ``connection`` what conditions may ask of that connection. Unknown arguments may be made of others, by ``mapping``.

    First the caller, in the domain of the URL. Then the lender, when the connection is another's, and the
    owner of the server, when it has one: each for himself, in ``main``. What is the operator's he has to be lent
    himself. Servers from operator files have no owner.
    """
    caller = Context(
        args=args,
        claims=subject.claims,
        groups=subject.groups,
        tool=item.facts,
        env=env,
        connection=connection,
        mapping=mapping,
    )
    first = Access(subject.name, domain, owner, object, item.level, caller)
    return _with_lenders(first, server_owner)


def operation_chain(
    object: str,
    action: str,
    subject: Subject,
    *,
    domain: str,
    owner: str,
    args: Mapping[str, Json] | None,
    env: Mapping[str, Json],
    owner_roles: tuple[str, ...] | None = None,
    server_owner: str = "",
) -> Chain:
    """What has to be allowed for an administrative operation on ``owner``'s record: one access, but for connecting an
    account, which is asked as a use is. ``args`` is ``None`` where they are unknown.
    """
    facts = facts_of(object)
    caller = Context(
        args=args, claims=subject.claims, groups=subject.groups, tool=facts, env=env, owner_roles=owner_roles
    )
    first = Access(subject.name, domain, owner, object, action, caller)
    return _with_lenders(first, server_owner) if action == CONNECT else (first,)


def facts_of(object: str) -> Tool:
    """What conditions may ask of something that is administered; administration itself is harmless."""
    connector, _, name = object.partition("/")
    used = connector != GATEWAY
    return Tool(connector, read_name(name), destructive=used, open_world=used)


def sent_of(chain: Chain) -> Mapping[str, Json]:
    """The arguments that what is called in the end gets: the very ones that the last access asks about."""
    return chain[-1].context.args or NOTHING


def inspection(subject: Subject, env: Mapping[str, Json]) -> Chain:
    """Whether ``subject`` may be told by which rule he was refused: whoever may inspect the policy."""
    return operation_chain(
        "gateway/policy", "inspect", subject, domain=MAIN, owner=SYSTEM, args=NOTHING, env=env, owner_roles=()
    )


def environment(now_ms: int, *, offset: int, address: str) -> dict[str, Json]:
    """The root ``env``: ``now`` in ms since the epoch, ``offset`` in minutes east of UTC, ``address`` as text."""
    return {"now": now_ms, "offset": offset, "address": address}


def _with_lenders(first: Access, server_owner: str = "") -> Chain:
    """The first access, and those whose right it rests on, each for himself, in ``main``."""
    lender = "" if first.owner in (first.subject, SYSTEM) else first.owner
    if not (lender or server_owner):
        return (first,)
    known = first.context
    absent = Context(
        args=known.args,
        groups=None,
        tool=known.tool,
        env=known.env,
        connection=known.connection,
        mapping=known.mapping,
    )
    owners = {lender: lender, server_owner: SYSTEM if first.owner == SYSTEM else server_owner}
    return (
        first,
        *(
            Access(name, MAIN, owner, first.object, first.action, known if name == first.subject else absent)
            for name, owner in owners.items()
            if name
        ),
    )
