"""Casbin's part of the engine: its models, its loop and its effect, over the rows chosen for one question.

Its role managers, adapters, evaluator and logs are left out: the matcher is compiled once, its functions are
ours. This file knows no index and no policy.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter, itemgetter
from typing import Any, Final, TypeAlias

import casbin
from casbin.effect import get_effector
from msgspec import Struct

from gateway.policy.conditions import Condition
from gateway.policy.index import Row
from gateway.policy.model import act_match, conjuncts, dom_match, obj_match, own_match
from gateway.policy.roles import Names
from gateway.policy.terms import Access, Context, Effect

COLUMNS: Final = ("subject", "domain", "owner", "object", "action", "when", "effect")
"""A rule's columns, in the order of the model's policy definition."""

_SELECTIVE: Final = ("objMatch", "actMatch", "ownMatch", "domMatch", "subMatch", "cond")
"""The parts of the matcher, the one that most candidates fail first: their order changes no answer."""

_values: Final[Callable[[Any], tuple[Any, ...]]] = attrgetter(*COLUMNS)


class Asked(Struct, frozen=True, gc=False):
    """What the model calls ``ctx``: the context, and the names under which rows find the one who asks."""

    context: Context
    names: Names


Question: TypeAlias = tuple[str, str, str, str, str, Asked]


def question(access: Access, names: Names) -> Question:
    return (
        access.subject,
        access.domain,
        access.owner,
        access.object,
        access.action,
        Asked(access.context, names),
    )


Part: TypeAlias = tuple[Callable[..., bool], Callable[[Any], tuple[Any, ...]]]
"""One call of the matcher: the function, and how its arguments are taken from what is known."""


class Matcher:
    """The model's matcher, compiled: the calls that ask about columns, and the one about the condition, each twice: as
    Casbin names the values, and by their places in the question and the row.
    """

    def __init__(
        self, text: str, functions: Mapping[str, Callable[..., bool]], asked: Sequence[str], columns: Sequence[str]
    ) -> None:
        calls = sorted(conjuncts(text), key=lambda call: _SELECTIVE.index(call[0]))
        places = {token: place for place, token in enumerate((*asked, *columns))}
        named = [(functions[name], itemgetter(*arguments)) for name, arguments in calls]
        self.columns: Sequence[Part] = named[:-1]
        self.condition: Part = named[-1]
        self._placed: Sequence[Part] = [
            (functions[name], itemgetter(*(places[each] for each in arguments))) for name, arguments in calls[:-1]
        ]

    def fits(self, values: tuple[Any, ...]) -> bool:
        """Whether the columns of a row match; ``values`` are those of the question and of the row."""
        for function, arguments in self._placed:  # noqa: SIM110 (half the time of all() over a generator)
            if not function(*arguments(values)):
                return False
        return True


class _Hearing:
    """The rows of one question in the two forms that Casbin knows: the policy of its model, and an expression that is
    asked about one after the other. ``fitting`` are those whose columns matched, whatever their conditions said, and
    ``matched`` is the last that matched.
    """

    __slots__ = ("_matcher", "_rows", "fitting", "heard", "matched", "policy", "tokens")

    def __init__(self, court: "Court", rows: Sequence[Row]) -> None:
        self._matcher = court.matcher
        self._rows = rows
        self.tokens = court.columns
        self.policy = [_values(row.rule) for row in rows]
        self.heard = 0
        self.fitting: list[Row] = []
        self.matched: Row | None = None

    def eval(self, names: Mapping[str, Any]) -> bool:
        row = self._rows[self.heard]
        self.heard += 1
        for function, arguments in self._matcher.columns:
            if not function(*arguments(names)):
                return False
        self.fitting.append(row)
        function, arguments = self._matcher.condition
        if not function(*arguments(names)):
            return False
        self.matched = row
        return True


class Heard(Struct, frozen=True, gc=False):
    """Casbin's answer, the row that decided (the first deny or the last allow that matched: the last that Casbin heard
    of those that did), and all that fit.
    """

    allowed: bool
    row: Row | None
    fitting: list[Row]


class Court:
    """A checked model with its functions: judges questions, each over the rows chosen for it."""

    def __init__(self, text: str, condition: Callable[[str], Condition]) -> None:
        model = casbin.Model()
        model.load_model_from_text(text)
        self.effect = get_effector(model["e"]["e"].value)
        self.asked = {"r": model["r"]["r"]}
        self.columns: Sequence[str] = model["p"]["p"].tokens
        self.matcher = Matcher(model["m"]["m"].value, _functions(condition), self.asked["r"].tokens, self.columns)

    def judge(self, asked: Question, rows: Sequence[Row]) -> Heard:
        """What Casbin says of a question over ``rows``, of which there is one at least: over none, plain Casbin would
        ask its matcher about a blank one.
        """
        hearing = _Hearing(self, rows)
        allowed, _ = _Judgement(self, hearing).enforce_ex(*asked)
        rest = rows[hearing.heard :]
        return Heard(allowed, hearing.matched, hearing.fitting + self.fitting(asked, rest) if rest else hearing.fitting)

    def fitting(self, asked: Question, rows: Iterable[Row]) -> list[Row]:
        """The rows that the matcher accepts with their conditions left aside."""
        fits = self.matcher.fits
        return [row for row in rows if fits((*asked, *_values(row.rule)))]


def _functions(condition: Callable[[str], Condition]) -> dict[str, Callable[..., bool]]:
    """What the matcher of the model calls."""

    def cond(when: str, asked: Asked, effect: str) -> bool:
        found = condition(when)
        return found.bites(asked.context) if effect == Effect.DENY else found.holds(asked.context)

    return {
        "subMatch": _sub_match,
        "domMatch": dom_match,
        "ownMatch": own_match,
        "objMatch": obj_match,
        "actMatch": act_match,
        "cond": cond,
    }


def _sub_match(_subject: str, _domain: str, asked: Asked, row: str, effect: str) -> bool:
    return row in (asked.names.deny if effect == Effect.DENY else asked.names.allow)


class _Nothing:
    """Stands where Casbin would look up functions (the matcher has its own) and log the arguments of questions."""

    @staticmethod
    def get_functions() -> dict[str, Any]:
        return {}

    @staticmethod
    def isEnabledFor(_level: int) -> bool:  # noqa: N802 (the name that loggers have)
        return False


class _Text:
    """The matcher of the model where Casbin would look into its text: it was compiled, and has no ``eval()``."""

    value = ""


_MATCHER: Final = {"m": _Text}


class _Judgement(casbin.Enforcer):  # type: ignore[misc]  # Casbin is not typed
    """Casbin's own loop and effect for one question; made anew each time, so that no two share their rows.

    Casbin's constructor is left out: it would load adapters and role managers, and switch off other loggers.
    """

    enabled = True
    fm = _Nothing
    logger = _Nothing

    def __init__(self, court: Court, hearing: _Hearing) -> None:
        self.model = {"r": court.asked, "m": _MATCHER, "p": {"p": hearing}}
        self.eft = court.effect
        self._hearing = hearing

    def _get_expression(self, _text: str, _functions: object = None) -> _Hearing:
        return self._hearing
