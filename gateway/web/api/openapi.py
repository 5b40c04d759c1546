"""``/api/openapi.json``: the document of the management API (OpenAPI 3.1), made from the descriptions of its routes.

It is made once and served to everybody: there is nothing in it that depends on who asks.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

import msgspec
from quart import Blueprint, Response

from gateway.mcp.calls import WISHES
from gateway.web.api.envelope import CODES, FAULT, PROBLEM, ProblemTold
from gateway.web.api.routes import EMAIL, NDJSON, Described
from gateway.web.arrivals import SERVER, USER, USER_ID, USER_TOKEN

TITLE: Final = "Ostiary management API"
JSON: Final = "application/json"
SECURITY: Final[list[dict[str, list[str]]]] = [{"bearer": []}, {"key": []}]
DAY_S: Final = 24 * 60 * 60

ON_SERVER: Final = (*SERVER, *USER, *USER_TOKEN)
"""Headers that name a server, and an end user of it."""

_IDS: Final = (*ON_SERVER, *WISHES)
"""Headers that are nothing where they are empty."""
_REF: Final = "#/components/schemas/{name}"
_NAMED: Final = re.compile(r"\{(\w+)\}")
_ALWAYS: Final = sorted({*(status for _, _, status in CODES), FAULT[1], 431} - {409})
_BARE: Final = (431,)
"""What is refused before there is a request: without a body."""
_SHAPES: Final[Mapping[str, dict[str, Any]]] = {"email": EMAIL}
"""Names in paths that are not free."""

Shape = dict[str, Any]


def document(routes: Iterable[Described], version: str) -> Shape:
    """The whole document."""
    described = tuple(routes)
    found, components = msgspec.json.schema_components(_types(described), ref_template=_REF)
    schemas = dict(zip(_types(described), found, strict=True))
    paths: dict[str, Shape] = {}
    for each in described:
        paths.setdefault(each.rule, {})[each.verb.lower()] = _operation(each, schemas, components)
    return {
        "openapi": "3.1.0",
        "info": {"title": TITLE, "version": version},
        "security": SECURITY,
        "paths": paths,
        "components": {
            "schemas": {name: _read(shape) for name, shape in components.items()},
            "responses": {str(status): _refusal(status) for status in _statuses(described)},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "an API key, or a token of an issuer"},
                "key": {"type": "apiKey", "in": "header", "name": "x-apikey"},
            },
        },
    }


def documented(routes: Iterable[Described], version: str) -> Blueprint:
    """The route of the document."""
    about, body = Blueprint("openapi", __name__), msgspec.json.encode(document(routes, version))
    headers = {"content-type": JSON, "cache-control": f"public, max-age={DAY_S}", "x-content-type-options": "nosniff"}

    @about.get("/api/openapi.json")
    async def told() -> Response:
        return Response(body, 200, headers)

    return about


def _types(routes: Sequence[Described]) -> tuple[type[msgspec.Struct], ...]:
    """Every struct that stands in a route, each once."""
    each_of = ((*each.may_give, each.takes, each.query, each.lines) for each in routes)
    return tuple(dict.fromkeys(kind for kinds in (*each_of, (ProblemTold,)) for kind in kinds if kind is not None))


def _operation(route: Described, schemas: Mapping[type, Shape], components: Mapping[str, Shape]) -> Shape:
    operation: Shape = {
        "operationId": f"{route.name}".replace(".", "_").replace("-", "_"),
        "summary": route.summary,
        "tags": [route.name.partition(".")[0]],
        "parameters": [*_path(route), *_headers(route), *_query(route, schemas, components)],
        "responses": {
            str(route.status): {"description": HTTPStatus(route.status).phrase, "content": _content(route, schemas)},
            **{str(each): {"$ref": f"#/components/responses/{each}"} for each in _refusals(route)},
        },
    }
    if route.takes is not None:
        operation["requestBody"] = {"required": _needs(route), "content": {JSON: {"schema": schemas[route.takes]}}}
    return operation


def _needs(route: Described) -> bool:
    """Whether a body has to be sent: ``{}`` says the same as none."""
    return route.takes is not None and any(each.required for each in msgspec.structs.fields(route.takes))


def _content(route: Described, schemas: Mapping[type, Shape]) -> Shape:
    given = [schemas[each] for each in route.may_give]
    content: Shape = {JSON: {"schema": given[0] if len(given) == 1 else {"anyOf": given}}}
    if route.lines is not None:
        content[NDJSON] = {"schema": {"type": "string", "description": "one JSON value a line"}}
    return content


def _path(route: Described) -> Iterable[Shape]:
    for name in _NAMED.findall(route.rule):
        schema = {"type": "string", "minLength": 1, **_SHAPES.get(name, {})}
        yield {"name": name, "in": "path", "required": True, "schema": schema}


def _headers(route: Described) -> Iterable[Shape]:
    """``Accept`` is no parameter here: the contents of the answer tell of it."""
    for name in (*route.reads, *(ON_SERVER if route.on_server else ())):
        if name != "accept":
            bounds = {"minLength": 1, "maxLength": USER_ID} if name in _IDS else {}
            yield {"name": name, "in": "header", "required": False, "schema": {"type": "string", **bounds}}


def _query(route: Described, schemas: Mapping[type, Shape], components: Mapping[str, Shape]) -> Iterable[Shape]:
    if route.query is None:
        return
    shape = components[schemas[route.query]["$ref"].rpartition("/")[2]]
    for name, schema in shape.get("properties", {}).items():
        required = name in shape.get("required", ())
        yield {"name": name, "in": "query", "required": required, "schema": _in_query(schema)}


def _in_query(schema: Shape) -> Shape:
    """What is ``null`` in a body is left out of a query."""
    some = [each for each in schema.get("anyOf", ()) if each.get("type") != "null"]
    bare = {name: value for name, value in schema.items() if name not in ("anyOf", "default")}
    return {**bare, **some[0]} if len(some) == 1 else schema


def _read(shape: Any) -> Any:
    """A shape whose descriptions are read as one line of Markdown."""
    if isinstance(shape, list):
        return [_read(each) for each in shape]
    if not isinstance(shape, dict):
        return shape
    return {
        name: " ".join(each.replace("``", "`").split()) if _is_text(name, each) else _read(each)
        for name, each in shape.items()
    }


def _is_text(name: str, value: Any) -> bool:
    return name == "description" and isinstance(value, str)


def _refusals(route: Described) -> Sequence[int]:
    statuses = {*_ALWAYS, 413} if route.takes is not None else {*_ALWAYS}
    if route.verb != "GET":
        statuses.add(409)
    if "if-match" in route.reads:
        statuses.add(412)
    return sorted(statuses)


def _statuses(routes: Iterable[Described]) -> Sequence[int]:
    return sorted({status for each in routes for status in _refusals(each)})


def _refusal(status: int) -> Shape:
    if status in _BARE:
        return {"description": HTTPStatus(status).phrase}
    schema = {"$ref": _REF.format(name=ProblemTold.__name__)}
    refusal: Shape = {
        "description": HTTPStatus(status).phrase,
        "content": {JSON: {"schema": schema}, PROBLEM: {"schema": schema}},
    }
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        refusal["headers"] = {"Retry-After": {"description": "seconds", "schema": {"type": "integer"}}}
    return refusal
