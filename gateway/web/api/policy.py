"""``/api/policy``: what the policy says, whom it lets do what, what another one would change, and putting it in force.

What is asked of the policy stands in ``gateway/manage/rulebook.py``; here are the forms of bodies and answers.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeVar

import msgspec

from gateway.manage import rulebook
from gateway.manage.rulebook import Asked, Moved, Rulebook
from gateway.manage.rulebook_told import ability_told, explanation_told, holder_told, plan_told
from gateway.pipeline import Pipeline
from gateway.pipeline.administer import Asking
from gateway.policy.terms import MAIN
from gateway.records import PolicyHead
from gateway.web.api.routes import Described, Knock

T = TypeVar("T")

WHY: Final = msgspec.Meta(min_length=1, max_length=1_000, description="the reason, kept in the history")
WORD: Final = msgspec.Meta(min_length=1, max_length=1_000)
Version = Annotated[int, msgspec.Meta(ge=1, le=2**31)]
Files = Annotated[dict[str, str], msgspec.Meta(description="the files of a policy folder, by name", max_length=1_000)]


class PolicyAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``version``: a former one instead of that in force."""

    version: Version | None = None


class HistoryAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``limit``: how many versions, the newest first."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 20


class PolicyToPlan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``against``: the version it is compared with, instead of that in force."""

    files: Files
    against: Version | None = None


class PolicyToApply(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """``expected`` is the version it was planned against, 0 before the first; ``despite_grants`` lets it through where
    nothing but living grants break its tests.
    """

    files: Files
    why: Annotated[str, WHY]
    expected: Annotated[int, msgspec.Meta(ge=0, le=2**31)]
    commit: Annotated[str, msgspec.Meta(max_length=100)] = ""
    signature: Annotated[str, msgspec.Meta(max_length=1_000)] = ""
    despite_grants: bool = False


class PolicyToRollBack(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``version``: the one that is to be in force again."""

    version: Version
    why: Annotated[str, WHY]


