"""The question of a decision as an audit entry keeps it: nothing in it that must not be read.

What it leaves out stands elsewhere in the entry (subject, domain, owner, object, action, time, address, arguments).
This file knows no call and no policy.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from gateway.audit.entry import Called, Facts, Question
from gateway.audit.masking import Hash, kinds, masked, masked_target
from gateway.policy.terms import Chain, Tool

_TOLD: Final = b"which key is this"
_SHORT: Final = 8


def question_of(
    chain: Chain,
    *,
    shown: str,
    hidden: Iterable[str],
    readable_claims: frozenset[str],
    hashed: Hash,
    readable: frozenset[str] = frozenset(),
) -> Question:
    """The question that ``chain`` (not empty) asked. ``shown`` is its object as the entry has it, ``hidden`` are the
    pointers to the arguments that it hides; ``readable`` are the arguments that may be shown of another object, which
    is called in the end.
    """
    first, context = chain[0], chain[0].context
    own = [access for access in chain if access.object == first.object]
    calls = _called(chain[len(own) :], readable, hashed)
    claims, hidden_claims = masked(context.claims, readable_claims, hashed) if context.claims else ({}, {})
    offset = context.env.get("offset")
    argument_kinds = kinds(context.args or {}, hidden)
    return Question(
        tool=_facts(context.tool),
        groups=None if context.groups is None else tuple(sorted(context.groups)),
        claims=claims,
        hashed_claims=hidden_claims,
        owner_roles=context.owner_roles,
        lenders=tuple(access.subject for access in own[1:]),
        connection={name: str(value) for name, value in context.connection.items()} if context.connection else {},
        offset=offset if isinstance(offset, int) else 0,
        cut=shown != first.object,
        key=key_mark(hashed) if argument_kinds or hidden_claims or (calls is not None and calls.hashed) else "",
        kinds=argument_kinds,
        claim_kinds=kinds(context.claims, hidden_claims),
        calls=calls,
    )


def _called(chain: Chain, readable: frozenset[str], hashed: Hash) -> Called | None:
    """What the rest of a chain asks about, if there is any."""
    if not chain:
        return None
    first, context = chain[0], chain[0].context
    args = context.args or {}
    shown, hidden = masked(args, readable, hashed) if args else ({}, {})
    return Called(
        owner=first.owner,
        object=first.object,
        action=first.action,
        tool=_facts(context.tool),
        lenders=tuple(access.subject for access in chain[1:]),
        arguments=shown,
        hashed=hidden,
        kinds=kinds(args, hidden),
    )


@lru_cache(maxsize=16)
def key_mark(hashed: Hash) -> str:
    """What tells the key of ``hashed`` from others, and nothing about it."""
    return hashed(_TOLD)[:_SHORT]


def _facts(tool: Tool) -> Facts:
    return Facts(
        connector=tool.connector,
        name=tool.name if tool.kind == "tool" else masked_target(tool.name),
        kind=tool.kind,
        via=tool.via,
        destructive=tool.destructive,
        open_world=tool.open_world,
        tags=tool.tags,
    )
