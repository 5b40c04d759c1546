"""Handing a mail in: it goes to a server that is who it says it is, or nowhere, and holds nobody up."""

import asyncio
import subprocess
import sys
import threading
from dataclasses import replace

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

from connectors.base import Secret
from gateway.mail import NotMailed, letter, post
from tests.mailbox import PLAIN, Box, listening, server_context
from tests.upstreams.starting import free_port

ANN = "ann@example.com"
LETTER = letter("gate@example.com", ANN, "News", "the secret word is 12345678\n")


async def test_it_goes_encrypted_and_with_the_operators_password(tmp_path):
    server, client = server_context(tmp_path)

    def checks(smtp, session, envelope, mechanism, given):
        return AuthResult(success=given == LoginPassword(b"gate", b"hunter2"), handled=False)

    box = Box()
    secured = {"require_starttls": True, "auth_required": True, "authenticator": checks}
    with listening(box, tls_context=server, **secured) as settings:
        known = replace(settings, starttls=True, user="gate", password=Secret("hunter2"))
        await post(known, tls=client)(LETTER)
        assert (len(box.mails), box.encrypted) == (1, [True])
        with pytest.raises(NotMailed) as wrong:
            await post(replace(known, password=Secret("hunter3")), tls=client)(LETTER)
    assert "hunter3" not in str(wrong.value)
    assert wrong.value.__cause__ is None


async def test_nothing_is_sent_to_a_server_that_nobody_vouches_for(tmp_path):
    server, _ = server_context(tmp_path)
    box = Box()
    with listening(box, tls_context=server) as settings, pytest.raises(NotMailed, match="SSLCertVerificationError"):
        await post(replace(settings, starttls=True))(LETTER)
    with listening(box) as settings, pytest.raises(NotMailed):
        await post(replace(settings, starttls=True))(LETTER)
    assert box.mails == []


async def test_a_failure_names_neither_address_nor_text():
    box = Box(refuses=f"550 no such user {ANN} 12345678")
    with listening(box) as settings, pytest.raises(NotMailed) as refused:
        await post(settings)(LETTER)
    assert str(refused.value) == f"127.0.0.1:{settings.port}: the mail was not taken (SMTPDataError)"
    with pytest.raises(NotMailed, match="SMTPConnectError"):
        await post(replace(PLAIN, port=free_port()))(LETTER)


@pytest.mark.parametrize("to", ["ann@b\u00fccher.example", "j\u00f6rg@example.com"])
async def test_addresses_of_all_alphabets_are_written_to(to):
    box = Box()
    with listening(box, enable_SMTPUTF8=True) as settings:
        await post(settings)(letter(settings.sender, to, "News", "caf\u00e9"))
    [(_, mail)] = box.mails
    assert mail.get_content().strip() == "caf\u00e9"


async def test_where_a_server_does_not_take_such_an_address_it_is_told():
    box = Box()
    with listening(box, enable_SMTPUTF8=False) as settings, pytest.raises(NotMailed):
        await post(settings)(letter(settings.sender, "j\u00f6rg@example.com", "News", "hello"))
    assert box.mails == []


@pytest.mark.parametrize("subject", ["News\r\nBcc: eve@example.com", "a\nb"])
def test_no_subject_adds_a_header(subject):
    with pytest.raises(ValueError):
        letter("gate@example.com", ANN, subject, "hello")


async def test_the_loop_goes_on_while_a_server_is_slow():
    loop, going, may_go_on = asyncio.get_running_loop(), asyncio.Event(), threading.Event()

    class Slow(Box):
        async def handle_DATA(self, server, session, envelope):  # noqa: N802 (its name for aiosmtpd)
            loop.call_soon_threadsafe(going.set)
            await asyncio.to_thread(may_go_on.wait, 10)
            return await super().handle_DATA(server, session, envelope)

    box = Slow()
    with listening(box) as settings:
        sending = asyncio.create_task(post(settings)(LETTER))
        await asyncio.wait_for(going.wait(), 10)
        assert not sending.done()
        may_go_on.set()
        await asyncio.wait_for(sending, 10)
    assert len(box.mails) == 1


async def test_a_server_that_never_answers_is_given_up(monkeypatch):
    monkeypatch.setattr("gateway.mail.WITHIN_S", 0.2)

    async def silent(reader, writer):
        await reader.read()
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", port := free_port()):
        with pytest.raises(NotMailed, match="TimeoutError"):
            await asyncio.wait_for(post(replace(PLAIN, port=port))(LETTER), 10)


def test_without_the_package_that_speaks_smtp_everything_else_goes_on():
    program = "import sys; sys.modules['aiosmtplib'] = None; import gateway.mail, gateway.app"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


async def test_port_465_speaks_tls_from_the_first_byte(tmp_path, monkeypatch):
    server, client = server_context(tmp_path)
    loop, box, port = asyncio.get_running_loop(), Box(), free_port()
    monkeypatch.setattr("gateway.mail.SMTPS", port)
    listener = await loop.create_server(lambda: SMTP(box, loop=loop), "127.0.0.1", port, ssl=server)
    async with listener:
        await post(replace(PLAIN, port=port, starttls=True), tls=client)(LETTER)
    assert (len(box.mails), box.encrypted) == (1, [True])
