"""The ``actions`` of a definition: each becomes a tool, so its schema must be one that can be checked."""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from connectors.definition.form import Form, meant
from connectors.definition.reading_api import NEVER_SET
from connectors.definition.reading_auth import is_header
from connectors.definition.reading_parts import read_equals
from connectors.definition.schemas import input_schema
from connectors.definition.templates import PATH_FIELD
from connectors.definition.terms import Action, Api, Coding, PageKind, Paging, Parameter, Place, Risk, Shown, Style
from connectors.definition.wires import steps_of
from gateway.mcp.schema import Arguments
from gateway.policy.terms import Json

MOST_ACTIONS: Final = 2_000
METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")

_ID: Final = re.compile(r"[a-z0-9](?:_?[a-z0-9-]){0,63}")
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_PATH: Final = re.compile(r"(?:/[^\s?#\\\x00-\x1f\x7f]*)?")
_OTHERS: Final = (Place.PATH, Place.QUERY, Place.HEADER, Place.BODY)


def read_actions(form: Form, api: Api) -> tuple[Action, ...]:
    """The actions, in the order of the file."""
    found = tuple(_action(id, each, api) for id, each in form.subs("actions"))
    if len(found) > MOST_ACTIONS:
        form.problem(f"there are more than {MOST_ACTIONS} actions; make several definitions of it", "actions")
    return found


def _action(id: str, form: Form, api: Api) -> Action:
    if _ID.fullmatch(id) is None or len(id) > 64:
        form.problem(f"`{id}` is not the id of an action: up to 64 of a to z, 0 to 9, `-` and single `_`")
    method, path = _request(form)
    parameters = tuple(_parameters(form))
    read = Action(
        id=id,
        title=form.text("title", required=True, most=100),
        description=form.text("description", required=True, most=4_000),
        risk=form.choice("risk", Risk, None) or Risk.DESTRUCTIVE,
        method=method,
        path=path,
        parameters=parameters,
        resource=form.text("resource", most=100),
        scopes=form.texts("scopes"),
        coding=form.choice("coding", Coding, Coding.JSON) or Coding.JSON,
        content_type=form.text("content_type", most=200),
        body=form.object("constants"),
        whole_body=form.text("whole_body"),
        mail=form.text("mail", most=100),
        defs=form.object("defs"),
        headers=form.mapped("headers"),
        idempotent=form.flag("idempotent", default=False),
        idempotency_header=form.text("idempotency_header", most=100),
        paging=_paging(form),
        error_when=read_equals(form, "error_when"),
        shown=Shown(form.text("pick"), form.whole("max_bytes", Shown().max_bytes, least=1_000, most=10_000_000)),
    )
    form.close()
    _check_paging(form, read)
    _check_path(form, read)
    _check_body(form, read)
    _check_headers(form, read, api)
    _check_schema(form, read)
    return read


def _request(form: Form) -> tuple[str, str]:
    written = form.text("request", required=True)
    method, _, path = written.partition(" ")
    if written and method not in METHODS:
        known = "`, `".join(METHODS)
        form.problem(f"`{form.named('request')}` is such as `GET /items`, with one of `{known}`", "request")
    if _PATH.fullmatch(path) is None or re.search(r"[{}]", PATH_FIELD.sub("", path)):
        form.problem(
            f"`{form.named('request')}`: `{path}` is not a path that begins with `/`, without query", "request"
        )
    return method, path


# -- parameters


def _parameters(form: Form) -> Iterator[Parameter]:
    wires, required = form.mapped("wire"), form.texts("required")
    styles = form.sub("styles")
    shown = [(place, name, schema) for place in _OTHERS for name, schema in _schemas(form, place)]
    hidden = list(form.subs("hidden"))
    names = [name for _, name, _ in shown] + [name for name, _ in hidden]
    for name in dict.fromkeys(each for each in names if names.count(each) > 1):
        form.problem(f"the argument `{name}` stands in two places of `{form.path}`")
    _check_known(form, "wire", wires, names)
    _check_known(form, "styles", () if styles is None else styles.names(), names)
    _check_known(form, "required", required, [name for place, name, _ in shown if place is not Place.PATH])
    for place, name, schema in shown:
        yield Parameter(
            name=name,
            place=place,
            schema=schema,
            wire=wires.get(name, ""),
            required=place is Place.PATH or name in required,
            style=_style(styles, name),
        )
    for name, below in hidden:
        yield _hidden(name, below, wires.get(name, ""), _style(styles, name))


def _schemas(form: Form, place: Place) -> Iterator[tuple[str, Json]]:
    for name, schema in form.object(place.value).items():
        if _NAME.fullmatch(name) is None:
            form.problem(f"`{name}` is not the name of an argument: letters, digits, `_`, `.` and `-`", place.value)
        if not isinstance(schema, dict):
            form.problem(f"`{form.named(place.value)}.{name}` is a JSON schema such as `{{type: string}}`", place.value)
        else:
            yield name, schema


def _hidden(name: str, form: Form, wire: str, style: Style) -> Parameter:
    place = form.choice("in", Place, None) or Place.QUERY
    value = form.json("value")
    if value is None:
        form.problem(f"`{form.named('value')}` is missing: nobody else can give it")
    form.close()
    return Parameter(name, place, {}, wire=wire, required=True, default=value, hidden=True, style=style)


