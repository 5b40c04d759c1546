"""A document and what an operator chose of it to the text of a connector's file, and a report. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import msgspec

from connectors.openapi.access import Access
from connectors.openapi.arguments import PLACES
from connectors.openapi.bodies import read_body
from connectors.openapi.credentials import Keys, keys_of, told
from connectors.openapi.document import Document, DocumentError, Version, mapping, members, read_document, text_of
from connectors.openapi.operations import Operation, chosen, operations, server_of
from connectors.openapi.parameters import parameters_of, place_of, read_parameter, read_path
from connectors.openapi.schemas import DEEPEST, Schemas
from connectors.openapi.translation import Translation
from connectors.openapi.words import heading, shortened
from connectors.openapi.writing import written
from gateway.mcp.schema_weight import TooHeavy, weigh
from gateway.policy.terms import Json

LARGEST_ACTION: Final = 24_000
"""Bytes of an action, encoded, that are aimed at: beyond, it is cut at fewer levels."""

MOST_ACTIONS: Final = 2_000
LONGEST_DESCRIPTION: Final = 800
LONGEST_TITLE: Final = 100

_RISKS: Final = {"get": "read", "delete": "destructive"}
_LEVELS: Final = (DEEPEST, 3, 1, 0)


@dataclass(frozen=True, slots=True)
class Compiled:
    """One operation that became an action. ``size`` is its bytes as JSON; ``cut`` whether its schemas were cut for it;
    ``stripped`` the credentials left out of its arguments, ``dropped`` what cannot be sent and need not be.
    """

    id: str
    operation: str
    risk: str
    size: int
    cut: bool
    stripped: tuple[str, ...]
    dropped: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """``of`` is how many operations the document has. ``refused`` are chosen operations and why they became none;
    ``told`` is what the document says about credentials, which was not taken over.
    """

    of: int
    compiled: tuple[Compiled, ...]
    refused: tuple[tuple[str, str], ...]
    told: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an operator says: the connector's ``id``, which operations (see ``chosen``), where requests go (``""``:
    where the document says), and how one is let in.
    """

    id: str
    include: tuple[str, ...]
    access: Access
    base_url: str = ""
    title: str = ""


def compile_document(text: str, wanted: Wanted) -> tuple[str, Report]:
    """The text of the connector's file, and what became of the operations. Raises ``DocumentError`` when there is
    nothing to write.
    """
    document = read_document(text)
    base_url = wanted.base_url or base_url_of(document)
    all, schemas = operations(document), Schemas(document)
    keys = keys_of(document, sent=wanted.access.places)
    actions: dict[str, Json] = {}
    compiled: list[Compiled] = []
    refused: list[tuple[str, str]] = []
    for operation in _not_too_many(chosen(all, wanted.include)):
        try:
            _check_server(operation, base_url)
            action, done = _action(schemas, operation, keys)
        except DocumentError as error:
            refused.append((str(operation), str(error)))
        else:
            actions[operation.id] = action
            compiled.append(done)
    report = Report(len(all), tuple(compiled), tuple(refused), tuple(told(document)))
    if not actions:
        first = "; ".join(f"{operation}: {why}" for operation, why in refused[:3])
        raise DocumentError(f"none of {len(refused)} chosen operations can be an action: {first}")
    return _file(document, wanted, base_url, actions), report


def _not_too_many(operations: tuple[Operation, ...]) -> tuple[Operation, ...]:
    if len(operations) > MOST_ACTIONS:
        raise DocumentError(f"{len(operations)} operations are more than the {MOST_ACTIONS} of one file; choose fewer")
    return operations


