"""The policy over the management API: what it says, whom it lets do what, what another one would change, and putting
that one in force.

Every function asks before it looks. What takes long runs in a thread of its own, one at a time in a process. This file
knows no transport; how a policy is stored stands in ``policies.py``.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, TypeVar

from gateway.analysis.cases import read_cases
from gateway.analysis.inventory import Inventory, Thing, unclassified
from gateway.analysis.plan import Plan, plan
from gateway.analysis.who import Ability, Holder, Who
from gateway.errors import Conflict, InvalidArguments, Unavailable, Unknown
from gateway.manage.asking import Asker, Operation, now_of
from gateway.manage.office import Office
from gateway.manage.policies import (
    CasesFailed,
    LockedOut,
    Untrusted,
    apply_policy,
    policy_in_force,
    policy_of,
    rollback,
)
from gateway.manage.proving import living
from gateway.manage.stored import stored
from gateway.policy.bundle import Bundle
from gateway.policy.engine import BadPolicy, Policy
from gateway.policy.explain import Explanation
from gateway.policy.guard import POLICY
from gateway.policy.model import is_subject
from gateway.policy.rows import rule_sentences
from gateway.policy.rules import read
from gateway.policy.signature import TrustedKey, distrust
from gateway.policy.terms import MAIN, SYSTEM, Access, Context, Effect, Json, Place, Problem, Subject
from gateway.policy.written import written
from gateway.records import PolicyHead
from gateway.servers.rows import all_grants
from gateway.store import base
from gateway.store.base import Changes, NotFound

T = TypeVar("T")

FOLDER: Final = "policies"
"""Under this name the files of a policy that was sent are shown to people."""

PATIENCE_S: Final = 20.0
MOST_WAITING: Final = 4
SLICE_S: Final = 0.002
PAUSE_S: Final = 0.002

Things = Mapping[str, tuple[Thing, ...]]


@dataclass(slots=True)
class Turn:
    """Who computes now: one at a time, and few who wait."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: int = 0

    @asynccontextmanager
    async def taken(self) -> AsyncIterator[None]:
        """Raises ``Unavailable`` where too many wait already."""
        if self.waiting >= MOST_WAITING:
            raise Unavailable("the policy is being asked about by others; try again in a moment")
        self.waiting += 1
        try:
            async with self.lock:
                yield
        finally:
            self.waiting -= 1


async def _nothing(_subject: str, _domains: Sequence[str]) -> Things:
    return {}


def _no_folder() -> None:
    """No folder decides: what is applied stays."""


@dataclass(frozen=True, slots=True)
class Rulebook:
    """Where these operations work. ``trusted`` are the keys that may sign a policy, ``refuse_apply`` raises where a
    folder decides, ``things`` tells what some servers offer to a subject.
    """

    office: Office
    trusted: Sequence[TrustedKey] = ()
    refuse_apply: Callable[[], None] = _no_folder
    things: Callable[[str, Sequence[str]], Awaitable[Things]] = _nothing
    patience_s: float = PATIENCE_S
    turn: Turn = field(default_factory=Turn)


@dataclass(frozen=True, slots=True)
class Standing:
    """A version and the files that say it."""

    head: PolicyHead
    files: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Asked:
    """A question of ``explain``; ``owner`` is ``self``, ``system`` or a subject."""

    subject: str
    object: str
    action: str
    domain: str = MAIN
    owner: str = "self"
    args: Mapping[str, Json] = field(default_factory=dict)
    claims: Mapping[str, Json] = field(default_factory=dict)
    address: str = ""


@dataclass(frozen=True, slots=True)
class Moved:
    """What is in force now. ``moved`` is false where it was before; ``failed`` are cases that fail all the same."""

    head: PolicyHead
    moved: bool
    failed: tuple[Problem, ...] = ()


@stored
async def standing(book: Rulebook, asker: Asker, version: int | None = None) -> Standing:
    """The policy in force, or a former ``version``. Raises ``Denied``, ``Unknown``."""
    asker.allow(_asks("policy.read", "inspect"))
    try:
        store = book.office.store
        found = await policy_in_force(store) if version is None else await policy_of(store, version)
    except NotFound as missing:
        raise Unknown(str(missing)) from None
    if found is None:
        raise Unknown("no policy was applied yet, so everything is denied")
    return Standing(found.head, await asyncio.to_thread(written, found.bundle))


@stored
async def history(book: Rulebook, asker: Asker, most: int) -> Sequence[PolicyHead]:
    """The newest ``most`` versions, the newest first. Raises ``Denied``."""
    asker.allow(_asks("policy.history", "inspect"))
    return await book.office.store.bundles.history(most)


