"""Replay: what a candidate policy would have answered to recorded decisions.

An answer that differs counts as a change only when it comes from the rules: the policy of that time, with the grants
that the candidate is asked with, has to answer as recorded. Everything that cannot be told for sure is counted apart,
with its reason. This file takes entries and policies; where they come from is decided by the callers.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from gateway.analysis.replay.hidden import Answer, Asking, Digest
from gateway.analysis.replay.recorded import Entry, Recorded, recorded
from gateway.policy.engine import Policy
from gateway.policy.model import is_subject
from gateway.policy.terms import Reason

EXAMPLES: Final = 3

NO_ROW: Final = "no row"

_ABOUT_SOME_CALL: Final = "completion/complete"
"""Its decision is whether some call could be allowed, not one call."""


class Why(StrEnum):
    """Why an entry's decision could not be compared."""

    NO_QUESTION = "no_question"
    TOO_OLD = "too_old"
    CUT = "cut"
    FAULT = "fault"
    HIDDEN = "hidden"
    OTHER_GRANTS = "other_grants"
    UNKNOWN_VERSION = "unknown_version"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Change:
    """A decision that would come out otherwise: ``was`` and ``now`` are the rows that decided, or ``NO_ROW``."""

    id: str
    subject: str
    object: str
    allowed: bool
    """The candidate's answer; the recorded one was the other."""
    was: str
    now: str


@dataclass(frozen=True, slots=True)
class Group:
    """Decisions with something in common: how many, and the ids of the first."""

    name: tuple[str, ...]
    count: int
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """``rows`` are named by (candidate's answer, row that decides now, row that decided), ``users`` and ``tools`` by
    (candidate's answer, name), ``undecided`` by (``Why``, what it was about), the most frequent first.
    """

    entries: int
    same: int
    widened: int
    narrowed: int
    rows: tuple[Group, ...]
    users: tuple[Group, ...]
    tools: tuple[Group, ...]
    undecided: tuple[Group, ...]

    @property
    def not_decided(self) -> int:
        return sum(group.count for group in self.undecided)


@dataclass(slots=True)
class _Count:
    count: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, id: str) -> None:
        self.count += 1
        if len(self.examples) < EXAMPLES:
            self.examples.append(id)


@dataclass(frozen=True, slots=True)
class _Doubt:
    """A difference whose cause is not known yet."""

    question: Recorded
    recorded: bool
    change: Change


class Replay:
    """Entries go in by ``take``; then each version in ``doubted`` is settled by ``confirm``; then ``report`` tells.

    ``digests`` are the keyed hashes of values by what tells their keys apart (``Question.key``).
    """

    def __init__(self, candidate: Policy, digests: Mapping[str, Digest]) -> None:
        self._digests = digests
        self._asking = Asking(candidate, digests)
        self._entries = self._same = 0
        self._doubts: dict[str, list[_Doubt]] = defaultdict(list)
        self._changes: list[Change] = []
        self._undecided: dict[tuple[str, ...], _Count] = defaultdict(_Count)

    def take(self, entry: Entry) -> None:
        """Ask the candidate what ``entry`` answers."""
        self._entries += 1
        if (why := _unfit(entry)) is not None or entry.asked is None:
            self._leave(why or Why.NO_QUESTION, entry.method, entry.id)
            return
        question = recorded(entry, entry.asked)
        try:
            answer = self._asking.answer(question)
        except ValueError:
            self._leave(Why.UNREADABLE, entry.method, entry.id)
            return
        if answer.allowed is None:
            self._leave(Why.HIDDEN, ", ".join(answer.hidden), entry.id)
        elif answer.allowed is entry.allowed:
            self._same += 1
        else:
            doubt = _Doubt(question, not answer.allowed, _change(entry, answer))
            self._doubts[entry.policy.partition(".")[0]].append(doubt)

    def unreadable(self, where: str) -> None:
        """Count an entry that could not even be read."""
        self._entries += 1
        self._leave(Why.UNREADABLE, "", where)

    @property
    def doubted(self) -> Sequence[str]:
        """The applied versions whose answers have to be looked at again."""
        return sorted(self._doubts)

    def confirm(self, version: str, policy: Policy | None) -> None:
        """Settle the differences of one applied version by that version itself, with the same grants as the
        candidate; ``None`` when it is not to be had.
        """
        asking = None if policy is None else Asking(policy, self._digests)
        for doubt in self._doubts.pop(version, ()):
            if asking is None:
                self._leave(Why.UNKNOWN_VERSION, version, doubt.change.id)
                continue
            self._settle(doubt, asking)

    def report(self) -> Report:
        """What was found; differences that were not settled are not in it."""
        return summed(self._entries, self._same, self._changes, _groups(self._undecided))

    def _settle(self, doubt: _Doubt, asking: Asking) -> None:
        try:
            answer = asking.answer(doubt.question)
        except ValueError:
            self._leave(Why.UNREADABLE, doubt.change.object, doubt.change.id)
            return
        if answer.allowed is None:
            self._leave(Why.HIDDEN, ", ".join(answer.hidden), doubt.change.id)
        elif answer.allowed is doubt.recorded:
            self._changes.append(doubt.change)
        else:
            self._leave(Why.OTHER_GRANTS, doubt.change.subject, doubt.change.id)

    def _leave(self, why: Why, what: str, id: str) -> None:
        self._undecided[why.value, what].add(id)


def summed(entries: int, same: int, changes: Iterable[Change], undecided: tuple[Group, ...] = ()) -> Report:
    """The report of these changes."""
    ordered = sorted(changes, key=lambda change: change.id)
    return Report(
        entries=entries,
        same=same,
        widened=sum(change.allowed for change in ordered),
        narrowed=sum(not change.allowed for change in ordered),
        rows=_grouped(((_word(each.allowed), each.now, each.was), each.id) for each in ordered),
        users=_grouped(((_word(each.allowed), each.subject), each.id) for each in ordered),
        tools=_grouped(((_word(each.allowed), each.object), each.id) for each in ordered),
        undecided=undecided,
    )


def _grouped(named: Iterable[tuple[tuple[str, ...], str]]) -> tuple[Group, ...]:
    """Groups of (name, id), the largest first."""
    counts: dict[tuple[str, ...], _Count] = defaultdict(_Count)
    for name, id in named:
        counts[name].add(id)
    return _groups(counts)


def _groups(counts: Mapping[tuple[str, ...], _Count]) -> tuple[Group, ...]:
    ordered = sorted(counts.items(), key=lambda item: (-item[1].count, item[0]))
    return tuple(Group(name, count.count, tuple(count.examples)) for name, count in ordered)


def _unfit(entry: Entry) -> Why | None:
    """Why an entry is not one decision about one thing that can be asked again."""
    if entry.allowed is None or not is_subject(entry.subject) or entry.method == _ABOUT_SOME_CALL:
        return Why.NO_QUESTION
    if entry.reason == Reason.STALE_POLICY:
        return Why.NO_QUESTION
    if entry.asked is None:
        return Why.TOO_OLD
    if entry.reason == Reason.FAULT:
        return Why.FAULT
    return Why.CUT if entry.asked.cut else None


def _change(entry: Entry, answer: Answer) -> Change:
    now = NO_ROW if answer.rule is None else str(answer.rule.place)
    return Change(entry.id, entry.subject, entry.object, answer.allowed is True, entry.rule or NO_ROW, now)


def _word(allowed: bool) -> str:
    return "allowed" if allowed else "denied"
