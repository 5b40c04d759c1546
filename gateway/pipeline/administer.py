"""What an administrative operation asks of the policy: managing, sharing, connecting an account.

The tool, the route and the page of one operation ask the same question. This file knows no operation by name, and
does nothing but judge; what is done stands in ``gateway/manage`` and beside the records concerned.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.pipeline import answers
from gateway.pipeline.chain import CONNECT, operation_chain
from gateway.pipeline.judge import Judge
from gateway.pipeline.passage import Passage
from gateway.policy.terms import MAIN, NOTHING, Chain, Json


@dataclass(frozen=True, slots=True)
class Operation:
    """One question. ``method`` names it in the audit entry (``connections.end``); ``object`` and ``action`` are as
    policy rows write them, ``owner`` is whose record is concerned (a subject, or ``system``), ``args`` the whole new
    record as conditions may ask of it.
    """

    method: str
    object: str
    action: str
    owner: str
    args: Mapping[str, Json] = field(default_factory=lambda: NOTHING)
    domain: str = MAIN


def allow(operation: Operation, judge: Judge, passage: Passage) -> None:
    """Raises ``Denied``; the passage tells of the decision."""
    passage.object, passage.action, passage.owner = operation.object, operation.action, operation.owner
    passage.arguments = operation.args
    chain = _chain(operation, judge)
    passage.judged(judge.policy, chain, decision := judge.policy.decide(chain))
    if not decision.allowed:
        raise answers.denied(decision, explain=judge.may_inspect())


def allowed(operation: Operation, judge: Judge) -> bool:
    """Whether it would be, for a list of records: of those that are not his to see he hears nothing."""
    return judge.policy.decide(_chain(operation, judge)).allowed


def _chain(operation: Operation, judge: Judge) -> Chain:
    return operation_chain(
        operation.object,
        operation.action,
        judge.subject,
        domain=operation.domain,
        owner=operation.owner,
        args=operation.args,
        env=judge.env,
        owner_roles=None if operation.action == CONNECT else judge.roles_of(operation.owner),
    )
