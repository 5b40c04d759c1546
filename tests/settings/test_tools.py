"""``tools.toml`` and ``OMIT_HANDLERS``: what they give, and every way to get them wrong."""

import re
from pathlib import Path

import pytest

from gateway.settings import HandlerSettings, HttpSettings, SettingsError, load

SAMPLE = Path(__file__).parents[2] / "config" / "tools.toml"
CANARY = "canary-s3cret"
ENVIRONMENT = {"KEY": CANARY, "LINES": "a\nb", "WIDE": "ä"}
FINE = "value = { env = 'KEY' }\nhosts = ['api.example.com']\ntools = ['ann@example.com:a']\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "policies").mkdir()
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "ostiary.toml").write_text("")
    return tmp_path / "config"


def read(folder, text, **environ):
    (folder / "tools.toml").write_text(text)
    return load(folder, {**ENVIRONMENT, **environ})


def problems(folder, text, **environ):
    with pytest.raises(SettingsError) as wrong:
        read(folder, text, **environ)
    return [str(each) for each in wrong.value.problems]


# -- what is right


def test_without_the_file_nothing_private_is_reached_and_nothing_is_left_out(folder):
    settings = load(folder, {})
    assert settings.http == HttpSettings((), 30.0)
    assert settings.handlers == HandlerSettings(frozenset(), 60.0)
    assert settings.named_secrets == ()


def test_everything_can_be_set(folder):
    settings = read(
        folder,
        "[http]\nprivate_hosts = ['10.0.0.7:8443']\ntimeout_s = 5\n[handlers]\nomit = ['weather']\ntimeout_s = 7\n"
        "[secrets.KEY]\nvalue = { env = 'KEY' }\nhosts = ['API.example.com:443', 'a.example:8443', 'a.example:80']\n"
        "tools = ['Ann@Example.com:orders', 'system:stock']\n",
    )
    assert settings.http == HttpSettings(("10.0.0.7:8443",), 5.0)
    assert settings.handlers == HandlerSettings(frozenset(["weather"]), 7.0)
    (secret,) = settings.named_secrets
    assert (secret.name, secret.value.reveal()) == ("KEY", CANARY)
    assert secret.hosts == {"api.example.com", "a.example:8443", "a.example:80"}
    assert secret.tools == {"ann@example.com:orders", "system:stock"}
    assert CANARY not in repr(settings)


def test_the_variable_leaves_out_what_the_file_does_not(folder):
    settings = read(folder, "[handlers]\nomit = ['weather']", OMIT_HANDLERS=" tool-management, ,echo,")
    assert settings.handlers.omit == {"weather", "tool-management", "echo"}


@pytest.mark.parametrize(
    ("omit", "left_out"),
    [
        ("", ()),
        ("user-management", ("user-management",)),
        ("tool-management,prompt-management", ("tool-management", "prompt-management")),
        ("native", ("user-management", "tool-management", "prompt-management")),
        ("native,weather", ("user-management", "tool-management", "prompt-management")),
    ],
)
def test_groups_of_our_own_tools_are_left_out_by_name_or_all_at_once(folder, omit, left_out):
    handlers = read(folder, "", OMIT_HANDLERS=omit).handlers
    groups = ("user-management", "tool-management", "prompt-management")
    assert tuple(each for each in groups if handlers.omits(each)) == left_out


def test_every_commented_example_of_the_sample_is_a_setting(folder):
    sample = SAMPLE.read_text()
    example = "\n".join(re.findall(r"^#   (.*)$", sample, re.MULTILINE))
    lines = re.findall(r"^(?:# )?((?:[a-z_]+ = |\[).*)$", sample, re.MULTILINE)
    settings = read(folder, "\n".join([*lines, example]).replace("SHOP_KEY", "KEY"))
    defaults = read(folder, "")
    assert (settings.http.timeout_s, settings.handlers.timeout_s) == (
        defaults.http.timeout_s,
        defaults.handlers.timeout_s,
    )
    assert settings.http.private_hosts
    assert settings.handlers.omits("user-management")
    assert [each.name for each in settings.named_secrets] == ["KEY"]


# -- what is wrong


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[http]\nprivate_hosts = ['a b']", ":2: `http.private_hosts`: `a b` is not a host"),
        ("[http]\ntimeout_s = 0", ":2: `http.timeout_s` is `0`, not between 1 and 600"),
        ("[http]\nhosts = []", ":2: unknown key `hosts` in `http`"),
        ("[handlers]\nomit = ['a b']", ":2: `handlers.omit`: `a b` is not the name of a handler package"),
        ("[handlers]\nomit = 'a'", ":2: `handlers.omit` is to be a list of texts"),
        ("[secret.A]\n" + FINE, ":1: unknown key `secret`; did you mean `secrets`?"),
        (
            "[secrets.A]\n" + FINE.replace("hosts", "host"),
            ":3: unknown key `host` in `secrets.A`; did you mean `hosts`?",
        ),
        (
            "[secrets.A]\n" + FINE.replace("hosts", "host"),
            ":1: `secrets.A` needs `hosts`, the only ones that it is for",
        ),
        ("[secrets.A]\n" + FINE.replace("'ann@example.com:a'", ""), ":4: `secrets.A` needs `tools`, the only ones"),
        ("[secrets.A]\n" + FINE.replace("value", "key"), ":1: `secrets.A` needs `value`, as `{ env = "),
        (f"[secrets.A]\n{FINE}".replace("{ env = 'KEY' }", f"'{CANARY}'"), ":2: `secrets.A.value` is to be `{ env = "),
        (
            "[secrets.A]\n" + FINE.replace("KEY", "NONE"),
            ":2: `secrets.A.value.env`: environment variable `NONE` is not",
        ),
        ("[secrets.A]\n" + FINE.replace("KEY", "LINES"), ":2: `secrets.A.value` leads to what no header can hold"),
        ("[secrets.A]\n" + FINE.replace("KEY", "WIDE"), ":2: `secrets.A.value` leads to what no header can hold"),
        ("[secrets.'a b']\n" + FINE, ":1: `secrets.a b` is not a name"),
        (
            "[secrets.A]\n" + FINE.replace("api.example.com", "https://a.example"),
            ":3: `secrets.A.hosts`: `https://a.example`",
        ),
        (
            "[secrets.A]\n" + FINE.replace("api.example.com", "*.example.com"),
            ":3: `secrets.A.hosts`: `*.example.com` is not",
        ),
        ("[secrets.A]\n" + FINE.replace("ann@example.com:a", "a"), ":4: `secrets.A.tools`: `a` is not a tool such as"),
        ("[secrets.A]\n" + FINE.replace("ann@example.com:a", "*"), ":4: `secrets.A.tools`: `*` is not a tool such as"),
        ("[secrets.A]\n" + FINE.replace("ann@example.com:a", "ann:a"), ":4: `secrets.A.tools`: `ann` is not"),
        ("[secrets.A]\n" + FINE.replace("ann@example.com:a", "ann@example.com:a*"), ":4: `secrets.A.tools`: `ann@"),
    ],
)
def test_a_slip_is_told_with_its_line(folder, text, sentence):
    told = problems(folder, text)
    assert any(sentence in each for each in told), told
    assert not any(CANARY in each for each in told)


def test_a_variable_that_holds_no_names_is_told(folder):
    (told,) = problems(folder, "", OMIT_HANDLERS="user management")
    assert told.startswith("environment variable OMIT_HANDLERS: `user management` is not the name")
