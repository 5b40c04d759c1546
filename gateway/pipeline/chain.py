"""From a call to the accesses that must all be allowed for it.

This file knows who is asked about besides the caller, and what each of them is known to be; it
decides nothing, and asks neither a clock nor a store.
"""

from collections.abc import Mapping

from connectors.base import Item
from gateway.policy.terms import MAIN, NOTHING, SYSTEM, Access, Chain, Context, Json, Subject, Tool


def chain_of(
    item: Item,
    object: str,
    subject: Subject,
    *,
    domain: str,
    owner: str,
    args: Mapping[str, Json] | None,
    env: Mapping[str, Json],
    server_owner: str = "",
) -> Chain:
    """The chain of one use of ``item`` on ``owner``'s connection; ``args`` is ``None`` where they are unknown.

    First the caller, in the domain of the URL. Then the lender, when the connection is another's, and the
    owner of the server, when it has one: each for himself, in ``main``. Servers from operator files have none.
    """
    caller = _known(subject, item.facts, args, env)
    first = Access(subject.name, domain, owner, object, item.level, caller)
    if owner in (subject.name, SYSTEM) and not server_owner:
        return (first,)
    lenders = (owner if owner not in (subject.name, SYSTEM) else "", server_owner)
    absent = Context(args=args, groups=None, tool=item.facts, env=env)
    return (
        first,
        *(
            Access(lender, MAIN, lender, object, item.level, caller if lender == subject.name else absent)
            for lender in dict.fromkeys(lenders)
            if lender
        ),
    )


def inspection(subject: Subject, env: Mapping[str, Json]) -> Chain:
    """Whether ``subject`` may be told by which rule he was refused: whoever may inspect the policy."""
    context = _known(
        subject, Tool(connector="gateway", name="policy", destructive=False, open_world=False), NOTHING, env
    )
    return (Access(subject.name, MAIN, SYSTEM, "gateway/policy", "inspect", context),)


def environment(now_ms: int, *, offset: int, address: str) -> dict[str, Json]:
    """The root ``env``: ``now`` in ms since the epoch, ``offset`` in minutes east of UTC, ``address`` as text."""
    return {"now": now_ms, "offset": offset, "address": address}


def _known(subject: Subject, facts: Tool, args: Mapping[str, Json] | None, env: Mapping[str, Json]) -> Context:
    return Context(args=args, claims=subject.claims, groups=subject.groups, tool=facts, env=env)