@stored
async def explained(book: Rulebook, asker: Asker, asked: Asked) -> Explanation:
    """Why one question has its answer. Raises ``Denied``, ``InvalidArguments``."""
    asker.allow(_asks("policy.explain", "inspect"))
    _check_subject(asked.subject)
    _check_words(asked.domain, asked.owner, asked.object, asked.action)
    things = (await book.things(asker.subject.name, (asked.domain,))).get(asked.domain, ())
    thing = next((each for each in things if each.object == asked.object), unclassified(asked.object))
    owner, now = asked.subject if asked.owner == "self" else asked.owner, now_of(asker)
    context = Context(
        args=asked.args,
        claims=asked.claims,
        tool=thing.tool,
        env={**asker.env, "address": asked.address},
        owner_roles=tuple(sorted(asker.policy.roles_of(owner, MAIN, now))),
    )
    access = Access(asked.subject, asked.domain, owner, asked.object, asked.action, context)
    return asker.policy.explain(access)


@stored
async def who_can(
    book: Rulebook, asker: Asker, object: str, action: str, *, domain: str = MAIN, owner: str = "self"
) -> list[Holder]:
    """Everybody of whom some call could be allowed. Raises ``Denied``, ``InvalidArguments``, ``Unavailable``."""
    asker.allow(_asks("policy.who-can", "inspect"))
    _check_words(domain, owner, object, action)
    who = await _inventory(book, asker, (domain,))
    return await _computed(
        book, lambda: Who(asker.policy, who, now_of(asker)).can(object, action, domain=domain, owner=owner)
    )


@stored
async def what_can(book: Rulebook, asker: Asker, subject: str, *, domain: str = "") -> list[Ability]:
    """Everything of which ``subject`` could do some call, in ``domain`` or anywhere. Raises as ``who_can``, and
    ``Unknown`` for whom nobody knows.
    """
    asker.allow(_asks("policy.what-can", "inspect"))
    inventory = await _inventory(book, asker, (domain,) if domain else sorted(book.office.servers))

    def found() -> list[Ability] | None:
        who = Who(asker.policy, inventory, now_of(asker))
        if not who.knows(subject):
            return None
        domains = (domain,) if domain else who.domains
        return [each for asked in domains for each in who.may(subject, domain=asked)]

    abilities = await _computed(book, found)
    if abilities is None:
        text = f"`{subject[:200]}` has no account and stands in no row; for whoever is new, ask about `user:*`"
        raise Unknown(text)
    return abilities


@stored
async def planned(book: Rulebook, asker: Asker, files: Mapping[str, str], against: int | None = None) -> Plan:
    """How rights would change from the policy in force, or from version ``against``, to what ``files`` say. Raises
    ``Denied``, ``InvalidArguments``, ``Unknown``, ``Unavailable``.
    """
    asker.allow(_asks("policy.plan", "inspect"))
    bundle = await _read(book, files)
    store = book.office.store
    try:
        found = await policy_in_force(store) if against is None else await policy_of(store, against)
    except NotFound as missing:
        raise Unknown(str(missing)) from None
    if found is not None and (sentence := distrust(found.head.signature, found.head.bundle, book.trusted)):
        raise InvalidArguments(f"policy {found.head.version} decides nowhere: {sentence}")
    old, version = (None, 0) if found is None else (found.bundle, found.head.version)
    inventory = await _inventory(book, asker, sorted(book.office.servers))
    people, now = await store.changes(0), now_of(asker)
    return await _computed(book, lambda: _plan(old, version, bundle, people, inventory, now, book.patience_s))


@stored
async def applied(
    book: Rulebook,
    asker: Asker,
    files: Mapping[str, str],
    *,
    why: str,
    expected: int,
    commit: str = "",
    signature: str = "",
    despite_grants: bool = False,
) -> Moved:
    """Put what ``files`` say in force, where ``expected`` is still the version in force. Raises ``Denied``,
    ``Conflict``, ``InvalidArguments``, ``Unavailable``.
    """
    asker.allow(_asks("policy.apply", "manage", {"why": why, "version": expected}))
    bundle = await _read(book, files)
    failed: list[Problem] = []
    head = await _moving(
        book,
        lambda: apply_policy(
            book.office.store,
            bundle,
            author=asker.subject.name,
            why=why,
            now=now_of(asker),
            expected=expected,
            commit=commit,
            signature=signature,
            trusted=book.trusted,
            despite_grants=despite_grants,
            tell=failed.append,
        ),
    )
    return Moved(head, head.version != expected, tuple(failed))


