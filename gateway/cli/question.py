"""The words of a question on the command line as what the policy is asked."""

import json
from collections.abc import Iterable
from urllib.parse import unquote

from connectors.listing import classify
from connectors.rest.tools import catalogue_of
from gateway.cli.output import Failure
from gateway.mcp.terms import Kind
from gateway.platforms import Platforms
from gateway.policy.terms import Json, Tool
from gateway.settings import Settings


def values_of(words: Iterable[str]) -> dict[str, Json]:
    """``name=value`` words as one object: ``a.b=1`` goes deeper, a value is JSON where it can be read as such."""
    values: dict[str, Json] = {}
    for word in words:
        name, equals, text = word.partition("=")
        *path, last = name.split(".")
        inner: Json = values
        for key in path:
            inner = inner.setdefault(key, {}) if isinstance(inner, dict) else None
        if not equals or not all((*path, last)) or not isinstance(inner, dict) or last in inner:
            raise Failure(f"`{word}` is not a new `name=value`")
        inner[last] = _value(text)
    return values


def facts_of(object: str, settings: Settings) -> Tool:
    """What conditions may ask of ``object``, as far as the settings tell; for an unknown tool the worst case."""
    connector, _, rest = object.partition("/")
    kind, colon, name = rest.partition(":")
    if colon and kind in ("prompt", "resource"):
        return Tool(connector, name if kind == "resource" else unquote(name), kind, destructive=False, open_world=False)
    tool = unquote(rest)
    if any(each.id == connector for each in settings.connectors):
        return _facts_of_action(connector, tool, settings)
    for spec in settings.upstreams:
        if spec.id == connector:
            _, destructive = classify(tool, spec.tools, None)
            return Tool(connector, tool, destructive=destructive, open_world=spec.open_world, tags=spec.tags)
    administration = connector == "gateway"
    return Tool(connector, tool, destructive=not administration, open_world=not administration)


def _facts_of_action(connector: str, name: str, settings: Settings) -> Tool:
    platform = Platforms(settings).current.get(connector)
    items = () if platform is None else catalogue_of(platform).items[Kind.TOOL]
    return next((item.facts for item in items if item.name == name), Tool(connector, name))


def _value(text: str) -> Json:
    try:
        value: Json = json.loads(text)
    except ValueError:
        return text
    return value
