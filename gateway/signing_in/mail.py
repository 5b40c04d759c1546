"""Handing a mail in (RFC 5321, RFC 6409): what it says, and the one place that speaks SMTP.

The server is the operator's own, so the address guard does not stand before it; TLS is verified. This file knows no
account and no page.
"""

import asyncio
import smtplib
import ssl
from collections.abc import Awaitable, Callable
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import Final, TypeAlias

from connectors.base import Secret
from gateway.settings.terms import MailSettings

SMTPS: Final = 465
WITHIN_S: Final = 20.0

Post: TypeAlias = Callable[[str, Secret], Awaitable[None]]
"""Mails a code to an address. Raises ``NotMailed``."""


class NotMailed(Exception):
    """The mail was not handed in; the sentence names neither the address nor the code."""


def post(settings: MailSettings, name: str, *, tls: ssl.SSLContext | None = None) -> Post:
    """What mails the codes of the gateway ``name``. ``tls`` verifies the server; the system's trust without it."""

    async def send(to: str, code: Secret) -> None:
        await asyncio.to_thread(_hand_in, settings, code_mail(settings.sender, to, code, name), tls)

    return send


def code_mail(sender: str, to: str, code: Secret, name: str) -> EmailMessage:
    """The mail with a code. The code stands in the text alone: subjects are shown on locked screens."""
    mail = EmailMessage()
    mail["From"], mail["To"] = sender, to
    mail["Subject"] = f"Your code for {name}"
    mail["Date"], mail["Message-ID"] = formatdate(), make_msgid(domain=sender.rpartition("@")[2])
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's out-of-office answers this
    digits = code.reveal()
    half = len(digits) // 2
    mail.set_content(
        f"Your code to sign in to {name}:\n\n    {digits[:half]} {digits[half:]}\n\n"
        "It holds for ten minutes, only in the browser that asked for it, and only once.\n"
        "Nobody will ever ask you for it. If you did not ask for it, somebody typed your\n"
        "address by mistake; without this code he gets no further.\n"
    )
    return mail


def _hand_in(settings: MailSettings, mail: EmailMessage, tls: ssl.SSLContext | None) -> None:
    try:
        with _opened(settings, tls or ssl.create_default_context()) as server:
            if settings.user and settings.password is not None:
                server.login(settings.user, settings.password.reveal())
            server.send_message(mail)
    except (smtplib.SMTPException, OSError, ValueError) as error:
        # what a server answers can repeat the address
        raise NotMailed(f"{settings.host}:{settings.port}: the mail was not taken ({type(error).__name__})") from None


def _opened(settings: MailSettings, tls: ssl.SSLContext) -> smtplib.SMTP:
    if settings.port == SMTPS:
        return smtplib.SMTP_SSL(settings.host, settings.port, timeout=WITHIN_S, context=tls)
    server = smtplib.SMTP(settings.host, settings.port, timeout=WITHIN_S)
    if settings.starttls:
        try:
            server.starttls(context=tls)
        except (smtplib.SMTPException, OSError):
            server.close()
            raise
    return server
