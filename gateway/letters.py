"""What users are told of their API keys: a welcome with a client configuration that is ready to use, and news of a
key that took another's place. Where the operator wants it, the key goes into the log as well.

A key stands in a letter or in the log only where a setting says so. This file knows no SMTP and no policy.
"""

import json
import logging
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gateway.mail import NotMailed, Post, letter, post
from gateway.manage.letters import Delivery, Letters, Occasion
from gateway.manage.users import IssuedKey
from gateway.settings.terms import Settings

PLACEHOLDER: Final = "YOUR-API-KEY"

log = logging.getLogger(__name__)

_SUBJECTS: Final[Mapping[Occasion, str]] = {
    Occasion.WELCOME: "Your account at {name}",
    Occasion.RENEWED: "Your new API key for {name}",
}
_OPENINGS: Final[Mapping[Occasion, str]] = {
    Occasion.WELCOME: "there is an account for you at {name} now, under the address {email}.",
    Occasion.RENEWED: "your API key for {name} was replaced. The old one has ended, with all that was open under it.",
}
_WITH_KEY: Final = "The key in it is yours alone: keep it to yourself, and this mail too."
_WITHOUT_KEY: Final = (
    f"Put your API key in place of {PLACEHOLDER}. It is not in this mail: whoever had it made was shown it, this once."
)


def letters(settings: Settings, *, tls: ssl.SSLContext | None = None) -> Letters:
    """What tells users of their keys as ``settings`` say. ``tls`` verifies the mail server; the system's trust
    without it.
    """
    send = None if settings.mail is None else post(settings.mail, tls=tls)
    return _Desk(settings, send).tell


def log_key(issued: IssuedKey) -> None:
    """Write a new key into the log; only where the operator wants that."""
    log.warning("new API key of %s: %s", issued.user, issued.key.reveal())


def client_config(settings: Settings, key: str) -> str:
    """How an MCP client is pointed at us, as JSON that clients take as it is."""
    server = {"type": "http", "url": f"{settings.public_url}/mcp", "headers": {"x-apikey": key}}
    return json.dumps({"mcpServers": {settings.name: server}}, indent=2, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class _Desk:
    settings: Settings
    send: Post | None

    async def tell(self, issued: IssuedKey, name: str, occasion: Occasion) -> Delivery:
        if self.settings.log_new_keys:
            log_key(issued)
        if self.send is None or self.settings.mail is None:
            return Delivery.OFF
        subject = _SUBJECTS[occasion].format(name=self.settings.name)
        try:
            await self.send(letter(self.settings.mail.sender, issued.user, subject, self._text(issued, name, occasion)))
        except (NotMailed, ValueError) as no:
            log.error("a letter on a key was not mailed: %s", no)  # noqa: TRY400
            return Delivery.FAILED
        return Delivery.SENT

    def _text(self, issued: IssuedKey, name: str, occasion: Occasion) -> str:
        told = self.settings.mail is not None and self.settings.mail.send_keys
        return (
            f"Hello{f' {name}' if name else ''},\n\n"
            f"{_OPENINGS[occasion].format(name=self.settings.name, email=issued.user)}\n\n"
            "For the configuration of your MCP client:\n\n"
            f"{client_config(self.settings, issued.key.reveal() if told else PLACEHOLDER)}\n\n"
            f"{_WITH_KEY if told else _WITHOUT_KEY}\n\n"
            f"Questions go to {self.settings.admin_email}.\n"
        )
