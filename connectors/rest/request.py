"""An action and its arguments to a request, without the credential. Pure.

Every value stays inside of its place: it is percent-encoded, no step of a path climbs, nothing of it becomes a header
of its own, and what the definition fixes is written over whatever came. This file knows no host and no secret.
"""

import math
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote

from connectors.definition.paths import steps
from connectors.definition.templates import PATH_FIELD, segment
from connectors.definition.terms import Action, Parameter, Place, Style
from connectors.definition.wires import steps_of
from connectors.rest.bodies import Body, Tree, encoded, nested, scalar_text, without_comma
from connectors.rest.mail import composed
from gateway.errors import InvalidArguments
from gateway.policy.terms import Json

_PLAIN: Final = re.compile(r"[\x20-\x7e]*")


@dataclass(frozen=True, slots=True, repr=False)
class Draft:
    """``path`` is percent-encoded and comes behind the base URL; ``query`` is encoded too."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    content_type: str = ""


def drafted(
    action: Action, args: Mapping[str, Json], more: Mapping[str, Json] | None = None, *, key: str = ""
) -> Draft:
    """The request. ``more`` are parameters of paging by their names, instead of whatever arguments say; ``key`` is
    sent as the idempotency key where the action has a header for it.

    Raises ``InvalidArguments`` with a sentence for each argument that cannot be sent; none repeats a value.
    """
    values = _values(action, args)
    for name, value in (more or {}).items():
        values = [pair for pair in values if pair[0].name != name and _wire(pair[0]) != name]
        values.append((parameter_of(action, name), value))
    body = _body(action, values)
    return Draft(
        method=action.method,
        path=_path(action, values),
        query=tuple(_query(action, (each for each in values if each[0].place is Place.QUERY))),
        headers=_headers(action, values, key),
        body=None if body is None else body.content,
        content_type="" if body is None else body.type,
    )


def parameter_of(action: Action, name: str) -> Parameter:
    """The parameter that an action has under ``name``, or as the platform's own name; else one that goes into the
    query of what has no body, and into the body of the rest.
    """
    shown = [each for each in action.parameters if each.name == name]
    for each in (*shown, *(each for each in action.parameters if _wire(each) == name)):
        return each
    place = Place.QUERY if action.method in ("GET", "HEAD", "DELETE") else Place.BODY
    return Parameter(name, place, {}, wire=name)


def _wire(parameter: Parameter) -> str:
    return parameter.wire or parameter.name


def _values(action: Action, args: Mapping[str, Json]) -> list[tuple[Parameter, Json]]:
    """Each parameter that has a value: what callers gave, then what is hidden from them."""
    shown = {each.name: each for each in action.parameters if not each.hidden}
    if unknown := [name for name in args if name not in shown]:
        raise InvalidArguments("; ".join(f"`{_told(name)}`: is not known" for name in unknown[:5]))
    if missing := [name for name, each in shown.items() if each.required and name not in args]:
        raise InvalidArguments("; ".join(f"`{name}`: is missing" for name in missing[:5]))
    given = [(shown[name], value) for name, value in args.items()]
    return given + [(each, each.default) for each in action.parameters if each.hidden]


def _told(name: str) -> str:
    return name[:64] if name.isprintable() else "…"


def _text(name: str, value: Json) -> str:
    """Raises ``InvalidArguments`` for what is no text, number or truth value, or holds half of a character."""
    if isinstance(value, dict | list) or value is None:
        raise InvalidArguments(f"`{name}`: must be a text, a number or a truth value")
    if isinstance(value, float) and not math.isfinite(value):
        raise InvalidArguments(f"`{name}`: is not a finite number")
    text = scalar_text(value)
    if any("\ud800" <= sign <= "\udfff" for sign in text):
        raise InvalidArguments(f"`{name}`: holds half of a character")
    return text


# -- path


def _path(action: Action, values: Iterable[tuple[Parameter, Json]]) -> str:
    given = {each.name: _path_text(each.name, value) for each, value in values if each.place is Place.PATH}

    def filled(found: re.Match[str]) -> str:
        name, deep = found[1], bool(found[2])
        try:
            return segment(given[name], name, deep=deep)
        except ValueError as error:
            sentence = str(error).removeprefix(f"`{name}` ")
            raise InvalidArguments(f"`{name}`: {sentence}") from None

    return PATH_FIELD.sub(filled, action.path)


def _path_text(name: str, value: Json) -> str:
    if isinstance(value, list):
        return ",".join(_without_comma(name, each) for each in value)
    return _text(name, value)


# -- query


def _query(action: Action, values: Iterable[tuple[Parameter, Json]]) -> Iterable[tuple[str, str]]:
    declared = {
        _wire(each) for each in action.parameters if each.place is Place.QUERY and each.style is not Style.EXPLODE
    }
    for parameter, value in values:
        explodes = parameter.style is Style.EXPLODE
        for name, text in _exploded(parameter, value, declared) if explodes else _pairs(parameter, value):
            yield quote(name, safe="[]"), text


def _exploded(parameter: Parameter, value: Json, declared: Collection[str]) -> Iterable[tuple[str, str]]:
    """Each member as a parameter; none takes the place of one that the action declares."""
    if not isinstance(value, dict):
        raise InvalidArguments(f"`{parameter.name}`: must be an object")
    if any(name in declared or not name for name in value):
        raise InvalidArguments(f"`{parameter.name}`: holds a name that has an argument of its own, or none at all")
    members = [Parameter(_told(name), Place.QUERY, {}, wire=name) for name in value]
    return (pair for each in members for pair in _pairs(each, value[each.wire]))


def _pairs(parameter: Parameter, value: Json) -> Iterable[tuple[str, str]]:
    """Names, and values that are encoded already."""
    name, style = parameter.name, parameter.style
    wire = parameter.wire or name
    if value is None:
        return []
    if isinstance(value, dict):
        if style is not Style.BRACKETS:
            raise InvalidArguments(f"`{name}`: must not be an object")
        return [(key, quote(_text(name, each), safe="")) for key, each in nested(wire, value, indexed=False)]
    if not isinstance(value, list):
        return [(wire, quote(_text(name, value), safe=""))]
    if style is Style.COMMA:
        # the commas between the members are the only ones: a reader may decode one before it splits
        return [(wire, ",".join(quote(_without_comma(name, each), safe="") for each in value))] if value else []
    key = f"{wire}[]" if style is Style.BRACKETS else wire
    return [(key, quote(_text(name, each), safe="")) for each in value]


def _without_comma(name: str, value: Json) -> str:
    return without_comma(name, _text(name, value))


# -- headers


def _headers(action: Action, values: Iterable[tuple[Parameter, Json]], key: str) -> dict[str, str]:
    given = {
        parameter.wire or parameter.name: _header(parameter.name, value)
        for parameter, value in values
        if parameter.place is Place.HEADER and value is not None
    }
    fixed = {action.idempotency_header: key} if action.idempotency_header and key else {}
    return {**given, **action.headers, **fixed}


def _header(name: str, value: Json) -> str:
    text = ", ".join(_without_comma(name, each) for each in value) if isinstance(value, list) else _text(name, value)
    if _PLAIN.fullmatch(text) is None:
        raise InvalidArguments(f"`{name}`: a header holds plain ASCII text only")
    return text


# -- body


def _body(action: Action, values: list[tuple[Parameter, Json]]) -> Body | None:
    below = [(each, value) for each, value in values if each.place is Place.BODY]
    if action.whole_body:
        whole = [(each, value) for each, value in below if each.name == action.whole_body]
        return encoded(action, whole[0][1], whole[0][0]) if whole else None
    if not below and not action.body and not any(each.place is Place.BODY for each in action.parameters):
        return None
    tree: Tree = {}
    if action.mail:  # arguments such as `to` and `subject` become one message
        message, left = composed({parameter.name: value for parameter, value in below})
        tree = put(tree, steps(action.mail), message)
        below = [pair for pair in below if pair[0].name in left]
    for parameter, value in sorted(below, key=lambda pair: pair[0].hidden):
        tree = put(tree, steps_of(parameter, action.coding), value)
    return encoded(action, over(tree, action.body))


def put(tree: Json, steps: tuple[str, ...], value: Json) -> Tree:
    """``tree`` with ``value`` at ``steps``; what is no object on the way gives way to one. The given one stays."""
    below = tree if isinstance(tree, dict) else {}
    return {**below, steps[0]: put(below.get(steps[0]), steps[1:], value) if len(steps) > 1 else value}


def over(value: Json, constants: Json) -> Json:
    """``value`` with ``constants`` written over it: objects are put together, everything else is the constant."""
    if not isinstance(value, dict) or not isinstance(constants, dict):
        return constants
    return {**value, **{key: over(value.get(key), each) for key, each in constants.items()}}
