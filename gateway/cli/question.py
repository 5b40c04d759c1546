"""The words of a question on the command line as what the policy is asked."""

import json
from collections.abc import Iterable
from urllib.parse import unquote

from connectors.base import UpstreamSpec
from connectors.listing import classify
from gateway.cli.output import Failure
from gateway.policy.terms import Json, Tool


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


def facts_of(object: str, upstreams: Iterable[UpstreamSpec]) -> Tool:
    """What conditions may ask of ``object``, as far as the settings tell; for an unknown tool the worst case."""
    connector, _, rest = object.partition("/")
    kind, colon, name = rest.partition(":")
    if colon and kind in ("prompt", "resource"):
        return Tool(connector, name if kind == "resource" else unquote(name), kind, destructive=False, open_world=False)
    tool = unquote(rest)
    for spec in upstreams:
        if spec.id == connector:
            _, destructive = classify(tool, spec.tools, None)
            return Tool(connector, tool, destructive=destructive, open_world=spec.open_world, tags=spec.tags)
    administration = connector == "gateway"
    return Tool(connector, tool, destructive=not administration, open_world=not administration)


def _value(text: str) -> Json:
    try:
        value: Json = json.loads(text)
    except ValueError:
        return text
    return value
