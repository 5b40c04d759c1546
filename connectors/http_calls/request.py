"""A plan and the filled arguments of its request to what is sent. Pure, and without any secret.

What is sent is made of the very arguments that were judged, ``method``, ``path``, ``query``, ``headers`` and ``body``:
nothing of them leaves its place.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from connectors.definition.templates import segment
from connectors.definition.terms import Action, Parameter, Place, Risk
from connectors.http_calls.plan import HttpPlan
from connectors.rest.request import Draft, drafted
from gateway.errors import InvalidArguments
from gateway.mcp.terms import Params
from gateway.policy.terms import Json

PLAIN: Final = ":@!$&'()*+,="
"""What stands as it is in a step of a path (RFC 3986 section 3.3), but for ``;``, behind which some servers read on."""

PARTS: Final = {"query": Place.QUERY, "headers": Place.HEADER}


def drafted_by(plan: HttpPlan, args: Mapping[str, Json]) -> Draft:
    """The request for the filled ``args``. Raises ``InvalidArguments`` with a sentence that repeats no value."""
    named = {f"{part}.{name}": (part, name, value) for part in PARTS for name, value in _members(args, part)}
    parameters = [Parameter(each, PARTS[part], {}, wire=name) for each, (part, name, _) in named.items()]
    values: Params = {each: value for each, (_, _, value) in named.items()}
    if "body" in args:
        parameters.append(Parameter("body", Place.BODY, {}))
        values["body"] = args["body"]
    path = args.get("path")
    action = Action(
        id=plan.host,
        title="",
        description="",
        risk=Risk.READ if plan.harmless else Risk.WRITE,
        method=plan.method,
        path="/" + "/".join(_steps(plan, path if isinstance(path, str) else "")),
        parameters=tuple(parameters),
        coding=plan.coding,
        content_type=plan.content_type,
        whole_body="body",
    )
    return drafted(action, values)


def input_schema(plan: HttpPlan) -> Params:
    """What the arguments of the request must be."""
    kinds: Params = {name: {"type": "object"} for name in PARTS}
    properties: Params = {"method": {"const": plan.method}, "path": {"type": "string"}, **kinds}
    required: list[Json] = [*properties]
    more: Params = {"body": {}} if "body" in plan.templates else {}
    return {
        "type": "object",
        "properties": {**properties, **more},
        "required": required,
        "additionalProperties": False,
    }


def _members(args: Mapping[str, Json], part: str) -> Iterator[tuple[str, Json]]:
    value = args.get(part)
    yield from value.items() if isinstance(value, dict) else ()


def _steps(plan: HttpPlan, path: str) -> Iterator[str]:
    """The steps of the filled path, as they are sent."""
    given = path.split("/")[1:]
    if len(given) != len(plan.steps):
        raise InvalidArguments("`path`: an argument in it holds `/`; each stands inside of one step")
    for written, step in zip(plan.steps, given, strict=True):
        yield written if written is not None else _filled(step)


def _filled(step: str) -> str:
    if {";", "\\"} & {*step}:
        raise InvalidArguments("`path`: an argument in it holds `;` or a backslash, which some servers part a path at")
    try:
        return segment(step, "path", plain=PLAIN)
    except ValueError as error:
        raise InvalidArguments(f"`path`: {str(error).removeprefix('`path` ')}") from None
