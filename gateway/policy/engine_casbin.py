"""Casbin's part of the engine: its models, its loop and its effect, over the rows chosen for one question.

Its role managers, adapters, evaluator and logs are left out: the matcher is compiled once, its functions are
ours. This file knows no index and no policy.
"""

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any

import casbin
from casbin.effect import get_effector

from gateway.policy.index import Row
from gateway.policy.model import conjuncts
from gateway.policy.terms import Access, Context


class Matcher:
    """The model's matcher as a chain of calls, in the form in which Casbin asks an expression."""

    def __init__(self, text: str, functions: Mapping[str, Callable[..., bool]]) -> None:
        self._parts = tuple((functions[name], itemgetter(*arguments)) for name, arguments in conjuncts(text))

    def eval(self, names: Mapping[str, Any]) -> bool:
        for function, arguments in self._parts:  # noqa: SIM110 (half the time of all() over a generator)
            if not function(*arguments(names)):
                return False
        return True


class Court:
    """A checked model with its functions: judges questions, each over the rows chosen for it."""

    def __init__(self, text: str, functions: Mapping[str, Callable[..., bool]]) -> None:
        model = casbin.Model()
        model.load_model_from_text(text)
        self.model = model
        self.effect = get_effector(model["e"]["e"].value)
        self.matcher = Matcher(model["m"]["m"].value, functions)
        self._asked: Sequence[str] = model["r"]["r"].tokens
        self._columns: Sequence[str] = model["p"]["p"].tokens

    def judge(self, access: Access, rows: Sequence[Row]) -> tuple[bool, Row | None]:
        """Casbin's answer over ``rows``, and the row that decided: the first deny or the last allow that matched."""
        allowed, values = _Judgement(self, rows).enforce_ex(*question(access))
        return allowed, next((row for row in rows if row.values is values), None)

    def fitting(self, access: Access, rows: Sequence[Row]) -> list[Row]:
        """The rows that the matcher accepts with their conditions left aside."""
        asked = dict(zip(self._asked, question(access), strict=True))
        return [
            row
            for row in rows
            if self.matcher.eval({**asked, **dict(zip(self._columns, row.values, strict=True)), "p_when": ""})
        ]


def question(access: Access) -> tuple[str, str, str, str, str, Context]:
    return access.subject, access.domain, access.owner, access.object, access.action, access.context


class _Nothing:
    """Stands where Casbin would look up functions (the matcher has its own) and log the arguments of questions."""

    @staticmethod
    def get_functions() -> dict[str, Any]:
        return {}

    @staticmethod
    def isEnabledFor(_level: int) -> bool:  # noqa: N802 (the name that loggers have)
        return False


class _Rows:
    """The policy assertion of Casbin's model, holding the rows of one question."""

    __slots__ = ("policy", "tokens")

    def __init__(self, tokens: Sequence[str], policy: Sequence[Sequence[str]]) -> None:
        self.tokens = tokens
        self.policy = policy


class _Judgement(casbin.Enforcer):  # type: ignore[misc]  # Casbin is not typed
    """Casbin's own loop and effect for one question; made anew each time, so that no two share their rows.

    Casbin's constructor is left out: it would load adapters and role managers, and switch off other loggers.
    """

    enabled = True
    fm = _Nothing
    logger = _Nothing

    def __init__(self, court: Court, rows: Sequence[Row]) -> None:
        policy = _Rows(court.model["p"]["p"].tokens, [row.values for row in rows])
        self.model = {"r": court.model["r"], "m": court.model["m"], "p": {"p": policy}}
        self.eft = court.effect
        self._matcher = court.matcher

    def _get_expression(self, _text: str, _functions: object = None) -> Matcher:
        return self._matcher