def _style(styles: Form | None, name: str) -> Style:
    if styles is None or name not in styles.tree.fields:
        return Style.REPEAT
    return styles.choice(name, Style, Style.REPEAT) or Style.REPEAT


def _check_known(form: Form, key: str, given: Iterable[str], names: list[str]) -> None:
    for name in given:
        if name not in names:
            form.problem(f"`{form.named(key)}` names `{name}`, which is no argument there{meant(name, names)}", key)


# -- what must hold together


def _check_paging(form: Form, action: Action) -> None:
    if action.paging is None:
        return
    if action.risk is not Risk.READ:
        form.problem("further pages repeat the request, so only an action of `risk: read` can have `paging`", "paging")
    if action.paging.kind is PageKind.LINK and action.method != "GET":
        form.problem("links to further pages are followed by `GET`; use another `kind`", "paging")


def _check_path(form: Form, action: Action) -> None:
    named = [name for name, _ in PATH_FIELD.findall(action.path)]
    given = [each.name for each in action.parameters if each.place is Place.PATH]
    for name in dict.fromkeys(named):
        if name not in given:
            form.problem(f"`{form.named('request')}` names `{{{name}}}`, which stands not in `path`", "request")
    for name in given:
        if name not in named:
            form.problem(f"the path argument `{name}` stands not in `{form.named('request')}`", "path")


def _check_body(form: Form, action: Action) -> None:
    below = [each for each in action.parameters if each.place is Place.BODY]
    if action.method in ("GET", "HEAD") and (below or action.body):
        form.problem(f"a `{action.method}` has no body; use `query`, or another method", "request")
    if action.whole_body and ([each.name for each in below] != [action.whole_body] or action.body):
        form.problem(f"`{action.whole_body}` is the whole body, so nothing else is in it", "whole_body")
    if action.coding is Coding.RAW and below and not action.whole_body:
        form.problem("`coding: raw` sends one argument; name it in `whole_body`", "coding")
    if action.content_type and (action.coding is not Coding.RAW or not is_header("content-type", action.content_type)):
        form.problem("`content_type` is for `coding: raw`, and looks like `text/plain`", "content_type")
    if not action.whole_body:
        _check_wires(form, action, below)


def _check_wires(form: Form, action: Action, below: list[Parameter]) -> None:
    """No two may take one place, nor one what lies inside of another's."""
    taken: dict[tuple[str, ...], str] = {}
    for each in below:
        steps = steps_of(each, action.coding)
        for other, name in taken.items():
            if steps[: len(other)] == other or other[: len(steps)] == steps:
                form.problem(f"`{each.name}` and `{name}` take the same place in the body", "wire")
        taken[steps] = each.name
        if _is_constant(action.body, steps):
            form.problem(f"`{each.name}` takes the place of a constant, which nobody may override", "constants")


def _is_constant(body: Json, steps: tuple[str, ...]) -> bool:
    """Whether a constant stands at the place, or on the way to it."""
    if not isinstance(body, dict):
        return True
    if not steps:
        return False
    return steps[0] in body and _is_constant(body[steps[0]], steps[1:])


def _check_headers(form: Form, action: Action, api: Api) -> None:
    ours = {name.lower() for name in (*api.auth, *api.headers)} | {"authorization", "accept", "user-agent"} | NEVER_SET
    for name, value in action.headers.items():
        if name.lower() in (ours - {"accept"}) or not is_header(name, value):
            form.problem(f"`{form.named('headers')}.{name}` is not a header that an action may set", "headers")
    fixed = {name.lower() for name in (*action.headers, action.idempotency_header)}
    for each in action.parameters:
        wire = each.wire or each.name
        if each.place is Place.HEADER and (wire.lower() in ours | fixed or not is_header(wire, "")):
            form.problem(f"`{each.name}` would set the header `{wire}`, which is not for arguments to set", "header")
        if each.place is Place.QUERY and wire in api.auth_query:
            form.problem(f"`{each.name}` would set the parameter `{wire}` of the credential", "query")
    name = action.idempotency_header
    if name and (name.lower() in ours or not is_header(name, "")):
        form.problem(f"`{name}` is not a header that an action may set", "idempotency_header")


def _check_schema(form: Form, action: Action) -> None:
    checked = Arguments(input_schema(action))
    if checked.unchecked:
        form.problem(f"the schema of `{form.path}` cannot be used: {checked.unchecked}")


def _paging(form: Form) -> Paging | None:
    below = form.sub("paging")
    if below is None:
        return None
    kind = below.choice("kind", PageKind, None) or PageKind.CURSOR
    read = Paging(
        kind=kind,
        param=below.text("param", required=kind is not PageKind.LINK),
        next=below.text("next", required=kind is PageKind.CURSOR),
        more=below.text("more"),
        items=below.text("items"),
        size_param=below.text("size_param"),
        size=below.whole("size", 0, least=1, most=10_000) if below.has("size") else 0,
        most=below.whole("most", 1, least=1, most=50),
    )
    if bool(read.size_param) != bool(read.size):
        below.problem("`size_param` and `size` belong together")
    below.close()
    return read
