"""``made`` as a place: texts that a mapping makes of several, each a field of its own, named by its template.

Of such a text only the beginning and the end are known; what is between them may be anything. This file knows the
values of one text and no goals.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from gateway.policy.condition_values import Affix, Side, is_text
from gateway.policy.goals import MADE
from gateway.policy.places import Place
from gateway.policy.regions import IMPROPER, scalars


@dataclass(slots=True, eq=False)
class Texts(Place):
    """The root ``made``."""

    def member(self, key: str) -> Place:
        return self.below.setdefault(key, Text((*self.path, key), None))


@dataclass(slots=True, eq=False)
class Text(Place):
    """One text. It is always there."""

    def _closed(self) -> Iterator[Any]:
        """A text of every region of those that begin and end as the template does; what is no proper text there can
        not become one here.
        """
        begin, end = self.path[-1].partition("{{")[0], self.path[-1].rpartition("}}")[2]
        yield IMPROPER
        if not (is_text(begin) and is_text(end)):
            return
        ends = (Affix(Side.STARTS, begin), Affix(Side.ENDS, end))
        for text in scalars([*(literal.predicate for _, literal in self.literals), *ends]):
            if isinstance(text, str) and all(each.judge(text) for each in ends) and len(text) >= len(begin + end):
                yield text


def made() -> Texts:
    """The root ``made`` of one question."""
    return Texts((MADE,), None)
