"""What is odd in a definition that can be used: things its owner should look at again. Pure."""

from collections.abc import Iterator
from typing import Final

import msgspec

from connectors.definition.schemas import input_schema
from connectors.definition.terms import Action, AuthKind, Definition, Risk

LARGE: Final = 24_000
"""Bytes of a tool, which a model reads whole whenever it reads the list."""

MANY: Final = 60
"""Actions; models choose badly among more tools."""

_MONTHS: Final = 12
_CHANGING: Final = ("PUT", "PATCH", "DELETE")


def remarks(definition: Definition, today: str) -> Iterator[str]:
    """A sentence each. ``today`` is the month, ``YYYY-MM``."""
    if sentence := stale(definition, today):
        yield sentence
    if definition.auth.kind is AuthKind.OAUTH2 and definition.identity is None:
        yield "no `identity` tells accounts apart, so connecting again may silently take another account"
    if len(definition.actions) > MANY:
        yield f'{len(definition.actions)} actions are many for a model; use it with `tools = "meta"`, or keep fewer'
    for action in definition.actions:
        yield from (f"action `{action.id}`: {sentence}" for sentence in _about(action))


def stale(definition: Definition, today: str) -> str:
    """What is wrong with when it was last compared with the platform's documents, ``""``: nothing."""
    if not definition.checked:
        return 'no `checked: "YYYY-MM"` says when somebody last compared it with the documents of the platform'
    if definition.checked > today:
        return f"`checked: {definition.checked}` lies in the future"
    if _months(today) - _months(definition.checked) > _MONTHS:
        return f"it was last compared with the documents of the platform in {definition.checked}"
    return ""


def _about(action: Action) -> Iterator[str]:
    if action.method == "GET" and action.risk is not Risk.READ:
        yield f"`risk: {action.risk}` for a GET; is it meant?"
    if action.risk is Risk.READ and action.method in _CHANGING:
        yield f"`risk: read` for a {action.method}: whoever may read may do it"
    if action.method == "DELETE" and action.risk is not Risk.DESTRUCTIVE:
        yield f"`risk: {action.risk}` for a DELETE; is it meant?"
    size = len(msgspec.json.encode([action.title, action.description, input_schema(action)]))
    if size > LARGE:
        yield f"it is {size} bytes large as a tool; cut its schemas"


def _months(month: str) -> int:
    year, _, number = month.partition("-")
    return int(year) * 12 + int(number)