def base_url_of(document: Document) -> str:
    """Where the document says that requests go. Raises ``DocumentError``: nowhere, or not by https."""
    root = document.root
    if document.version is Version.V2:
        schemes = members(root.get("schemes")) or ["https"]
        scheme = "https" if "https" in schemes else text_of(schemes[0])
        url = f"{scheme}://{text_of(root.get('host'))}{text_of(root.get('basePath'))}"
    else:
        url = server_of(root)
    try:
        parts = urlsplit(url)
        usable = parts.scheme == "https" and parts.hostname and not parts.query and not set("{}@ ") & set(url)
    except ValueError:
        usable = False
    if not usable:
        raise DocumentError(f"by it, requests go to `{url[:200]}`, which is no https URL; say where with `--base-url`")
    return url.rstrip("/")


def _check_server(operation: Operation, base_url: str) -> None:
    if operation.server not in ("", base_url.rstrip("/")):
        raise DocumentError(f"it goes to `{operation.server[:200]}`; import it as a connector of its own")


def _action(schemas: Schemas, operation: Operation, keys: Keys) -> tuple[dict[str, Json], Compiled]:
    """At the most levels with which it is not too large, nor too much work to check arguments with."""
    for deepest in _LEVELS:
        translation = Translation(schemas, keys, deepest)
        action = _translated(translation, operation)
        size = len(msgspec.json.encode(action))
        if size <= LARGEST_ACTION and not _is_heavy(action):
            break
    done = Compiled(
        id=operation.id,
        operation=str(operation),
        risk=_RISKS.get(operation.method, "write"),
        size=size,
        cut=translation.cut,
        stripped=tuple(dict.fromkeys(translation.stripped)),
        dropped=tuple(dict.fromkeys(translation.dropped)),
    )
    return action, done


def _is_heavy(action: Mapping[str, Json]) -> bool:
    """Whether arguments could not be checked by its schemas; what refers to nothing is no larger than it looks."""
    if "defs" not in action:
        return False
    properties = {name: each for place in PLACES for name, each in mapping(action.get(place)).items()}
    try:
        weigh({"properties": properties, "$defs": dict(mapping(action.get("defs")))})
    except TooHeavy:
        return True
    return False


def _translated(translation: Translation, operation: Operation) -> dict[str, Json]:
    parameters = parameters_of(translation, operation)
    path = read_path(translation, operation.path, parameters)
    for each in parameters:
        if place_of(each) in ("query", "header", "cookie"):
            read_parameter(translation, each)
    read_body(translation, operation, parameters)
    said = text_of(operation.body.get("description")) or text_of(operation.body.get("summary"))
    title = shortened(text_of(operation.body.get("summary")), LONGEST_TITLE) or heading(operation.said or operation.id)
    action = {
        "title": title[:LONGEST_TITLE],
        "description": shortened(said, LONGEST_DESCRIPTION) or title,
        "risk": _RISKS.get(operation.method, "write"),
        "request": f"{operation.method.upper()} {path}",
        **translation.arguments.written(),
        **translation.more,
    }
    room = LARGEST_ACTION - len(msgspec.json.encode(action)) if translation.deepest else 0
    defs = translation.defs(room)
    return {**action, "defs": dict[str, Json](defs)} if defs else action


def _file(document: Document, wanted: Wanted, base_url: str, actions: dict[str, Json]) -> str:
    info = mapping(document.root.get("info"))
    title = wanted.title or shortened(text_of(info.get("title")), LONGEST_TITLE) or heading(wanted.id)
    docs = text_of(mapping(document.root.get("externalDocs")).get("url"))
    head: dict[str, Json] = {"id": wanted.id, "title": title}
    if said := shortened(text_of(info.get("description")), LONGEST_DESCRIPTION):
        head["description"] = said
    if docs.startswith("https://") and docs.isascii() and docs.isprintable():
        head["docs"] = docs
    head |= wanted.access.auth()
    api: dict[str, Json] = {
        "base_url": base_url,
        "allowed_hosts": [urlsplit(base_url).hostname or ""],
        **wanted.access.api(),
    }
    version = shortened(str(info.get("version", "")), 40)
    note = f"# From a document of OpenAPI {document.version}, version {version or 'unknown'} of the API.\n"
    return note + written({**head, "api": api, "actions": actions})
