"""The arguments of an action to one mail message (RFC 5322), so that a policy judges addresses and not their encoding.

Pure: no clock, no random boundary; the same arguments give the same message. It knows no platform and no HTTP.
"""

import base64
import hashlib
import re
from collections.abc import Mapping
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from typing import Final

from gateway.errors import InvalidArguments
from gateway.mcp.terms import Params
from gateway.policy.terms import Json

HEADERS: Final[Mapping[str, str]] = {"to": "To", "cc": "Cc", "bcc": "Bcc", "subject": "Subject"}
PARTS: Final = frozenset({*HEADERS, "text", "html", "in_reply_to"})
"""The names of arguments that become part of the message."""

_ADDRESS: Final = re.compile(
    r"(?!\.)(?!.*\.[.@])[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?"
)
_MESSAGE_ID: Final = re.compile(r"<?([!-;=?-~]{3,900})>?")


def composed(arguments: Params) -> tuple[str, Params]:
    """The message, base64url without padding, and the arguments that are no part of it.

    Raises ``InvalidArguments``: an address that is none or more than one, a header with control characters.
    """
    message = EmailMessage(policy=SMTP)
    for name in ("to", "cc", "bcc"):
        if name in arguments:
            message[HEADERS[name]] = [_address(name, each) for each in _listed(name, arguments[name])]
    message["Subject"] = _plain("subject", arguments.get("subject", ""))
    _answer(message, arguments.get("in_reply_to"))
    _fill(message, arguments)
    others = {name: value for name, value in arguments.items() if name not in PARTS}
    return base64.urlsafe_b64encode(message.as_bytes()).decode().rstrip("="), others


def _listed(name: str, value: Json) -> list[Json]:
    if isinstance(value, list):
        return value
    raise InvalidArguments(f"`{name}`: is not a list of addresses")


def _address(name: str, value: Json) -> Address:
    if not isinstance(value, str) or _ADDRESS.fullmatch(value) is None:
        raise InvalidArguments(f"`{name}`: holds what is not one plain address; write it like `ann@example.com`")
    local, _, domain = value.rpartition("@")
    return Address(username=local, domain=domain)


def _plain(name: str, value: Json) -> str:
    if not isinstance(value, str) or re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]", value):
        raise InvalidArguments(f"`{name}`: holds line breaks or other control characters")
    return value


def _answer(message: EmailMessage, given: Json) -> None:
    """The headers of an answer (RFC 5322 §3.6.4)."""
    if given is None:
        return
    id = _MESSAGE_ID.fullmatch(_plain("in_reply_to", given))
    if id is None:
        raise InvalidArguments("`in_reply_to`: is not the Message-ID of a message")
    message["In-Reply-To"] = message["References"] = f"<{id[1]}>"


def _fill(message: EmailMessage, arguments: Params) -> None:
    text, html = _body(arguments, "text"), _body(arguments, "html")
    message.set_content(text)
    if "html" in arguments:
        message.add_alternative(html, subtype="html")
        message.set_boundary(hashlib.sha256(f"{len(text)} {text}{html}".encode()).hexdigest())


def _body(arguments: Params, name: str) -> str:
    value = arguments.get(name, "")
    if not isinstance(value, str) or re.search("[\ud800-\udfff]", value):
        raise InvalidArguments(f"`{name}`: is not a text")
    return value
