"""``[upstreams.ID.personal]``: what it gives, and every way to get it wrong."""

import pytest

from gateway.settings import SettingsError, load

SECRET = "s3cret-" * 5
URL = "[upstreams.docs]\nurl = 'https://docs.example.com/mcp'\n"


@pytest.fixture
def read(tmp_path):
    def read(text, head=URL):
        (tmp_path / "policies").mkdir(exist_ok=True)
        folder = tmp_path / "config"
        folder.mkdir(exist_ok=True)
        (folder / "ostiary.toml").write_text("")
        (folder / "upstreams.toml").write_text(head + text)
        return load(folder, {"LONG": SECRET}).upstreams[0].personal

    return read


def test_nothing_is_personal_unless_it_says_so(read):
    assert read("") is None


def test_an_account_is_asked_for_without_further_words(read):
    personal = read("personal = { kind = 'oauth' }\n")
    assert (personal.oauth, personal.header, personal.prefix, personal.secret) == (
        True,
        "Authorization",
        "Bearer ",
        "access_token",
    )
    assert (personal.client_id, personal.client_secret, personal.scopes) == ("", None, None)


def test_headers_of_the_operator_do_not_make_it_his(read, tmp_path):
    assert read("headers = { X-Tenant = { env = 'LONG' } }\npersonal = {}\n") is not None
    (spec,) = load(tmp_path / "config", {"LONG": SECRET}).upstreams
    assert not spec.owned_by_system


def test_what_the_operator_registered_is_used(read):
    personal = read(
        "[upstreams.docs.personal]\nclient_id = 'us'\nclient_secret = { env = 'LONG' }\nissuer = 'https://id.example.com'\nscopes = ['a', 'b']\n"
    )
    assert (personal.client_id, personal.client_secret.reveal(), personal.scopes) == ("us", SECRET, ("a", "b"))


def test_a_key_stands_where_the_operator_says(read):
    personal = read("personal = { kind = 'key', header = 'X-Api-Key', label = 'Docs key' }\n")
    assert (personal.oauth, personal.header, personal.prefix, personal.label, personal.secret) == (
        False,
        "X-Api-Key",
        "",
        "Docs key",
        "api_key",
    )
    assert read("personal = { kind = 'key' }\n").prefix == "Bearer "


@pytest.mark.parametrize(
    ("text", "head", "sentence"),
    [
        ("personal = { kind = 'basic' }", URL, "`basic`"),
        ("personal = { kind = 'oauth', header = 'X' }", URL, "`header` does not go with kind `oauth`"),
        ("personal = { kind = 'key', scopes = ['a'] }", URL, "`scopes` does not go with kind `key`"),
        ("personal = { kind = 'key', header = 'X: y' }", URL, "`X: y` is not the name of a header"),
        ("personal = { kind = 'key', header = 'Mcp-Session-Id' }", URL, "a header of the protocol"),
        (
            "personal = {}\nheaders = { authorization = { env = 'LONG' } }",
            URL,
            "`Authorization` stands in `headers` too",
        ),
        ("personal = { scopes = ['a b'] }", URL, "`a b` is not a scope"),
        ("personal = { client_secret = { env = 'LONG' } }", URL, "`client_secret` needs `client_id`"),
        ("personal = { client_id = 'us', client_secret = { env = 'LONG' } }", URL, "`client_secret` needs `issuer`"),
        ("personal = { issuer = 'id.example.com' }", URL, "`id.example.com` is not an issuer"),
        ("personal = { client_id = '' }", URL, "plain text"),
        ("personal = { secret = 'x' }", URL, "`secret`"),
        ("sharing = 'all'\npersonal = {}", URL, "a session for each user"),
        ("personal = {}", "[upstreams.docs]\ncommand = ['x']\n", "`personal` needs `url`"),
    ],
)
def test_a_wrong_setting_is_told_with_its_line(text, head, sentence, read):
    with pytest.raises(SettingsError) as wrong:
        read(text, head)
    assert sentence in str(wrong.value)
    assert "upstreams.toml:" in str(wrong.value)
    assert SECRET not in str(wrong.value)
