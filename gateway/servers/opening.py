"""What one state of a server lets in that the state before it did not. Pure.

Judged part by part, and never too little: whoever passes all parts of the new state, and did not pass the old one, is
let in by some part that is told here. It may tell of more than it is, where patterns overlap.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from gateway.mcp.jsonrpc import quoted
from gateway.records import Listing, Mode, Permission, Server
from gateway.servers.rows import called

SHOWN: Final = 10
"""Names of one sentence; what follows is counted."""


def opened(before: Server, after: Server) -> tuple[str, ...]:
    """What ``after`` lets in that ``before`` did not, a sentence each; nothing where it only takes away."""
    return tuple(_opened(before, after))


def _opened(before: Server, after: Server) -> Iterator[str]:
    if after.public and not before.public:
        yield "`isPublic`: everybody who has an account may use it now"
    if (after.mode, after.upstream) != (before.mode, before.upstream) and not _narrower(before.mode, after.mode):
        yield f"`mode`: other tools are reached now than in mode {quoted(before.mode.value)}"
    old, new = before.restrictions, after.restrictions
    yield from _wider("connectors", "every connector", old.connectors, new.connectors, _is)
    yield from _wider("actions", "every action", old.actions, new.actions, _may_meet)
    yield from _people(before, old.users, new.users)
    yield from _more(old.permissions, new.permissions)
    known = {each.id for each in before.signers}
    if fresh := [each.issuer for each in after.signers if each.id not in known]:
        yield f"`jwt`: end users come in by tokens of {_listed(fresh)} now"
    if more := [each for each in after.redirects if each not in before.redirects]:
        yield f"`redirectUris`: browsers may be sent to {_listed(more)} now"


def _narrower(before: Mode, after: Mode) -> bool:
    """Whether what is reached in the mode ``after`` is reached in ``before`` as well."""
    return before is Mode.DIRECT or (before is Mode.CONNECTIVITY and after is Mode.UPSTREAM)


def _people(server: Server, before: Listing | None, after: Listing | None) -> Iterator[str]:
    """A list of who is let in names accounts too, which do not come in otherwise unless the server is public."""
    if after is None or not after.allow:
        yield from _wider("users", "everybody whom the server knows", before, after, _is)
        return
    named = {subject for name in (before.names if before else ()) for subject in called(server.id, name)}

    def was_in(subject: str) -> bool:
        if before is not None and before.allow:
            return subject in named
        member = server.public or subject == server.owner or subject.startswith("end:")
        return member and subject not in named

    yield from _let_in("users", [each for each in after.names if not all(map(was_in, called(server.id, each)))])


def _wider(
    what: str, all: str, before: Listing | None, after: Listing | None, meets: Callable[[str, str], bool]
) -> Iterator[str]:
    if before is None:
        return
    if after is None:
        yield f"`restrictions.{what}`: {all} is let in now"
        return
    if before.allow and not after.allow:
        yield f"`restrictions.{what}`: {all} is let in now, but for those that are named"
    elif before.allow:
        yield from _let_in(what, [each for each in after.names if each not in before.names])
    elif after.allow:
        yield from _let_in(what, [each for each in after.names if any(meets(each, old) for old in before.names)])
    else:
        yield from _let_in(what, [each for each in before.names if each not in after.names])


def _let_in(what: str, names: Sequence[str]) -> Iterator[str]:
    if names:
        yield f"`restrictions.{what}`: let in now: {_listed(names)}"


def _more(before: Sequence[Permission] | None, after: Sequence[Permission] | None) -> Iterator[str]:
    if before is None:
        return
    if after is None:
        yield "`restrictions.permissions`: every connector and action is let in now"
        return
    had = {each.connector: each.actions for each in before}
    more = [
        f"{each.connector}:{action}"
        for each in after
        for action in each.actions
        if "*" not in had.get(each.connector, ()) and action not in had.get(each.connector, ())
    ]
    yield from _let_in("permissions", more)


def _is(name: str, other: str) -> bool:
    return name == other


def _may_meet(action: str, other: str) -> bool:
    """Whether some tool could be meant by both."""
    mine, ours = action.rpartition(":"), other.rpartition(":")
    if mine[0] and ours[0] and mine[0] != ours[0]:
        return False
    return "*" in mine[2] or "*" in ours[2] or mine[2] == ours[2]


def _listed(names: Iterable[str]) -> str:
    all = [*names]
    more = f" and {len(all) - SHOWN} more" if len(all) > SHOWN else ""
    return ", ".join(map(quoted, all[:SHOWN])) + more
