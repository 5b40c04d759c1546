"""``connectors.toml``: what it gives, and every way to get it wrong."""

import re
import string
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.connections.redirects import address_back
from gateway.records import Flow
from gateway.settings import Binding, Mode, SettingsError, Tools, load
from gateway.settings.connectors import OURS, _redirect, _split

SAMPLE = Path(__file__).parents[2] / "config" / "connectors.toml"
SECRET = "s3cret-" * 5
PRODUCTION = (
    "[server]\nmode = 'production'\npublic_url = 'https://mcp.example.com'\nsecret = [{ id = 'a', env = 'LONG' }]"
)
ENVIRONMENT = {"LONG": SECRET, "SHORT": "short"}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "policies").mkdir()
    (tmp_path / "definitions").mkdir()
    (tmp_path / "config").mkdir()
    return tmp_path / "config"


def read(folder, connectors, *, ostiary="", upstreams="", servers=""):
    texts = {"ostiary": ostiary, "connectors": connectors, "upstreams": upstreams, "servers": servers}
    for name, text in texts.items():
        (folder / f"{name}.toml").write_text(text)
    return load(folder, ENVIRONMENT)


def problems(folder, connectors, **texts):
    with pytest.raises(SettingsError) as wrong:
        read(folder, connectors, **texts)
    return [str(each) for each in wrong.value.problems]


# -- what is right


def test_without_the_file_nothing_is_connected_and_the_defaults_hold(folder):
    (folder / "ostiary.toml").write_text("")
    settings = load(folder, {})
    assert settings.connectors == settings.definition_folders == ()
    assert settings.connections.binding is Binding.SESSION
    assert (settings.connections.redirects, settings.connections.webhook) == ((), "")
    assert settings.connections.oidc is None


def test_everything_can_be_set(folder):
    settings = read(
        folder,
        """
        folders = ["definitions"]
        [connections]
        binding = "confirm"
        redirects = ["https://app.example.com/done?tab=1", "http://127.0.0.1:8080/", "http://[::1]/x", "http://localhost/"]
        webhook = "http://10.0.0.7:8443/hooks"
        webhook_secret = { env = "LONG" }
        webhook_private_hosts = ["10.0.0.7:8443"]
        [sign_in.oidc]
        issuer = "https://id.example.com/realms/one"
        client_id = "ostiary"
        client_secret = { env = "LONG" }
        name = "Example"
        private_hosts = ["10.0.0.8"]
        [connectors.code]
        definition = "github_app"
        tools = "meta"
        client_id = "Iv1.0123456789abcdef"
        client_secret = { env = "LONG" }
        scopes = ["repo", "https://www.example.com/auth/read"]
        at = { "https://api.github.com" = "http://10.0.0.9/api/v3" }
        private_hosts = ["10.0.0.9"]
        [connectors.helpdesk]
        inputs = { subdomain = "example" }
        credential = { api_key = { env = "LONG" } }
        scopes = []
        """,
    )
    assert settings.definition_folders == (folder.parent / "definitions",)
    connections = settings.connections
    assert connections.binding is Binding.CONFIRM
    assert connections.redirects == (
        *("https://app.example.com/done?tab=1", "http://127.0.0.1:8080/"),
        *("http://[::1]/x", "http://localhost/"),
    )
    assert (connections.webhook, connections.webhook_private_hosts) == (
        "http://10.0.0.7:8443/hooks",
        ("10.0.0.7:8443",),
    )
    assert connections.webhook_secret.reveal() == SECRET
    oidc = connections.oidc
    assert (oidc.issuer, oidc.client_id, oidc.name) == ("https://id.example.com/realms/one", "ostiary", "Example")
    assert (oidc.client_secret.reveal(), oidc.private_hosts) == (SECRET, ("10.0.0.8",))
    code, helpdesk = settings.connectors
    assert (code.id, code.definition, code.tools) == ("code", "github_app", Tools.META)
    assert (code.client_id, code.client_secret.reveal()) == ("Iv1.0123456789abcdef", SECRET)
    assert code.scopes == ("repo", "https://www.example.com/auth/read")
    assert (code.at, code.private_hosts) == ({"https://api.github.com": "http://10.0.0.9/api/v3"}, ("10.0.0.9",))
    assert (helpdesk.id, helpdesk.definition, helpdesk.tools) == ("helpdesk", "helpdesk", Tools.DIRECT)
    assert (helpdesk.scopes, helpdesk.inputs) == ((), {"subdomain": "example"})
    assert helpdesk.credential["api_key"].reveal() == SECRET
    assert SECRET not in repr(settings)


