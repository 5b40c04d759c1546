"""``[mail]`` and new keys in the log: what they give, and every way to get them wrong."""

import pytest

from gateway.settings import MailSettings, SettingsError, load

SECRET = "s3cret-" * 5
PRODUCTION = (
    "[server]\nmode = 'production'\npublic_url = 'https://mcp.example.com'\nsecret = [{ id = 'a', env = 'LONG' }]\n"
)
LEAST = "[mail]\nhost = 'x.example'\nsender = 'a@example.com'\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "policies").mkdir()
    (tmp_path / "config").mkdir()
    return tmp_path / "config"


def read(folder, text):
    (folder / "ostiary.toml").write_text(text)
    return load(folder, {"LONG": SECRET})


def problem(folder, text):
    with pytest.raises(SettingsError) as wrong:
        read(folder, text)
    (found,) = wrong.value.problems
    assert SECRET not in str(found)
    return str(found)


def test_no_mail_goes_out_unless_a_server_is_named(folder):
    settings = read(folder, "")
    assert settings.mail is None
    assert settings.log_new_keys is False
    assert read(folder, LEAST).mail == MailSettings("x.example", 587, "a@example.com", starttls=True, send_keys=False)


def test_everything_can_be_set(folder):
    text = (
        "[mail]\nhost = 'smtp.example.com'\nport = 2525\nsender = 'Ostiary@Example.com'\nuser = 'ostiary'\n"
        "password = { env = 'LONG' }\nstarttls = false\nsend_keys = true"
    )
    settings = read(folder, text)
    mail = settings.mail
    assert (mail.host, mail.port, mail.sender) == ("smtp.example.com", 2525, "ostiary@example.com")
    assert (mail.user, mail.password.reveal(), mail.starttls, mail.send_keys) == ("ostiary", SECRET, False, True)
    assert SECRET not in repr(settings)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[mail]\nsender = 'a@example.com'", ":1: `mail` needs `host`"),
        ("[mail]\nhost = 'x'", ":1: `mail` needs `sender`"),
        ("[mail]\nhost = 'a b'\nsender = 'a@example.com'", ":2: `mail.host`: `a b` is not a host"),
        ("[mail]\nhost = 'x'\nsender = 'a'", ":3: `mail.sender`: `a` is not an e-mail address"),
        (f"{LEAST}user = 'x'", ":4: `user` and `password` go together"),
        (f"{LEAST}password = {{ env = 'LONG' }}", ":1: `user` and `password` go together"),
        (f"{LEAST}port = 0", ":4: `mail.port` is `0`, not between 1 and 65535"),
        (f"{LEAST}send_key = true", ":4: unknown key `send_key` in `mail`; did you mean `send_keys`?"),
        ("mail = 'smtp.example.com'", ":1: `mail` is to be a table"),
    ],
)
def test_a_wrong_setting_is_told_with_its_line(folder, text, sentence):
    assert problem(folder, text).startswith(f"config/ostiary.toml{sentence}")


def test_production_hands_mails_in_encrypted_but_on_its_own_machine(folder):
    plain = f"{PRODUCTION}{LEAST}starttls = false"
    assert "production hands mails in encrypted" in problem(folder, plain)
    assert read(folder, plain.replace("x.example", "127.0.0.1")).mail.starttls is False


def test_without_the_package_that_speaks_smtp_mail_is_refused_and_nothing_else(folder, monkeypatch):
    monkeypatch.setattr("gateway.settings.mail.CLIENT", "no_such_package")
    assert problem(folder, LEAST).endswith("run `pip install 'ostiary[mail]'`")
    assert read(folder, "").mail is None


def test_keys_in_the_log_are_warned_about_at_every_start(folder):
    settings = read(folder, "[admin]\nlog_new_keys = true")
    assert settings.log_new_keys
    assert any(note.startswith("warning: `admin.log_new_keys` is on") for note in settings.notes)
    assert not any("log_new_keys" in note for note in read(folder, "[admin]\nlog_new_keys = false").notes)
