"""A real mail server on this machine that keeps what arrives."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller

from gateway.settings.terms import MailSettings
from tests.certificates import self_signed
from tests.upstreams.starting import free_port

PLAIN = MailSettings("127.0.0.1", 0, "gate@example.com", starttls=False)


class Box:
    """What arrived; ``refuses`` is the answer to whatever comes."""

    def __init__(self, refuses: str = "") -> None:
        self.mails: list[tuple[list[str], EmailMessage]] = []
        self.encrypted: list[bool] = []
        self.refuses = refuses

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 (its name for aiosmtpd)
        self.encrypted.append(server.transport.get_extra_info("ssl_object") is not None)
        if self.refuses:
            return self.refuses
        self.mails.append((envelope.rcpt_tos, message_from_bytes(envelope.content, policy=policy.default)))
        return "250 OK"


@contextmanager
def listening(box: Box, **options: Any) -> Iterator[MailSettings]:
    """The settings that lead to ``box``."""
    controller = Controller(box, hostname="127.0.0.1", port=free_port(), **options)
    controller.start()
    try:
        yield MailSettings("127.0.0.1", controller.port, "gate@example.com", starttls=False)
    finally:
        controller.stop()


def server_context(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """For a server, and for clients that trust it."""
    certificate, key = self_signed(folder)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    return context, ssl.create_default_context(cafile=certificate)
