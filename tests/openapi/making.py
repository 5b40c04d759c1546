"""Small documents, and what becomes of them."""

import json
from typing import Any

from connectors.definition.reading import read_definition
from connectors.definition.terms import Action, Definition
from connectors.openapi.access import Access
from connectors.openapi.compiling import Compiled, Report, Wanted, compile_document

JSON_TYPE = "application/json"


def document(paths: dict[str, Any], **more: Any) -> dict[str, Any]:
    """One of 3.0 with a server."""
    head = {
        "openapi": "3.0.3",
        "info": {"title": "Shop", "version": "1"},
        "servers": [{"url": "https://api.example.com/v1"}],
    }
    return {**head, "paths": paths, **more}


def older(paths: dict[str, Any], **more: Any) -> dict[str, Any]:
    """One of 2.0."""
    return {
        "swagger": "2.0",
        "info": {"title": "Shop", "version": "1"},
        "host": "api.example.com",
        "paths": paths,
        **more,
    }


def body(schema: Any, media: str = JSON_TYPE, **more: Any) -> dict[str, Any]:
    return {"requestBody": {"content": {media: {"schema": schema}}, **more}}


def compiled(
    shown: dict[str, Any] | str, *include: str, auth: str = "bearer", base_url: str = ""
) -> tuple[Definition, Report]:
    """What is made of it, as the reader of definitions takes it."""
    text = shown if isinstance(shown, str) else json.dumps(shown)
    written, report = compile_document(text, Wanted("shop", include or ("*",), Access.of(auth), base_url))
    return read_definition(written, "shop.yaml"), report


def action(
    operation: dict[str, Any], *, path: str = "/things", method: str = "post", **more: Any
) -> tuple[Action, Compiled]:
    """The one action of a document with one operation."""
    return action_of(document({path: {method: {"operationId": "do", **operation}}}, **more))


def action_of(shown: dict[str, Any]) -> tuple[Action, Compiled]:
    definition, report = compiled(shown)
    (made,), (done,) = definition.actions, report.compiled
    return made, done


def schemas(made: Action) -> dict[str, Any]:
    """The schemas of its arguments by name."""
    return {each.name: each.schema for each in made.parameters}