@stored
async def rolled_back(book: Rulebook, asker: Asker, version: int, *, why: str) -> Moved:
    """Put the policy that was ``version`` in force again. Raises as ``applied``, and ``Unknown``."""
    asker.allow(_asks("policy.rollback", "manage", {"why": why, "version": version}))
    store = book.office.store
    before = await store.bundles.head()
    failed: list[Problem] = []
    head = await _moving(
        book,
        lambda: rollback(
            store,
            version,
            author=asker.subject.name,
            why=why,
            now=now_of(asker),
            trusted=book.trusted,
            tell=failed.append,
        ),
    )
    return Moved(head, before is None or head.version != before.version, tuple(failed))


async def _moving(book: Rulebook, move: Callable[[], Awaitable[PolicyHead]]) -> PolicyHead:
    """Where the head stands after ``move``, followed by this process."""
    try:
        book.refuse_apply()
        async with book.turn.taken():
            head = await move()
    except NotFound as missing:
        raise Unknown(str(missing)) from None
    except base.Conflict as moved:
        raise Conflict(str(moved)) from None
    except BadPolicy as bad:
        raise _wrong("the policy cannot decide", bad.problems) from None
    except CasesFailed as failure:
        raise _wrong("the policy's own tests fail", (*failure.problems, *failure.by_grants)) from None
    except (LockedOut, Untrusted) as refused:
        raise InvalidArguments(str(refused)) from None
    await book.office.followed()
    return head


async def _read(book: Rulebook, files: Mapping[str, str]) -> Bundle:
    """The policy that ``files`` say. Raises ``InvalidArguments`` with all that is wrong with them."""

    def reading() -> Bundle | list[Problem]:
        found = read({f"{FOLDER}/{name}": text for name, text in files.items()})
        cases = read_cases(found.cases) if isinstance(found, Bundle) else []
        return cases if isinstance(cases, list) and cases else found

    strange = [name for name in files if name.startswith("/") or ".." in name or not name.isprintable()]
    problems = [Problem(Place(FOLDER), f"`{name[:100]!a}` is no name of a file below it") for name in strange]
    found: Bundle | list[Problem] = problems or await _computed(book, reading)
    if not isinstance(found, Bundle):
        raise _wrong("the policy is not valid", found)
    return found


def _wrong(what: str, problems: Sequence[Problem]) -> InvalidArguments:
    told = [str(each) for each in problems]
    return InvalidArguments(f"{what}: {told[0] if told else 'see its files'}", data={"problems": list[Json](told)})


def _plan(
    old: Bundle | None, version: int, new: Bundle, people: Changes, inventory: Inventory, now: int, patience_s: float
) -> Plan:
    """The plan, computed with a pause now and then for the other threads. Raises ``TimeoutError``."""
    end = time.monotonic() + patience_s
    pause = time.monotonic() + SLICE_S

    def breathe(_done: int, _of: int) -> None:
        nonlocal pause
        if time.monotonic() > end:
            raise TimeoutError
        if time.monotonic() > pause:
            time.sleep(PAUSE_S)
            pause = time.monotonic() + SLICE_S

    rows = living(all_grants(people), now)
    before = Policy.build(old, rows if old else (), str(version))
    return plan(before, Policy.build(new, rows, f"{FOLDER}/"), inventory, now, breathe)


async def _inventory(book: Rulebook, asker: Asker, domains: Sequence[str]) -> Inventory:
    subjects = tuple(Subject(f"user:{each}") for each in asker.identities.addresses)
    return Inventory(subjects, await book.things(asker.subject.name, domains))


async def _computed(book: Rulebook, work: Callable[[], T]) -> T:
    """What ``work`` gives, in a thread. Raises ``Unavailable`` where it takes too long."""
    async with book.turn.taken():
        try:
            return await asyncio.to_thread(work)
        except BadPolicy as bad:
            raise _wrong("the policy cannot decide", bad.problems) from None
        except TimeoutError:
            text = f"this takes longer than {book.patience_s:g} seconds; `ostiary policy` on the host takes its time"
            raise Unavailable(text) from None


def _asks(method: str, action: str, args: Mapping[str, Json] | None = None) -> Operation:
    return Operation(method, POLICY, action, SYSTEM, args or {})


def _check_subject(subject: str) -> None:
    if not is_subject(subject):
        raise InvalidArguments(
            f"`{subject[:200]}` is not a subject; write `user:EMAIL`, `end:SERVER/SUB` or `server:ID`"
        )


def _check_words(domain: str, owner: str, object: str, action: str) -> None:
    """Raises ``InvalidArguments`` where no row could ever answer the question."""
    if sentences := rule_sentences(("*", domain, owner, object, action, "", Effect.DENY.value)):
        raise InvalidArguments("; ".join(sentences)[:1000])
