"""Who may stand for the end users of a server: one question to the policy, asked whenever somebody does.

This file knows no request, and keeps nothing.
"""

from typing import Final

from gateway.policy.engine import Policy
from gateway.policy.spelling import read_name
from gateway.policy.terms import MAIN, Access, Acting, Context, Decision, Subject, Tool
from gateway.records import Server
from gateway.servers.rows import end_user

ACT: Final = "act-"
"""What the proof of an end user begins with for whom somebody stands; that one's own proof follows."""

_ABOUT: Final = Tool("gateway", "end-users", destructive=False, open_world=False)


def stood_for(acting: Acting, server: Server, name: str) -> Subject:
    """The end user ``name`` of ``server`` for whom somebody stands; whether he may is another question."""
    first = acting.subject
    proof = f"{ACT}{first.credential}"
    return Subject(end_user(server.id, name), credential=proof, expires_at=first.expires_at, acting=acting)


def may_act(policy: Policy, acting: Acting, server: Server, name: str, now: int) -> Decision:
    """Whether the policy lets him act as the end user ``name`` of ``server`` at ``now`` (ms since the epoch)."""
    subject, owner = acting.subject, server.owner
    groups = subject.groups if owner == subject.name else frozenset[str]()
    context = Context(
        args={"server": server.id, "user": name},
        claims=subject.claims,
        groups=subject.groups,
        tool=_ABOUT,
        env={**acting.env, "now": now},
        owner_roles=tuple(sorted(policy.roles_of(owner, MAIN, now, groups))),
    )
    return policy.decide((Access(subject.name, MAIN, owner, "gateway/end-users", "act-as", context),))


def named(subject: str) -> tuple[str, str]:
    """The server of an end user, and the name by which it knows him."""
    server, _, name = subject.removeprefix("end:").partition("/")
    return server, read_name(name)
