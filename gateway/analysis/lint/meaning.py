"""What lint asks about the meaning of conditions, each question once. Nothing is claimed beyond the cap of one
question, nor when conditions have been compared too often: then only equal ones count.

Rows are for tools that may come later, so that the facts of the tool are open too. This file knows no rows.
"""

from collections.abc import Collection, Mapping
from typing import Final

from gateway.policy.conditions import Condition
from gateway.policy.goals import Want
from gateway.policy.meaning import Clauses, can_judge, implied, permits_some
from gateway.policy.terms import Effect

COMPARISONS: Final = 10_000
"""How many pairs of conditions one lint compares by meaning: some seconds."""


class Meanings:
    """``conditions`` are those of the policy by their texts, with that of the empty text."""

    def __init__(self, conditions: Mapping[str, Condition], comparisons: int = COMPARISONS) -> None:
        self._conditions = conditions
        self._left = comparisons
        self._within: dict[tuple[Condition, Condition, Effect], bool] = {}
        self._shut: dict[tuple[Condition, frozenset[Condition]], bool] = {}
        self._spared: dict[tuple[Condition, Condition], bool] = {}
        self._judged: dict[tuple[Condition, Want], bool | None] = {}

    def same(self, text: str, other: str) -> bool:
        """Whether two conditions are one, but for spaces, brackets and quotes."""
        return self._conditions[text] == self._conditions[other]

    def within(self, text: str, other: str, effect: Effect) -> bool:
        """Whether a row of this effect with the condition ``other`` counts whenever one with ``text`` does."""
        key = self._conditions[text], self._conditions[other], effect
        if key not in self._within:
            self._within[key] = key[0] == key[1] or (self._may_compare() and self._implied(*key) is True)
        return self._within[key]

    def _implied(self, one: Condition, other: Condition, effect: Effect) -> bool | None:
        if effect is Effect.ALLOW:
            return implied(Clauses(frozenset((one,))), Clauses(frozenset((other,))), tool=None)
        everybody = frozenset((self._conditions[""],))
        return implied(Clauses(everybody, frozenset((other,))), Clauses(everybody, frozenset((one,))), tool=None)

    def shut(self, allow: str, denies: Collection[str]) -> bool:
        """Whether an allow never counts without one of these denies counting, too."""
        condition, others = self._conditions[allow], frozenset(self._conditions[deny] for deny in denies)
        key = condition, others
        if key not in self._shut:
            clauses = Clauses(frozenset((condition,)), others)
            self._shut[key] = self._may_compare() and permits_some((clauses,), tool=None) is False
        return self._shut[key]

    def spared(self, allow: str, deny: str) -> bool:
        """Whether a deny never counts where an allow does."""
        key = self._conditions[allow], self._conditions[deny]
        if key not in self._spared:
            everybody = frozenset((self._conditions[""],))
            allowed, spared = Clauses(frozenset((key[0],))), Clauses(everybody, frozenset((key[1],)))
            self._spared[key] = self._may_compare() and implied(allowed, spared, tool=None) is True
        return self._spared[key]

    def _may_compare(self) -> bool:
        self._left -= 1
        return self._left >= 0

    def can(self, text: str, want: Want) -> bool | None:
        """Whether some context makes a condition judge as wanted; ``None`` beyond the cap."""
        key = self._conditions[text], want
        if key not in self._judged:
            self._judged[key] = can_judge(*key, tool=None)
        return self._judged[key]
