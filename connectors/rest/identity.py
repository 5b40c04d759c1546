"""Whose account a credential opens, as the platform tells it."""

from dataclasses import dataclass
from typing import Final

import msgspec

from connectors.base import Credential
from connectors.definition.paths import text_at
from connectors.definition.platform import Platform
from connectors.definition.templates import FIELD
from connectors.definition.terms import Identity
from connectors.egress import Egress
from connectors.rest import answer
from connectors.rest.breaker import Breaker
from connectors.rest.exchange import Exchange
from connectors.rest.request import Draft
from connectors.rest.signing import whole
from gateway.errors import NotConnected, UpstreamFailed

WITHIN_S: Final = 20.0

LONGEST: Final = 200
"""Characters of an id or a label."""


@dataclass(frozen=True, slots=True)
class Account:
    """``id`` is the platform's own, ``label`` what people read; both ``""`` where the definition asks for none."""

    id: str
    label: str


async def whose(platform: Platform, credential: Credential, egress: Egress) -> Account:
    """The account. Raises ``NotConnected`` when the platform refuses the credential, ``UpstreamFailed`` when it does
    not answer, or not in a way that tells.
    """
    identity = platform.definition.identity
    if identity is None:
        return Account("", "")
    body = None if identity.body is None else msgspec.json.encode(identity.body)
    draft = Draft(identity.method, "", body=body, content_type="application/json" if body is not None else "")
    try:
        asked = whole(identity.url, platform, credential, draft)
    except ValueError as error:
        raise UpstreamFailed(f"`{platform.id}` cannot be asked whose account this is: {error}") from None
    exchange = Exchange(platform.id, egress, Breaker(), lambda: 0)  # one request opens no circuit
    heard = await exchange(asked, allow=platform.exceptions, within=WITHIN_S)
    return _account(platform, identity, heard)


def _account(platform: Platform, identity: Identity, heard: answer.Heard) -> Account:
    document = answer.read(heard)
    condition = identity.error_when or platform.definition.api.error_when
    refused = document.is_json and condition is not None and answer.holds(condition, document.value)
    if heard.status in (401, 403) or (refused and heard.status < 400):
        raise NotConnected(f"`{platform.id}` does not accept this credential", connector=platform.id)
    if heard.status >= 400:
        raise UpstreamFailed(f"`{platform.id}` answered HTTP {heard.status} when asked whose account this is")
    id = _plain(text_at(document.value, identity.id))
    if not id:
        raise UpstreamFailed(f"`{platform.id}` did not tell whose account this is")
    return Account(id, _plain(FIELD.sub(lambda field: text_at(document.value, field[1]), identity.label)) or id)


def _plain(text: str) -> str:
    """A short text in one line: it is shown to people."""
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())[:LONGEST]