def test_a_connector_without_anything_takes_its_id_for_the_definition(folder):
    (only,) = read(folder, "[connectors.weather]").connectors
    assert (only.definition, only.tools, only.scopes, only.credential) == ("weather", Tools.DIRECT, None, {})


def test_a_server_may_offer_connectors_beside_upstreams(folder):
    texts = {"upstreams": "[upstreams.git]\ncommand = ['git']"}
    settings = read(folder, "[connectors.chat]", **texts, servers="[servers.s]\nupstreams = ['chat', 'git']")
    assert settings.servers[0].upstreams == ("chat", "git")
    (found,) = problems(folder, "[connectors.chat]", **texts, servers="[servers.s]\nupstreams = ['cat']")
    assert "there is no upstream or connector `cat`; did you mean `chat`?" in found


def test_every_commented_example_of_the_sample_is_a_setting(folder):
    sample = SAMPLE.read_text()
    head, _, rest = sample.partition("# Folders of further")
    examples = "".join(f"{line}\n" for line in re.findall(r"^#   (.*)$", head, re.MULTILINE))
    lines = re.findall(r"^(?:# )?((?:[a-z_]+ = |\[).*)$", rest, re.MULTILINE)
    text = "\n".join([*lines[:1], examples, *lines[1:]])
    for file in re.findall(r'file = "(.*?)"', text):
        (folder.parent / file).parent.mkdir(exist_ok=True)
        (folder.parent / file).write_text(SECRET)
        (folder.parent / file).chmod(0o600)
    (folder.parent / "connectors").mkdir()
    text = re.sub(r'env = "\w+"', 'env = "LONG"', text)
    settings = read(folder, text)
    assert [each.id for each in settings.connectors] == ["github", "helpdesk"]
    assert settings.connections.oidc
    assert settings.connections.webhook
    defaults = read(folder, "").connections
    assert settings.connections.binding is defaults.binding


# -- what is wrong


