"""Handing a code in: what the mail says, and that it goes to a server that is who it says it is, or nowhere."""

import asyncio
import ssl
import threading
from contextlib import contextmanager
from dataclasses import replace
from email import message_from_bytes, policy

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

from connectors.base import Secret
from gateway.settings.terms import MailSettings
from gateway.signing_in.mail import NotMailed, code_mail, post
from tests.certificates import self_signed
from tests.upstreams.starting import free_port

CODE = Secret("12345678")
ANN = "ann@example.com"
PLAIN = MailSettings("127.0.0.1", 0, "gate@example.com", starttls=False)


class Box:
    """What arrived; ``refuses`` is the answer to whatever comes."""

    def __init__(self, refuses=""):
        self.mails, self.encrypted, self.refuses = [], [], refuses

    async def handle_DATA(self, server, session, envelope):  # noqa: N802 (its name for aiosmtpd)
        self.encrypted.append(server.transport.get_extra_info("ssl_object") is not None)
        if self.refuses:
            return self.refuses
        self.mails.append((envelope.rcpt_tos, message_from_bytes(envelope.content, policy=policy.default)))
        return "250 OK"


@contextmanager
def listening(box, **options):
    controller = Controller(box, hostname="127.0.0.1", port=free_port(), **options)
    controller.start()
    try:
        yield replace(PLAIN, port=controller.port)
    finally:
        controller.stop()


def server_context(folder):
    certificate, key = self_signed(folder)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    return context, ssl.create_default_context(cafile=certificate)


async def test_a_code_arrives_in_the_text_and_nowhere_else():
    box = Box()
    with listening(box) as settings:
        await post(settings, "Acme tools")(ANN, CODE)
    [(to, mail)] = box.mails
    assert (to, mail["From"], mail["To"]) == ([ANN], "gate@example.com", ANN)
    assert "1234 5678" in mail.get_content()
    assert "Acme tools" in mail["Subject"]
    assert not any("1234" in str(value) for value in mail.values())
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail.get_content_type() == "text/plain"


async def test_it_goes_encrypted_and_with_the_operators_password(tmp_path):
    server, client = server_context(tmp_path)
    seen = []

    def checks(smtp, session, envelope, mechanism, given):
        seen.append(given)
        return AuthResult(success=given == LoginPassword(b"gate", b"hunter2"), handled=False)

    box = Box()
    secured = {"require_starttls": True, "auth_required": True, "authenticator": checks}
    with listening(box, tls_context=server, **secured) as settings:
        known = replace(settings, starttls=True, user="gate", password=Secret("hunter2"))
        await post(known, "Acme", tls=client)(ANN, CODE)
        assert (len(box.mails), box.encrypted) == (1, [True])
        with pytest.raises(NotMailed) as wrong:
            await post(replace(known, password=Secret("hunter3")), "Acme", tls=client)(ANN, CODE)
    assert "hunter3" not in str(wrong.value)


async def test_nothing_is_sent_to_a_server_that_nobody_vouches_for(tmp_path):
    server, _ = server_context(tmp_path)
    box = Box()
    with listening(box, tls_context=server) as settings, pytest.raises(NotMailed, match="SSLCertVerificationError"):
        await post(replace(settings, starttls=True), "Acme")(ANN, CODE)
    with listening(box) as settings, pytest.raises(NotMailed, match="SMTPNotSupportedError"):
        await post(replace(settings, starttls=True), "Acme")(ANN, CODE)
    assert box.mails == []


async def test_a_failure_names_neither_address_nor_code():
    box = Box(refuses=f"550 no such user {ANN} 12345678")
    with listening(box) as settings, pytest.raises(NotMailed) as refused:
        await post(settings, "Acme")(ANN, CODE)
    assert str(refused.value) == f"127.0.0.1:{settings.port}: the mail was not taken (SMTPDataError)"
    with pytest.raises(NotMailed, match="ConnectionRefusedError"):
        await post(replace(PLAIN, port=free_port()), "Acme")(ANN, CODE)


@pytest.mark.parametrize("name", ["Acme\r\nBcc: eve@example.com", "a\nb"])
def test_no_name_adds_a_header(name):
    with pytest.raises(ValueError):
        code_mail("gate@example.com", ANN, CODE, name)


async def test_the_loop_goes_on_while_a_server_is_slow():
    """A server that takes its time holds a thread, not the gateway."""
    loop, going, may_go_on = asyncio.get_running_loop(), asyncio.Event(), threading.Event()

    class Slow(Box):
        async def handle_DATA(self, server, session, envelope):  # noqa: N802 (its name for aiosmtpd)
            loop.call_soon_threadsafe(going.set)
            await asyncio.to_thread(may_go_on.wait, 10)
            return await super().handle_DATA(server, session, envelope)

    box = Slow()
    with listening(box) as settings:
        sending = asyncio.create_task(post(settings, "Acme")(ANN, CODE))
        await asyncio.wait_for(going.wait(), 10)
        assert not sending.done()
        may_go_on.set()
        await asyncio.wait_for(sending, 10)
    assert len(box.mails) == 1


async def test_port_465_speaks_tls_from_the_first_byte(tmp_path, monkeypatch):
    server, client = server_context(tmp_path)
    loop, box, port = asyncio.get_running_loop(), Box(), free_port()
    monkeypatch.setattr("gateway.signing_in.mail.SMTPS", port)
    listener = await loop.create_server(lambda: SMTP(box, loop=loop), "127.0.0.1", port, ssl=server)
    async with listener:
        await post(replace(PLAIN, port=port, starttls=True), "Acme", tls=client)(ANN, CODE)
    assert (len(box.mails), box.encrypted) == (1, [True])
