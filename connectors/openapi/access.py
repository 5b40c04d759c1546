"""How one is let in, as the operator says it: ``bearer``, ``basic``, ``header:NAME``, ``query:NAME`` or ``none``. Pure.

What the document says of it is shown and not taken over. For OAuth, the file is edited by hand.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from gateway.policy.terms import Json

FORMS: Final = "`bearer`, `basic`, `header:NAME`, `query:NAME` or `none`"

_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")


class Way(StrEnum):
    BEARER = "bearer"
    BASIC = "basic"
    HEADER = "header"
    QUERY = "query"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Access:
    """``name`` is that of the header or parameter which carries the key."""

    way: Way = Way.BEARER
    name: str = ""

    @classmethod
    def of(cls, text: str) -> "Access":
        """Raises ``ValueError`` with a sentence."""
        word, colon, name = text.partition(":")
        named = word in (Way.HEADER, Way.QUERY)
        if word not in tuple(Way) or named != bool(colon) or (named and _NAME.fullmatch(name) is None):
            raise ValueError(f"`{text}` is not one of {FORMS}")
        return cls(Way(word), name)

    @property
    def places(self) -> tuple[tuple[str, str], ...]:
        """Where the credential stands on a request, so that no argument can."""
        return ((self.way.value, self.name),) if self.name else ()

    def auth(self) -> dict[str, Json]:
        """The parts ``auth`` and ``inputs`` of a definition's file."""
        match self.way:
            case Way.NONE:
                return {"auth": {"kind": "none"}}
            case Way.BASIC:
                user: Json = {"label": "User name", "pattern": "^[^:]{1,200}$"}
                password: Json = {"label": "Password", "secret": True}
                return {"auth": {"kind": "basic"}, "inputs": {"user": user, "password": password}}
            case Way.BEARER:
                return {"auth": {"kind": "bearer"}, "inputs": {"token": {"label": "Access token", "secret": True}}}
        return {"auth": {"kind": "api_key"}, "inputs": {"api_key": {"label": "API key", "secret": True}}}

    def api(self) -> dict[str, Json]:
        """What of the part ``api`` puts the credential on a request."""
        match self.way:
            case Way.NONE:
                return {}
            case Way.BASIC:
                return {"basic": {"user": "{user}", "password": "{password}"}}
            case Way.BEARER:
                return {"auth": {"Authorization": "Bearer {token}"}}
            case Way.QUERY:
                return {"auth_query": {self.name: "{api_key}"}}
        return {"auth": {self.name: "{api_key}"}}
