"""What an administrative operation asks of the policy: managing, sharing, connecting an account.

The tool, the route and the page of one operation ask the same question. This file knows no operation by name, and
does nothing but judge; what is done stands in ``gateway/manage`` and beside the records concerned.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from gateway.identity import Identities
from gateway.manage.asking import Operation, VisiblePrompt, VisibleTool
from gateway.pipeline import answers
from gateway.pipeline.chain import CONNECT, operation_chain
from gateway.pipeline.judge import Judge
from gateway.pipeline.passage import Passage
from gateway.pipeline.shown import Shown
from gateway.policy.engine import Policy
from gateway.policy.terms import Chain, Json, Subject


@dataclass(slots=True)
class Asking:
    """The ``Asker`` of one passage; ``look`` gives what he sees of the main server. ``asked`` tells whether anything
    was asked: what acts without asking is a fault.
    """

    judge: Judge
    passage: Passage
    identities: Identities
    look: Callable[[Judge, Identities], Awaitable[Shown]]
    asked: bool = field(default=False)

    @property
    def subject(self) -> Subject:
        return self.judge.subject

    @property
    def policy(self) -> Policy:
        return self.judge.policy

    @property
    def env(self) -> Mapping[str, Json]:
        return self.judge.env

    def allow(self, operation: Operation) -> None:
        self.asked = True
        allow(operation, self.judge, self.passage)

    def may(self, operation: Operation) -> bool:
        self.asked = True
        return allowed(operation, self.judge)

    async def visible_tools(self) -> tuple[VisibleTool, ...]:
        return (await self.look(self.judge, self.identities)).tools()

    async def visible_prompts(self) -> tuple[VisiblePrompt, ...]:
        return (await self.look(self.judge, self.identities)).prompts()


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
        server_owner=judge.server_owner if operation.domain == judge.domain else "",
    )
