"""Why a connection does not serve: a closed list, and what people read."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from connectors.definition.platform import Platform
from gateway.errors import NotConnected
from gateway.policy.terms import Json
from gateway.records import Connected


class Broken(StrEnum):
    """Why a connection has to be made anew."""

    EXPIRED = "expired"
    REFUSED = "renewal_refused"
    WITHDRAWN = "access_refused"
    INTERRUPTED = "renewal_interrupted"
    MOVED = "issuer_changed"
    UNREADABLE = "unreadable"


SENTENCES: Final[Mapping[str, str]] = {
    Broken.EXPIRED: "its access ended, and the platform gave no way to renew it",
    Broken.REFUSED: "the platform does not renew its access any more: it was withdrawn there, or lay unused too long",
    Broken.WITHDRAWN: "the platform does not accept it any more: it was withdrawn or replaced there",
    Broken.INTERRUPTED: "the gateway was stopped while the platform renewed its access, and the new one was lost",
    Broken.MOVED: "another server gives access to it now than the one that was asked",
    Broken.UNREADABLE: "what the gateway kept of it cannot be opened",
}

MOST_CHOICES: Final = 10
MOST_LABEL: Final = 60


def broken(platform: Platform, record: Connected, reason: str = "") -> NotConnected:
    """The refusal of a call that needs this connection, which has to be made anew."""
    why = SENTENCES.get(reason or record.reason, "it does not serve any more")
    text = f"the connection {_named(record)} to {platform.definition.title} has to be made anew: {why}"
    return NotConnected(text, connector=platform.id, owner=record.owner, reconnect=record.id)


def missing(platform: Platform, owner: str) -> NotConnected:
    """The refusal of a call for which nothing is connected."""
    text = f"no account of {platform.definition.title} is connected: connect one"
    return NotConnected(text, connector=platform.id, owner=owner)


def unknown(platform: Platform) -> NotConnected:
    """The refusal of a call that names a connection that there is not, or not of this owner: the same for both."""
    return NotConnected(f"there is no such connection to {platform.definition.title}: look at the list of yours")


def several(platform: Platform, choices: Mapping[str, str]) -> NotConnected:
    """The refusal of a call that has to say which connection; ``choices`` are labels by id."""
    named = ", ".join(f"{_printable(label)} (`{id}`)" for id, label in [*choices.items()][:MOST_CHOICES])
    text = f"several accounts of {platform.definition.title} are connected: name one of {named} as x-credential-id"
    told: list[Json] = [{"id": id, "label": label} for id, label in choices.items()]
    return NotConnected(text, data={"connections": told})


def _named(record: Connected) -> str:
    return _printable(record.label or record.id)


def _printable(label: str) -> str:
    """A platform's words about an account, as a sentence of ours may hold them."""
    plain = "".join(sign if sign.isprintable() and sign != "`" else "?" for sign in label[:MOST_LABEL])
    return f"`{plain}`"