WRONG = [
    ("[connectors.Git]", ":1: `connectors.Git`: `Git` is not an id"),
    ("[connectors.gateway]", ":1: `connectors.gateway`: `gateway` is reserved"),
    ("[connectors.a]\ndefinition = 'A b'", ":2: `connectors.a.definition`: `A b` is not the id of a definition"),
    ("[connectors.a]\ntools = 'both'", ":2: `connectors.a.tools` is `both`, not one of `direct`, `meta`"),
    ("[connectors.a]\nclient_id = ''", ":2: `connectors.a.client_id`: is empty"),
    ("[connectors.a]\nclient_id = 'sk_live_0123456789abcdef'", ":2: `connectors.a.client_id`: looks like a secret"),
    ("[connectors.a]\nclient_id = 'x'\nclient_secret = 'hunter2'", ":3: `connectors.a.client_secret` is to be `{ env ="),
    ("[connectors.a]\nclient_secret = { env = 'LONG' }", ":2: `client_secret` needs `client_id`"),
    ("[connectors.a]\nclient_id = 'x'\nclient_secret = { env = 'NONE' }", ":3: `connectors.a.client_secret.env`: environment"),
    ("[connectors.a]\nscopes = ['a b']", ":2: `connectors.a.scopes`: `a b` is not a scope"),
    ("[connectors.a]\nscopes = 'repo'", ":2: `connectors.a.scopes` is to be a list of texts"),
    ("[connectors.a]\ninputs = { key = 'ghp_0123456789abcdefghij' }", ":2: `connectors.a.inputs.key`: looks like a secret"),
    ("[connectors.a]\ninputs = { key = 3 }", ":2: `connectors.a.inputs.key` is to be a text"),
    ("[connectors.a]\ncredential = { key = 'hunter2' }", ":2: `connectors.a.credential.key` is to be `{ env"),
    ("[connectors.a]\ncredential = { key = { value = 'x' } }", ":2: unknown key `value` in `connectors.a.credential.key`"),
    ("[connectors.a]\nat = { 'api.github.com' = 'https://x.example.com' }", ":2: `at`: is not an `https` URL"),
    ("[connectors.a]\nat = { 'https://a.example.com' = 'x' }", ":2: `connectors.a.at.https://a.example.com`: is not an"),
    ("[connectors.a]\nat = { 'https://a.example.com/?a=b' = 'https://x.example.com' }", ":2: `at`: `https://a.example.com/?a=b` is not"),
    ("[connectors.a]\nat = { 'https://a.example.com' = 'http://10.0.0.1' }", ":2: `http://10.0.0.1` is plain http, which is for"),
    ("[connectors.a]\nprivate_hosts = ['10.0.0.0/99']", ":2: `connectors.a.private_hosts`: `10.0.0.0/99` is not a host"),
    ("[connectors.a]\nscope = ['x']", ":2: unknown key `scope` in `connectors.a`; did you mean `scopes`?"),
    ("[conectors.a]", ":1: unknown key `conectors`; did you mean `connectors`?"),
    ("folders = ['nowhere']", ":1: `folders`: there is no folder `nowhere`"),
    ("folders = ['']", ":1: `folders`: there is no folder ``"),
    ("[connections]\nbinding = 'none'", ":2: `connections.binding` is `none`, not one of `session`, `confirm`, `same_browser`"),
    ("[connections]\nwebhook = 'https://x.example.com'", ":2: `webhook` and `webhook_secret` go together"),
    ("[connections]\nwebhook_secret = { env = 'LONG' }", ":1: `webhook` and `webhook_secret` go together"),
    ("[connections]\nwebhook = 'https://x.example.com'\nwebhook_secret = { env = 'SHORT' }", ":3: `webhook_secret` is shorter than 24"),
    ("[connections]\nwebhook = 'http://x.example.com'\nwebhook_secret = { env = 'LONG' }", ":2: `webhook` is plain http"),
    ("[connections]\nwebhook = 'https://u:hunter2@x.example.com'\nwebhook_secret = { env = 'LONG' }", ":2: `connections.webhook`: is not"),
    ("[connections]\nredirect = ['https://x.example.com']", ":2: unknown key `redirect` in `connections`; did you mean `redirects`?"),
    ("[sign_in]\nsaml = {}", ":2: unknown key `saml` in `sign_in`"),
    ("[sign_in.oidc]\nclient_id = 'x'", ":1: `sign_in.oidc` needs `issuer`"),
    ("[sign_in.oidc]\nissuer = 'https://x.example.com'", ":1: `sign_in.oidc` needs `client_id`"),
    ("[sign_in.oidc]\nissuer = 'http://x.example.com'\nclient_id = 'x'", ":2: `sign_in.oidc.issuer`: `http://x.example.com` is not an issuer"),
    ("[sign_in.oidc]\nissuer = 'https://x.example.com?a'\nclient_id = 'x'", ":2: `sign_in.oidc.issuer`"),
    ("[sign_in.mail]\nhost = 'x'", ":1: unknown key `mail` in `sign_in`"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "sentence"), WRONG, ids=[text for text, _ in WRONG])