class QuestionToExplain(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One question to the policy; ``own`` is ``self``, ``system`` or a subject."""

    subject: Annotated[str, WORD]
    object: Annotated[str, WORD]
    action: Annotated[str, WORD]
    domain: Annotated[str, WORD] = MAIN
    own: Annotated[str, WORD] = "self"
    args: dict[str, Any] = {}
    claims: dict[str, Any] = {}
    address: Annotated[str, msgspec.Meta(max_length=100)] = ""


class WhoCanAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What somebody might do; ``own`` is whose it is."""

    object: Annotated[str, WORD]
    action: Annotated[str, WORD]
    domain: Annotated[str, WORD] = MAIN
    own: Annotated[str, WORD] = "self"


class WhatCanAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``domain``: one server; all of them where it is left out."""

    subject: Annotated[str, WORD]
    domain: Annotated[str, msgspec.Meta(max_length=1_000)] = ""


class PolicyTests(msgspec.Struct, frozen=True):
    """How the policy's own tests ended; ``covered`` of its ``rows`` were reached by one."""

    passed: int
    failed: int
    covered: int
    rows: int


class PolicyChange(msgspec.Struct, frozen=True):
    """How many rights were widened and narrowed, for how many users."""

    widened: int
    narrowed: int
    users: int


class PolicyVersion(msgspec.Struct, frozen=True):
    """``at`` is ms since the epoch; ``bundle`` the hash of what it says."""

    version: int
    at: int
    author: str
    why: str
    bundle: str
    commit: str
    signed: bool
    tests: PolicyTests | None
    plan: PolicyChange | None


class PolicyTold(msgspec.Struct, frozen=True):
    """A version and the files that say it."""

    head: PolicyVersion
    files: dict[str, str]


class PolicyHistory(msgspec.Struct, frozen=True):
    """Versions, the newest first."""

    versions: tuple[PolicyVersion, ...]


class PolicyMoved(msgspec.Struct, frozen=True, rename="camel"):
    """``moved``: whether this changed anything; ``failed_cases`` fail although it is in force now."""

    head: PolicyVersion
    moved: bool
    failed_cases: tuple[str, ...]


class PolicyPlan(msgspec.Struct, frozen=True):
    """What `ostiary policy plan --json` prints."""

    plan: dict[str, Any]


class PolicyExplanation(msgspec.Struct, frozen=True):
    """What `ostiary policy explain --json` prints."""

    explanation: dict[str, Any]


class PolicyHolders(msgspec.Struct, frozen=True):
    """What `ostiary policy who-can --json` prints."""

    holders: tuple[dict[str, Any], ...]


class PolicyAbilities(msgspec.Struct, frozen=True):
    """What `ostiary policy what-can --json` prints."""

    abilities: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class PolicyApi:
    """The routes of the policy."""

    pipeline: Pipeline
    book: Rulebook

    def routes(self) -> tuple[Described, ...]:
        """All of them."""
        return (
            Described(
                "GET",
                "/api/policy",
                "policy.read",
                self._read,
                PolicyTold,
                query=PolicyAsked,
                summary="The policy in force, or a former version: its head and its files",
            ),
            Described(
                "GET",
                "/api/policy/history",
                "policy.history",
                self._history,
                PolicyHistory,
                query=HistoryAsked,
                summary="The versions of the policy, the newest first",
            ),
            Described(
                "POST",
                "/api/policy/plan",
                "policy.plan",
                self._plan,
                PolicyPlan,
                takes=PolicyToPlan,
                summary="How rights would change, if these files were in force",
            ),
            Described(
                "POST",
                "/api/policy/apply",
                "policy.apply",
                self._apply,
                PolicyMoved,
                takes=PolicyToApply,
                summary="Put these files in force",
            ),
            Described(
                "POST",
                "/api/policy/rollback",
                "policy.rollback",
                self._roll_back,
                PolicyMoved,
                takes=PolicyToRollBack,
                summary="Put an earlier version in force again",
            ),
            Described(
                "POST",
                "/api/policy/explain",
                "policy.explain",
                self._explain,
                PolicyExplanation,
                takes=QuestionToExplain,
                summary="Why one question has its answer",
            ),
            Described(
                "GET",
                "/api/policy/who-can",
                "policy.who-can",
                self._who_can,
                PolicyHolders,
                query=WhoCanAsked,
                summary="Who may do one thing",
            ),
            Described(
                "GET",
                "/api/policy/what-can",
                "policy.what-can",
                self._what_can,
                PolicyAbilities,
                query=WhatCanAsked,
                summary="What somebody may do",
            ),
        )

    async def _read(self, who: Knock, asked: PolicyAsked) -> PolicyTold:
        found = await self._done("policy.read", who, lambda asker: rulebook.standing(self.book, asker, asked.version))
        return PolicyTold(_version(found.head), dict(found.files))

    async def _history(self, who: Knock, asked: HistoryAsked) -> PolicyHistory:
        heads = await self._done("policy.history", who, lambda asker: rulebook.history(self.book, asker, asked.limit))
        return PolicyHistory(tuple(map(_version, heads)))

    async def _plan(self, who: Knock, body: PolicyToPlan) -> PolicyPlan:
        found = await self._done(
            "policy.plan", who, lambda asker: rulebook.planned(self.book, asker, body.files, body.against)
        )
        return PolicyPlan(plan_told(found))

    async def _apply(self, who: Knock, body: PolicyToApply) -> PolicyMoved:
        def act(asker: Asking) -> Awaitable[Moved]:
            return rulebook.applied(
                self.book,
                asker,
                body.files,
                why=body.why,
                expected=body.expected,
                commit=body.commit,
                signature=body.signature,
                despite_grants=body.despite_grants,
            )

        return _moved(await self._done("policy.apply", who, act))

    async def _roll_back(self, who: Knock, body: PolicyToRollBack) -> PolicyMoved:
        moved = await self._done(
            "policy.rollback", who, lambda asker: rulebook.rolled_back(self.book, asker, body.version, why=body.why)
        )
        return _moved(moved)

    async def _explain(self, who: Knock, body: QuestionToExplain) -> PolicyExplanation:
        asked = Asked(
            subject=body.subject,
            object=body.object,
            action=body.action,
            domain=body.domain,
            owner=body.own,
            args=body.args,
            claims=body.claims,
            address=body.address,
        )
        found = await self._done("policy.explain", who, lambda asker: rulebook.explained(self.book, asker, asked))
        return PolicyExplanation(explanation_told(found))

    async def _who_can(self, who: Knock, asked: WhoCanAsked) -> PolicyHolders:
        found = await self._done(
            "policy.who-can",
            who,
            lambda asker: rulebook.who_can(
                self.book, asker, asked.object, asked.action, domain=asked.domain, owner=asked.own
            ),
        )
        return PolicyHolders(tuple(map(holder_told, found)))

    async def _what_can(self, who: Knock, asked: WhatCanAsked) -> PolicyAbilities:
        found = await self._done(
            "policy.what-can",
            who,
            lambda asker: rulebook.what_can(self.book, asker, asked.subject, domain=asked.domain),
        )
        return PolicyAbilities(tuple(map(ability_told, found)))

    async def _done(self, method: str, who: Knock, act: Callable[[Asking], Awaitable[T]]) -> T:
        return await self.pipeline.administered(method, who.subject, who.origin, act)


def _moved(moved: Moved) -> PolicyMoved:
    return PolicyMoved(_version(moved.head), moved.moved, tuple(map(str, moved.failed)))


def _version(head: PolicyHead) -> PolicyVersion:
    return PolicyVersion(
        version=head.version,
        at=head.at,
        author=head.author,
        why=head.why,
        bundle=head.bundle,
        commit=head.commit,
        signed=bool(head.signature),
        tests=None if head.tests is None else msgspec.convert(msgspec.to_builtins(head.tests), PolicyTests),
        plan=None if head.plan is None else msgspec.convert(msgspec.to_builtins(head.plan), PolicyChange),
    )
