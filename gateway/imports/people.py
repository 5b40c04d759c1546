"""One document of the collection ``users``, read: who it is, the old key, roles, and what was shared with him.

Pure. A field that is not what it has to be refuses the document: half a person could be somebody else.
"""

import re
from dataclasses import dataclass, field, replace
from typing import Final

from connectors.base import Secret
from gateway.identity import normal_email
from gateway.imports.documents import Document, DumpError
from gateway.imports.telling import Remarks, shown, strange, text_of, texts_of, time_of
from gateway.manage.users import display_name, role_grant
from gateway.policy.terms import Json

LEAST_KEY: Final = 32
"""Characters; what is shorter could be guessed."""

FIELDS: Final = (
    *("_id", "__v", "id", "email", "name", "roles", "apiKey", "allowedTools", "sharedTools", "hiddenTools"),
    *("createdAt", "updatedAt"),
)

_KEY: Final = re.compile(r"[A-Za-z0-9._~+/-]{1,4096}={0,2}")
_APPLICATIONS: Final = ("applicationAuthentication", "applicationAuthorization")
_CHOSEN: Final = "usedTools"
"""Which tools somebody wanted to see; it gave no right."""


@dataclass(frozen=True, slots=True)
class Received:
    """A share as the dump tells of it; ``at`` is ms since the epoch."""

    tool: str
    by: str
    level: str
    at: int


@dataclass(frozen=True, slots=True)
class Person:
    """``id`` is the e-mail address as accounts have it; ``key`` is ``None`` where there is none that can be kept."""

    id: str
    name: str
    key: Secret | None = field(repr=False)
    roles: tuple[str, ...]
    allowed: tuple[str, ...]
    received: tuple[Received, ...]
    hidden: tuple[str, ...]

    @property
    def subject(self) -> str:
        return f"user:{self.id}"

    def without_key(self) -> "Person":
        return replace(self, key=None)


def read_person(document: Document, remarks: Remarks) -> Person | None:
    """The person, or ``None`` with the reason in ``remarks``."""
    what, own = f"user {shown(document.get('email'))}", Remarks()
    try:
        person = _person(document, what, own)
    except ValueError as error:
        remarks.refused(what, str(error))
        return None
    for name in strange(document, FIELDS):
        _tell_strange(document, name, what, own)
    remarks.all += own.all
    return person


def _person(document: Document, what: str, remarks: Remarks) -> Person:
    email = text_of(document, "email")
    if not email:
        raise DumpError("has no `email`")
    return Person(
        id=normal_email(email),
        name=display_name(text_of(document, "name")),
        key=_key(text_of(document, "apiKey"), what, remarks),
        roles=tuple(each for each in texts_of(document, "roles") if _is_role(each, what, remarks)),
        allowed=texts_of(document, "allowedTools"),
        received=_received(document.get("sharedTools")),
        hidden=texts_of(document, "hiddenTools"),
    )


def _key(text: str, what: str, remarks: Remarks) -> Secret | None:
    if not text:
        remarks.changed(what, "had no key, and gets one")
        return None
    if len(text) < LEAST_KEY or _KEY.fullmatch(text) is None:
        remarks.refused(
            what, f"the key is shorter than {LEAST_KEY} characters, or not one plain word: a new one is made"
        )
        return None
    return Secret(text)


def _is_role(role: str, what: str, remarks: Remarks) -> bool:
    try:
        role_grant("somebody@example.com", role, author="", now=0)
    except ValueError as error:
        remarks.refused(what, f"the role `{shown(role)}`: {error}")
        return False
    return True


def _received(value: Json) -> tuple[Received, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise DumpError("`sharedTools` is not a list")
    return tuple(_share(each) for each in value)


def _share(value: Json) -> Received:
    if not isinstance(value, dict):
        raise DumpError("`sharedTools` holds what is not a share")
    level = text_of(value, "accessLevel") or "read"
    return Received(text_of(value, "toolId"), text_of(value, "sharedBy"), level, time_of(value, "sharedAt"))


def _tell_strange(document: Document, name: str, what: str, remarks: Remarks) -> None:
    value = document[name]
    if name in _APPLICATIONS:
        if value:
            listed = ", ".join(f"`{shown(each)}`" for each in value) if isinstance(value, dict) else "something"
            remarks.refused(
                what, f"`{name}` keeps secrets of applications in the clear ({listed}): connect these accounts anew"
            )
    elif name != _CHOSEN:
        remarks.left(what, f"`{shown(name)}` means nothing here")