def test_a_wrong_setting_is_one_problem_with_its_line_and_shows_no_secret(folder, text, sentence):
    (found,) = problems(folder, text)
    assert found.startswith(f"config/connectors.toml{sentence}")
    for secret in ("hunter2", "ghp_", "sk_live", SECRET):
        assert secret not in found
    assert not found.endswith(".")


def test_a_connector_and_an_upstream_cannot_have_one_id(folder):
    (found,) = problems(folder, "\n[connectors.git]", upstreams="[upstreams.git]\ncommand = ['git']")
    assert found == "config/connectors.toml:2: there is an upstream `git` already; choose another id"


def test_production_refuses_what_is_for_development(folder):
    text = "[connections]\nbinding = 'same_browser'\nredirects = ['http://127.0.0.1:1/']\n"
    assert read(folder, text).connections.binding is Binding.SAME_BROWSER
    found = problems(folder, text, ostiary=PRODUCTION)
    assert [each.split(": ")[0] for each in found] == [f"config/connectors.toml:{line}" for line in (2, 3)]
    assert "production needs `session` or `confirm`" in found[0]


REFUSED = [
    *(
        "http://app.example.com/",
        "ftp://app.example.com/",
        "app.example.com",
        "//app.example.com/",
        "javascript:alert(1)",
    ),
    *(
        "https://evil.com\\@app.example.com/",
        "https://u@app.example.com/",
        "https://u:p@app.example.com/",
        "https:///x",
    ),
    *(
        "https://app.example.com/#x",
        "https://app.example.com/ x",
        "https://app.example.com/\n",
        "https://app.example.com/%zz",
    ),
    *(
        "https://app.example.com:0/",
        "https://app.example.com:99999/",
        "https://app.éxample.com/",
        "https://-/",
        "https://127.1/",
    ),
    *(
        "https://2130706433/",
        "HTTPS://app.example.com/",
        "https://app.example.com/<x>",
        'https://app.example.com/"',
        "https://",
    ),
    *(
        "http://localhost.evil.com/",
        "http://127.0.0.1.evil.com/",
        "http://0.0.0.0/",
        "https://[::1",
        "https://app..example.com/",
    ),
    *(f"https://app.example.com/?a=1&{name}=x" for name in OURS),
]


@pytest.mark.parametrize("url", REFUSED)
def test_a_redirect_that_two_readers_could_read_differently_is_refused(folder, url):
    text = url.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
    (found,) = problems(folder, f'[connections]\nredirects = ["{text}"]')
    assert found.startswith("config/connectors.toml:2: `connections.redirects`: ")


def test_what_is_added_to_a_redirect_is_what_no_redirect_may_have():
    flow = Flow(
        id="f", owner="user:ada@example.com", connector="shop", binding="confirm", back="https://app.example.com/"
    )
    assert {name for name, _ in parse_qsl(urlsplit(address_back(flow, "code")).query)} == set(OURS)


@given(st.text(string.printable + "é\u202e", max_size=60).map("https://app.example.com".__add__) | st.text(max_size=60))
def test_what_passes_as_a_url_is_plain_and_names_its_host_once(text: str):
    try:
        parts = _split(text)
    except ValueError:
        return
    assert text.isascii()
    assert text.isprintable()
    assert not set(text) & set(' \\#"<>{}|^`')
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    assert parts.netloc.lower() in (host, f"{host}:{parts.port}")
    assert "@" not in parts.netloc


@given(st.sampled_from(list(Mode)), st.sampled_from(["127.0.0.1", "[::1]", "localhost", "10.0.0.1", "app.example.com"]))
def test_plain_http_is_for_this_machine_in_development_alone(mode: Mode, host: str):
    fine = mode is Mode.DEVELOPMENT and host in ("127.0.0.1", "[::1]", "localhost")
    try:
        assert _redirect(f"http://{host}/x", mode)
        assert fine
    except ValueError:
        assert not fine
