"""What users are told of their keys: a letter with a configuration that works, and no key unless somebody wants it."""

import json
import logging
from dataclasses import replace

import pytest

from connectors.base import Secret
from gateway.builtins.people import people
from gateway.letters import PLACEHOLDER, letters, log_key
from gateway.manage.letters import Delivery, Occasion
from gateway.manage.users import IssuedKey
from gateway.settings import load
from tests.builtins.house import Refused, house
from tests.mailbox import PLAIN, Box, listening
from tests.upstreams.starting import free_port

ADA, ANN = "ada@example.com", "ann@example.com"
KEY = "ost_a-key-that-proves-ann"
ISSUED = IssuedKey(ANN, Secret(KEY), "ost_a-ke", None)
ROWS = """\
p, user:*, main, self, gateway/keys, manage, , allow
p, role:admin, main, *, gateway/users, manage, , allow
p, role:admin, main, *, gateway/keys, manage, , allow
g, role:admin, role:user, *
"""


@pytest.fixture
def settings(tmp_path):
    (tmp_path / "policies").mkdir()
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "ostiary.toml").write_text(
        "[server]\npublic_url = 'https://mcp.example.com'\nname = 'Acme tools'\n[admin]\nemail = 'boss@example.com'\n"
    )
    return load(tmp_path / "config", {})


def config_in(mail):
    text = mail.get_content().replace("\r\n", "\n")
    return json.loads(text[text.index("{\n") : text.index("\n}\n") + 2])["mcpServers"]["Acme tools"]


@pytest.mark.parametrize("occasion", list(Occasion))
async def test_a_letter_holds_a_configuration_without_the_key(settings, occasion, caplog):
    box = Box()
    with listening(box) as mail:
        assert await letters(replace(settings, mail=mail))(ISSUED, "Ann", occasion) is Delivery.SENT
    [(to, written)] = box.mails
    assert (to, written["From"], written["To"]) == ([ANN], "gate@example.com", ANN)
    assert "Acme tools" in written["Subject"]
    assert config_in(written) == {
        "type": "http",
        "url": "https://mcp.example.com/mcp",
        "headers": {"x-apikey": PLACEHOLDER},
    }
    assert written.get_content_type() == "text/plain"
    assert written.get_content().startswith("Hello Ann,")
    assert "boss@example.com" in written.get_content()
    for secret in (KEY, ISSUED.prefix):
        assert secret not in written.as_string()
        assert secret not in caplog.text


async def test_the_key_is_in_it_where_the_operator_wants_that_and_never_in_the_address(settings):
    box = Box()
    with listening(box) as mail:
        await letters(replace(settings, mail=replace(mail, send_keys=True)))(ISSUED, "", Occasion.WELCOME)
    [(_, written)] = box.mails
    config = config_in(written)
    assert config["headers"] == {"x-apikey": KEY}
    assert KEY not in config["url"]
    assert PLACEHOLDER not in written.get_content()
    assert not any(KEY in str(value) for value in written.values())
    assert written.get_content().startswith("Hello,")


async def test_what_is_not_taken_is_told_and_names_nobody(settings, caplog):
    box = Box(refuses=f"550 {ANN} {KEY}")
    with listening(box) as mail:
        told = await letters(replace(settings, mail=replace(mail, send_keys=True)))(ISSUED, "Ann", Occasion.WELCOME)
    assert told is Delivery.FAILED
    assert "a letter on a key was not mailed" in caplog.text
    for secret in (KEY, ANN):
        assert secret not in caplog.text
    nobody = replace(settings, mail=replace(PLAIN, port=free_port()))
    assert await letters(nobody)(ISSUED, "Ann", Occasion.RENEWED) is Delivery.FAILED


async def test_without_a_mail_server_nothing_is_written(settings, caplog):
    assert await letters(settings)(ISSUED, "Ann", Occasion.WELCOME) is Delivery.OFF
    assert caplog.text == ""


async def test_a_key_stands_in_the_log_once_and_only_where_that_is_set(settings, caplog):
    caplog.set_level(logging.INFO)
    await letters(replace(settings, log_new_keys=True))(ISSUED, "Ann", Occasion.RENEWED)
    assert caplog.text.count(KEY) == 1
    caplog.clear()
    log_key(ISSUED)
    assert caplog.messages == [f"new API key of {ANN}: {KEY}"]


async def test_who_gets_an_account_or_another_key_hears_of_it(store, settings):
    box = Box()
    with listening(box) as mail:
        home = await house(store, ROWS, people, letters=letters(replace(settings, mail=mail)))
        await home.add(ADA, "admin")
        made = await home.answer(ADA, "add-user", email=ANN, name="Ann", roles=["user"])
        renewed = await home.answer(ADA, "reset-api-key", email=ANN, userConfirmed=True)
        await home.answer(ADA, "reset-api-key", email=ANN)
        with pytest.raises(Refused):
            await home.answer(ADA, "add-user", email=ANN)
    assert [written["Subject"] for _, written in box.mails] == [
        "Your account at Acme tools",
        "Your new API key for Acme tools",
    ]
    for said in (made, renewed):
        assert "A mail tells its user how to connect" in said["message"]
        assert not any(said["result"]["apiKey"] in written.as_string() for _, written in box.mails)


async def test_a_mail_that_fails_fails_nothing(store, settings):
    failing = letters(replace(settings, mail=replace(PLAIN, port=free_port())))
    home = await house(store, ROWS, people, letters=failing)
    await home.add(ADA, "admin")
    made = await home.answer(ADA, "add-user", email=ANN)
    assert home.proves(made["result"]["apiKey"]) == f"user:{ANN}"
    assert "could not be sent" in made["message"]
