"""What a tool that was made at run time calls, read out of its handler. Pure.

Here stand the types of handlers and what each may be told; whether the thing that is called is there, and who may call
it, is not known here.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

from connectors.http_calls.plan import PLACE, HttpPlan, read_plan
from gateway.mcp.names import object_name
from gateway.mcp.terms import Kind, Params
from gateway.policy.mapping import TEMPLATES, ArgumentMapping, read_mapping
from gateway.policy.terms import Json
from gateway.records import Handler

HTTP, CONNECTOR, UPSTREAM = "http", "connector", "upstream"

TYPES: Final = (HTTP, CONNECTOR, UPSTREAM)
"""The types of handlers beside the packages that are installed."""

CALLS: Final = {CONNECTOR: (CONNECTOR, "action"), UPSTREAM: (UPSTREAM, "tool")}
"""Under which keys of the configuration the types that call a tool name whose tool, and which."""

MAPPINGS: Final = ("args", TEMPLATES)
"""The keys under which templates of arguments stand; one of them."""

_ID: Final = re.compile(r"[a-z0-9](?:-?[a-z0-9]){0,31}")
_NEVER: Final = ("custom", "gateway", HTTP)
_LONGEST: Final = 256


@dataclass(frozen=True, slots=True)
class Called:
    """``tool`` of ``connector``, which the policy calls ``object``, with the arguments that ``mapping`` makes; for
    ``http`` the tool is the host, and ``plan`` says the rest. ``config`` is what a handler package is told besides.
    """

    type: str
    connector: str
    tool: str
    mapping: ArgumentMapping
    plan: HttpPlan | None = None
    config: Params = field(default_factory=dict)

    @property
    def object(self) -> str:
        return object_name(self.connector, Kind.TOOL, self.tool)

    @property
    def told(self) -> Params:
        """What conditions on making such a tool may ask: ``args.handler``."""
        if self.plan is not None:
            return {"type": self.type, "host": self.tool, "method": self.plan.method}
        return {"type": self.type, "connector": self.connector, "tool": self.tool}

    @property
    def secrets(self) -> tuple[str, ...]:
        """The named secrets of the operator that it wants."""
        return () if self.plan is None else self.plan.secrets


def declared_by(schema: Json) -> Collection[str]:
    """The names of the arguments that a tool's schema declares."""
    properties = schema.get("properties") if isinstance(schema, dict) else None
    return properties.keys() if isinstance(properties, dict) else ()


def read_call(
    handler: Handler, declared: Collection[str], packages: Collection[str] | None = None
) -> Called | list[str]:
    """What ``handler`` calls for a tool with the arguments ``declared``, or everything that is wrong with it, as
    sentences that begin with a place (``handler.config.url: …``). ``packages`` are the handler packages that there are
    (``None``: not looked at).
    """
    if handler.type == HTTP:
        return _http(handler.config, declared)
    if handler.type in CALLS:
        return _tool(handler, declared, *CALLS[handler.type])
    if is_id(handler.type) and (packages is None or handler.type in packages):
        return _tool(handler, declared, "", "action")
    there = _listed((*TYPES, *sorted(packages or ())))
    return [f"handler.type: `{handler.type[:64]}` is no type of handler; there are {there}"]


def is_id(text: str) -> bool:
    """Whether a connector, an upstream or a handler package can be called so."""
    return _ID.fullmatch(text) is not None and text not in _NEVER


def _http(config: Params, declared: Collection[str]) -> Called | list[str]:
    plan = read_plan(config)
    if isinstance(plan, list):
        return plan
    mapping = read_mapping(plan.templates, declared)
    if isinstance(mapping, list):
        return [_in_request(sentence) for sentence in mapping]
    if mapping.passed:
        return [f"{PLACE}: no template reads the argument `{name}`" for name in sorted(mapping.passed)]
    return Called(HTTP, HTTP, plan.host, mapping, plan)


def _tool(handler: Handler, declared: Collection[str], whose: str, which: str) -> Called | list[str]:
    """The tool that ``which`` names, of the connector that ``whose`` does, or of a handler package (``""``)."""
    known = [key for key in (whose, which, *MAPPINGS) if key]
    connector = handler.config.get(whose) if whose else handler.type
    tool = handler.config.get(which)
    rest = {key: value for key, value in handler.config.items() if key not in known}
    problems = [f"{PLACE}.{key}: is not known; there are {_listed(known)}" for key in rest if whose]
    if not isinstance(connector, str) or not is_id(connector):
        problems.append(f"{PLACE}.{whose}: is to be the id of a connector or upstream")
    if not isinstance(tool, str) or not 0 < len(tool) <= _LONGEST:
        problems.append(f"{PLACE}.{which}: is to be the name of one of its tools")
    mapping = _mapping(handler.config, declared)
    if isinstance(mapping, list) or problems:
        return problems + (mapping if isinstance(mapping, list) else [])
    return Called(handler.type, str(connector), str(tool), mapping, config=rest)


def _mapping(config: Params, declared: Collection[str]) -> ArgumentMapping | list[str]:
    key, *more = [key for key in MAPPINGS if key in config] or MAPPINGS[:1]
    templates = config.get(key, {})
    if more or not isinstance(templates, dict):
        return [f"{PLACE}.{key}: is to be one object, called {' or '.join(f'`{each}`' for each in MAPPINGS)}"]
    mapping = read_mapping(templates, declared)
    if isinstance(mapping, ArgumentMapping):
        return mapping
    return [f"{PLACE}.{key}{sentence.removeprefix(TEMPLATES)}" for sentence in mapping]


def _in_request(sentence: str) -> str:
    """A sentence about the templates of a request, with the place in which the user wrote these."""
    where = sentence.removeprefix(TEMPLATES)
    where = f".url{where.removeprefix('.path')}" if where.startswith(".path:") else where
    secret = "{{secret." in sentence.replace(" ", "")
    return f"{PLACE}{where}{'; secrets stand in values of `headers` and `query` alone' if secret else ''}"


def _listed(names: Collection[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
