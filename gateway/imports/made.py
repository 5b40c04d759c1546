"""One document of ``tools`` or ``prompts``, read: whose it is, and the definition that it becomes here.

Pure. What is unsafe is told by name: templates that read the environment or the session, management actions in
disguise, prompts that run something. The definition itself is read as one that a user gives.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from connectors.addresses import Exceptions, Reach, literal, reach
from gateway.custom.calling import Called, declared_by
from gateway.custom.reading import Definition, read_tool
from gateway.custom.reading_prompts import read_prompt
from gateway.identity import normal_email
from gateway.imports.documents import Document
from gateway.imports.telling import Remarks, shown, text_of
from gateway.policy.terms import SYSTEM, Json
from gateway.records import CustomPrompt, CustomTool

GROUPS: Final = ("user-management", "tool-management", "prompt-management")
"""The packages that came with that system; their tools are those of the gateway itself here."""

_SHELL: Final = re.compile(r"\$\{(?:[^}$]|\$(?!\{))*\}")
_HOLE: Final = re.compile(r"\{\{([^{}]*)\}\}")
DEFAULT_PORTS: Final = {"http": 80, "https": 443}

_SECRET: Final = "secret."  # noqa: S105 (what names of secrets begin with)
_OURS: Final = (
    "name",
    "title",
    "description",
    "inputSchema",
    "annotations",
    "handler",
    "rolesPermitted",
    "alwaysVisible",
)
_OF_PROMPTS: Final = ("name", "title", "description", "arguments", "handler", "rolesPermitted", "alwaysVisible")


@dataclass(frozen=True, slots=True)
class Ground:
    """What definitions are read against: ``accounts`` are ids of users that there are or will be, ``packages`` the
    handler packages that are installed, ``private`` what a tool may reach although it is not public; ``by`` and ``now``
    go into the records.
    """

    accounts: Collection[str]
    packages: Collection[str]
    private: Exceptions
    by: str
    now: int


def read_made_tool(document: Document, ground: Ground, remarks: Remarks) -> Definition[CustomTool] | None:
    """The tool, or ``None`` with the reason in ``remarks``."""
    what = _called("tool", document, "creator")
    owner = _owner(document, "creator", ground, what, remarks)
    if owner is None:
        return None
    if problems := [*_unsafe_handler(document), *_unsafe_texts(document)]:
        remarks.refused(what, *problems)
        return None
    given = {name: document[name] for name in _OURS if document.get(name) is not None}
    read = read_tool(given, owner=owner, by=ground.by, now=ground.now, packages=ground.packages)
    problems = read if isinstance(read, list) else [*_unsafe_host(read.called, ground.private)]
    if isinstance(read, list) or problems:
        remarks.refused(what, *problems)
        return None
    return read


def read_made_prompt(document: Document, ground: Ground, remarks: Remarks) -> Definition[CustomPrompt] | None:
    """The prompt, or ``None`` with the reason in ``remarks``."""
    what = _called("prompt", document, "createdBy")
    owner = _owner(document, "createdBy", ground, what, remarks)
    if owner is None:
        return None
    given = {name: document[name] for name in _OF_PROMPTS if document.get(name) is not None}
    read = read_prompt(given, owner=owner, by=ground.by, now=ground.now)
    if isinstance(read, list):
        remarks.refused(what, *read)
        return None
    if not read.roles:
        remarks.changed(what, "everybody saw it; only its owner does now: share it with a role")
    return read


def called(kind: str, owner: str, name: str) -> str:
    """How a remark names what somebody made."""
    return f"{kind} {owner.removeprefix('user:')}:{name}"


def _called(kind: str, document: Document, owner: str) -> str:
    return called(kind, shown(document.get(owner)), shown(document.get("name")))


def _owner(document: Document, field: str, ground: Ground, what: str, remarks: Remarks) -> str | None:
    """The subject who made it, ``system``, or ``None`` with the reason in ``remarks``."""
    type = _type(document)
    try:
        creator = text_of(document, field)
        if creator == SYSTEM and type not in GROUPS:
            return SYSTEM
        if "@" not in creator:
            remarks.left(what, _packaged(creator, type, ground))
            return None
        email = normal_email(creator)
    except ValueError as error:
        remarks.refused(what, str(error))
        return None
    if email not in ground.accounts:
        remarks.refused(what, "whoever made it has no account")
        return None
    return f"user:{email}"


def _packaged(creator: str, type: str, ground: Ground) -> str:
    if type in GROUPS:
        return "the gateway has a tool of its own for this; the policy says who may use it"
    if type in ground.packages:
        return f"comes with the package `{type}`; say in the policy who may use `{type}/…`"
    return f"came with the package `{shown(creator)}`: install it as a handler package (docs/handlers.md)"


def _type(document: Document) -> str:
    handler = document.get("handler")
    found = handler.get("type") if isinstance(handler, dict) else None
    return found if isinstance(found, str) else ""


def _unsafe_handler(document: Document) -> Iterator[str]:
    if _type(document) in GROUPS:
        yield f"handler.type: it wraps an action of `{_type(document)}`: administration cannot be wrapped"


def _unsafe_host(called: Called | None, private: Exceptions) -> Iterator[str]:
    """A host that is written out as an address and is not public. Names are looked up when a tool is called."""
    if called is None or called.plan is None:
        return
    place = urlsplit(called.plan.origin)
    host, port = place.hostname or "", place.port or DEFAULT_PORTS[place.scheme]
    address = literal(host)
    if address is not None and reach(address) is not Reach.PUBLIC and not private.lists(host, port):
        yield f"handler.config.url: `{host}` is not public: list it in `[http] private_hosts` if tools are to reach it"


def _unsafe_texts(document: Document) -> Iterator[str]:
    """Templates that read more than the arguments of the tool."""
    declared = declared_by(document.get("inputSchema"))
    for place, text in _texts("handler", document.get("handler")):
        if shell := _SHELL.search(text):
            yield f"{place}: `{shown(shell[0])}` reads the environment: put the value into a named secret"
        for name in (each for each in map(str.strip, _HOLE.findall(text)) if not each.startswith(_SECRET)):
            if name.partition(".")[0].partition("[")[0] not in declared:
                told = "is no argument of the tool, so that it was looked up in the session and the environment"
                yield f"{place}: `{{{{{shown(name)}}}}}` {told}: declare it, or use a named secret"


def _texts(place: str, value: Json) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, Mapping):
        for name, each in value.items():
            yield from _texts(f"{place}.{shown(name)}", each)
    elif isinstance(value, list):
        for at, each in enumerate(value):
            yield from _texts(f"{place}[{at}]", each)
