"""Handing a mail in (RFC 5321, RFC 6409): the one place that speaks SMTP.

The server is the operator's own, so the address guard does not stand before it; TLS is verified. What a mail says
stands with those who write it: this file knows no account and no code.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final, TypeAlias

from gateway.settings.terms import MailSettings

if TYPE_CHECKING or find_spec("aiosmtplib"):  # the extra `mail`; without it the settings take no `[mail]`
    import aiosmtplib

SMTPS: Final = 465
WITHIN_S: Final = 20.0

Post: TypeAlias = Callable[[EmailMessage], Awaitable[None]]
"""Hands a mail in. Raises ``NotMailed``."""


class NotMailed(Exception):
    """The mail was not handed in; the sentence names neither an address nor what was written."""


def post(settings: MailSettings, *, tls: ssl.SSLContext | None = None) -> Post:
    """What hands mails in to the server that is set. ``tls`` verifies it; the system's trust without it."""

    async def send(mail: EmailMessage) -> None:
        try:
            async with asyncio.timeout(WITHIN_S):
                await _hand_in(settings, mail, tls or ssl.create_default_context())
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            # what a server answers can repeat the address
            kind = type(error).__name__
            raise NotMailed(f"{settings.host}:{settings.port}: the mail was not taken ({kind})") from None

    return send


def letter(sender: str, to: str, subject: str, text: str) -> EmailMessage:
    """A plain mail that nobody's out-of-office answers. Raises ``ValueError`` where a header would break."""
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = sender, to, subject
    mail["Date"], mail["Message-ID"] = formatdate(), make_msgid(domain=_domain(sender))
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834
    mail.set_content(text)
    return mail


async def _hand_in(settings: MailSettings, mail: EmailMessage, tls: ssl.SSLContext) -> None:
    from_the_start = settings.port == SMTPS
    await aiosmtplib.send(
        mail,
        hostname=settings.host,
        port=settings.port,
        username=settings.user or None,
        password=None if settings.password is None else settings.password.reveal(),
        local_hostname=_domain(settings.sender),
        use_tls=from_the_start,
        start_tls=settings.starttls and not from_the_start,
        tls_context=tls,
        timeout=WITHIN_S,
    )


def _domain(sender: str) -> str:
    return sender.rpartition("@")[2]
