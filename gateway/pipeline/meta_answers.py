"""What the meta tools answer: connectors, actions, their parameters, connections, and a search over all of it. Pure.

It is handed only what may be shown, but for the search: that is told what may.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Final

from connectors.base import Connector
from gateway.catalogue.views import Offer, View
from gateway.mcp.terms import Params
from gateway.pipeline.accounts import Account
from gateway.pipeline.connecting import Wants
from gateway.policy.terms import Json

FOUND: Final = 10
"""Actions that a search tells of at most."""

SHORT: Final = 300
DEEP: Final = 4

_SAMPLES: Final[dict[str, Json]] = {"string": "text", "integer": 1, "number": 1, "boolean": True, "null": None}
_WEIGHTS: Final = (4, 2, 1)
"""What a word counts for in the name of an action or connector, in its title or categories, in its description."""


def connectors(view: View, shown: Sequence[Offer], category: str) -> Params:
    """``shown`` holds one action of each connector."""
    wanted = category.casefold()
    listed: list[Json] = [
        {"id": each.connector.id, "name": view.title_of(each.connector), "category": list(each.item.facts.tags)}
        for each in shown
        if not wanted or wanted in map(str.casefold, each.item.facts.tags)
    ]
    return {"connectors": listed, "count": len(listed), "message": _counted(len(listed), "connector")}


def actions(view: View, connector: Connector, shown: Sequence[Offer]) -> Params:
    listed: list[Json] = [_action(each) for each in shown]
    return {
        "connectorId": connector.id,
        "name": view.title_of(connector),
        "actions": listed,
        "resources": [],
        "count": len(listed),
    }


def details(offer: Offer) -> Params:
    """One action with its parameters, and a sample of them."""
    schema = offer.schema if isinstance(offer.schema, dict) else {}
    properties = schema.get("properties")
    known = properties if isinstance(properties, dict) else {}
    listed = schema.get("required")
    required = [name for name in listed if isinstance(name, str)] if isinstance(listed, list) else []
    told: list[tuple[str, Json]] = [(name, {"name": name, **_parameter(each)}) for name, each in known.items()]
    return {
        "connectorId": offer.connector.id,
        **_action(offer, short=False),
        "required": [each for name, each in told if name in required],
        "optional": [each for name, each in told if name not in required],
        "sample": sample(schema),
        "inputSchema": schema,
    }


def sample(schema: Json, deep: int = DEEP) -> Json:
    """A value such as the schema describes, with what is required only."""
    if not isinstance(schema, dict) or deep == 0:
        return None
    for key in ("const", "default"):
        if key in schema:
            return schema[key]
    for key in ("examples", "enum"):
        if isinstance(found := schema.get(key), list) and found:
            return found[0]
    kind = schema.get("type")
    kind = kind[0] if isinstance(kind, list) and kind else kind
    if kind == "array":
        return [sample(schema.get("items"), deep - 1)]
    if kind == "object" or isinstance(schema.get("properties"), dict):
        return _sample_of_object(schema, deep)
    return _SAMPLES.get(kind) if isinstance(kind, str) else None


def credentials(connector: Connector, accounts: Iterable[Account], subject: str, how: Wants | None) -> Params:
    """Connections by their ids, without anything secret."""
    kind = f"{connector.id}-{how.type}" if how else connector.id
    listed: list[Json] = [
        {
            "credentialId": each.id,
            "name": each.label,
            "type": kind,
            "status": each.facts.get("status"),
            **({} if each.owner == subject else {"owner": each.owner}),
        }
        for each in accounts
    ]
    return {"connectorId": connector.id, "credentials": listed, "count": len(listed)}


def metadata(connector: Connector, how: Wants | None) -> Params:
    if how is None:
        told: Params = {"authenticationTypes": [], "fields": []}
        return {"connectorId": connector.id, **told, "message": "no account has to be connected"}
    fields: list[Json] = [
        {
            "name": each.name,
            "label": each.label,
            "required": each.required,
            "secret": each.secret,
            **({"help": each.help} if each.help else {}),
        }
        for each in how.blanks
    ]
    return {"connectorId": connector.id, "authenticationTypes": [how.type], "fields": fields}


def found(view: View, goal: str, visible: Callable[[Offer], bool]) -> Params:
    """The actions that fit ``goal`` and are ``visible``, best first."""
    asked = words(goal)
    scored = ((_score(view, offer, asked), offer) for offer in view.behind.values())
    fitting = sorted((each for each in scored if each[0]), key=lambda each: (-each[0], each[1].object))
    best = islice((each for each in fitting if visible(each[1])), FOUND)
    path: list[Json] = [{"connectorId": offer.connector.id, **_action(offer), "score": score} for score, offer in best]
    return {"goal": goal, "actions": path, "count": len(path), "message": _counted(len(path), "action")}


def words(text: str) -> frozenset[str]:
    """The words of a text, in one form for singular and plural."""
    signs = "".join(sign if sign.isalnum() else " " for sign in text.casefold())
    return frozenset(word[:-1] if len(word) > 3 and word.endswith("s") else word for word in signs.split())


def _score(view: View, offer: Offer, asked: frozenset[str]) -> int:
    definition, facts = offer.item.definition, offer.item.facts
    fields = (
        f"{offer.item.name} {offer.connector.id}",
        f"{definition.get('title', '')} {view.title_of(offer.connector)} {' '.join(facts.tags)}",
        str(definition.get("description", "")),
    )
    return sum(weight * len(asked & words(text)) for weight, text in zip(_WEIGHTS, fields, strict=True))


def _action(offer: Offer, *, short: bool = True) -> Params:
    definition = offer.item.definition
    description = str(definition.get("description", ""))
    return {
        "actionId": offer.item.name,
        "name": str(definition.get("title") or offer.item.name),
        "description": description[:SHORT] if short else description,
        "changes": offer.item.level != "read",
        "destructive": offer.item.facts.destructive,
    }


def _parameter(schema: Json) -> Params:
    kept = ("type", "enum", "const", "default", "format", "description")
    return {key: schema[key] for key in kept if key in schema} if isinstance(schema, dict) else {}


def _sample_of_object(schema: Params, deep: int) -> Json:
    properties, required = schema.get("properties"), schema.get("required")
    if not isinstance(properties, dict) or not isinstance(required, list):
        return {}
    return {name: sample(properties.get(name), deep - 1) for name in required if isinstance(name, str)}


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
