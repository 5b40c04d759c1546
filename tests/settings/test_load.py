"""The settings: what a folder and the environment give, and every way to get them wrong."""

import os
import pickle
import re
import shutil
import stat
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path

import pytest

from connectors.base import Sharing
from gateway.mcp.terms import Era
from gateway.settings import MailSettings, Mode, Names, ServerMode, SettingsError, load

SAMPLES = Path(__file__).parents[2] / "config"
SECRET = "s" * 32


@pytest.fixture
def folder(tmp_path):
    """A config folder beside an empty policy folder."""
    (tmp_path / "policies").mkdir()
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "ostiary.toml").write_text("")
    return tmp_path / "config"


def read(folder, ostiary="", upstreams="", servers="", **environ):
    for name, text in (("ostiary", ostiary), ("upstreams", upstreams), ("servers", servers)):
        (folder / f"{name}.toml").write_text(text)
    return load(folder, environ)


def problems(folder, *texts, **environ):
    with pytest.raises(SettingsError) as wrong:
        read(folder, *texts, **environ)
    found = [str(each) for each in wrong.value.problems]
    assert str(wrong.value) == "\n".join(found)
    return found


# -- what is right


def test_an_empty_folder_of_settings_gives_development_on_loopback(folder):
    settings = read(folder)
    assert settings.mode is Mode.DEVELOPMENT
    assert (settings.host, settings.port, settings.bind) == ("127.0.0.1", 4001, "127.0.0.1:4001")
    assert settings.public_url == "http://127.0.0.1:4001"
    assert settings.store.path == folder.parent / "var" / "ostiary.db"
    assert settings.store.uri is None
    assert settings.policy_folder == folder.parent / "policies"
    assert settings.admin_email == "admin@example.com"
    assert settings.accept_key_in_query
    assert (settings.keepalive_s, settings.max_body_bytes, settings.stale_after_s) == (25, 10 * 1024 * 1024, 30)
    assert settings.page_items == 250
    assert (settings.audit.jsonl, settings.audit.retention_days) == ("", 90)
    assert settings.upstreams == settings.servers == ()


def test_the_sample_settings_load(tmp_path):
    shutil.copytree(SAMPLES, tmp_path / "config")
    (tmp_path / "policies").mkdir()
    settings = load(tmp_path / "config", {})
    assert settings.mode is Mode.DEVELOPMENT
    time, git = settings.upstreams
    assert time.command == (str(tmp_path / ".envs/upstreams/bin/mcp-server-time"),)
    assert git.command[1:] == ("--repository", ".")
    assert git.cwd == str(tmp_path)
    assert (git.id, git.transport, git.sharing, git.open_world) == ("git", "stdio", Sharing.ALL, False)
    assert git.tools["git_reset"] == "destructive"
    assert git.tools["git_diff*"] == "read"
    assert time.tools == {"*": "read"}
    (server,) = settings.servers
    assert (server.id, server.upstreams, server.mode, server.names) == (
        "git",
        ("git",),
        ServerMode.UPSTREAM,
        Names.BARE,
    )


def test_every_commented_default_of_the_sample_is_a_setting(folder):
    sample = (SAMPLES / "ostiary.toml").read_text()
    lines = [line.removeprefix("# ") for line in sample.splitlines() if re.match(r"# ([a-z_]+ = |    \{ id|\])", line)]
    assert len(lines) >= 17
    tables = {
        'bind = "10': "[node]",
        "failures =": "[limits]",
        "path =": "[store]",
        "folder =": "[policy]",
        "jsonl =": "[audit]",
        "email =": "[admin]",
        "host =": "[mail]",
    }
    text = "[server]\n"
    for line in lines:
        text += next((f"{table}\n" for start, table in tables.items() if line.startswith(start)), "") + line + "\n"
    secret = folder / "old"
    secret.write_text(SECRET)
    secret.chmod(0o600)
    text = text.replace("/run/secrets/ostiary-2025", str(secret))
    settings = read(folder, text, OSTIARY_SECRET=SECRET, SMTP_PASSWORD="hunter2")
    assert [each.id for each in settings.secrets] == ["2026", "2025"]
    assert settings.mail == replace(
        MailSettings("", 587, ""),
        **{name: getattr(settings.mail, name) for name in ("host", "sender", "user", "password")},
    )
    for name in (
        "keepalive_s",
        "max_body_bytes",
        "page_items",
        "stale_after_s",
        "accept_key_in_query",
        "log_new_keys",
        "name",
        "mode",
        "store",
        "audit",
    ):
        assert getattr(settings, name) == getattr(read(folder), name), f"the sample's {name} is not the default"


def test_everything_can_be_set(folder):
    for name, text in (("token", "from-a-file\n"), ("token-a", SECRET)):
        (folder / name).write_text(text)
        (folder / name).chmod(0o600)
    settings = read(
        folder,
        """
        [server]
        bind = "[::1]:8443"
        name = "Front door"
        mode = "production"
        public_url = "https://MCP.example.com/"
        secret = [{ id = "b", env = "B" }, { id = "a", file = "config/token-a" }]
        trusted_proxies = ["10.0.0.0/24", "fd00::1"]
        allowed_hosts = ["Gateway.internal:4001"]
        allowed_origins = ["https://inspector.example.com"]
        accept_key_in_query = false
        keepalive_s = 2.5
        max_body_bytes = 2048
        page_items = 40
        stale_after_s = 5
        [store]
        path = "/srv/ostiary.db"
        [policy]
        folder = "rules"
        [audit]
        jsonl = "log/audit.jsonl"
        retention_days = 7
        [admin]
        email = "Root@Example.com"
        """,
        """
        [upstreams.remote]
        url = "https://tools.example.com/mcp"
        transport = "sse"
        headers = { Authorization = { env = "TOKEN", prefix = "Bearer " }, "X-File" = { file = "config/token" } }
        private_hosts = ["10.0.0.7:8443", "127.0.0.0/8"]
        tags = ["crm"]
        era = "modern"
        trust_hints = true
        timeout_s = 3
        [upstreams.local]
        command = ["server", "--quiet"]
        env = { LEVEL = { value = "quiet" }, TOKEN = { env = "TOKEN" } }
        cwd = "work"
        sharing = "principal"
        max_processes = 3
        """,
        """
        [servers.both-of-them]
        upstreams = ["remote", "local"]
        instructions = "first\\nsecond"
        """,
        B=SECRET,
        TOKEN="t0ken",
    )
    root = folder.parent
    assert settings.mode is Mode.PRODUCTION
    assert settings.bind == "[::1]:8443"
    assert settings.public_url == "https://mcp.example.com"
    assert [(each.id, each.value.reveal()) for each in settings.secrets] == [("b", SECRET), ("a", SECRET)]
    assert settings.trusted_proxies == (ip_network("10.0.0.0/24"), ip_network("fd00::1"))
    assert settings.allowed_hosts == ("gateway.internal:4001",)
    assert (settings.store.path, settings.policy_folder) == (Path("/srv/ostiary.db"), root / "rules")
    assert settings.audit.jsonl == str(root / "log/audit.jsonl")
    assert settings.admin_email == "root@example.com"
    assert settings.page_items == 40
    remote, local = settings.upstreams
    assert {name: secret.reveal() for name, secret in remote.headers.items()} == {
        "Authorization": "Bearer t0ken",
        "X-File": "from-a-file",
    }
    assert (remote.transport, remote.sharing, remote.era, remote.timeout) == ("sse", Sharing.PRINCIPAL, Era.MODERN, 3)
    assert (remote.owned_by_system, remote.trust_hints, remote.tags) == (True, True, ("crm",))
    assert local.command == ("server", "--quiet")
    assert local.cwd == str(root / "work")
    assert {name: secret.reveal() for name, secret in local.env.items()} == {"LEVEL": "quiet", "TOKEN": "t0ken"}
    (server,) = settings.servers
    assert (server.mode, server.names, server.instructions) == (ServerMode.DIRECT, Names.PREFIXED, "first\nsecond")
    assert any("policy apply" in note for note in settings.notes)


def test_the_environment_wins_over_the_file(folder):
    ostiary = '[server]\nbind = "127.0.0.1:4001"\n[admin]\nemail = "file@example.com"'
    settings = read(folder, ostiary, PORT="4999", MCP_ADMIN_EMAIL="Env@example.com", MONGODB_DB="mcp")
    assert (settings.bind, settings.public_url) == ("127.0.0.1:4999", "http://127.0.0.1:4999")
    assert (settings.admin_email, settings.store.database) == ("env@example.com", "mcp")
    assert read(folder, ostiary, PORT="", MCP_ADMIN_EMAIL="").bind == "127.0.0.1:4001"


def test_a_server_of_one_upstream_shows_bare_names_unless_told_otherwise(folder):
    one = '[upstreams.a]\ncommand = ["a"]'
    (server,) = read(folder, "", one, '[servers.s]\nupstreams = ["a"]').servers
    assert (server.mode, server.names) == (ServerMode.UPSTREAM, Names.BARE)
    (server,) = read(folder, "", one, '[servers.s]\nupstreams = ["a"]\nmode = "direct"').servers
    assert (server.mode, server.names) == (ServerMode.DIRECT, Names.PREFIXED)


# -- secrets


def test_a_development_secret_is_made_once_kept_private_and_said_aloud(folder):
    first, second = read(folder), read(folder)
    path = folder.parent / "var" / "ostiary.secret"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert list(path.parent.iterdir()) == [path]
    assert "a new secret stands in var/ostiary.secret" in first.notes[0]
    assert second.notes == ()
    assert first.secrets[0].value.reveal() == second.secrets[0].value.reveal() == path.read_text().strip()
    assert len(path.read_text().strip()) >= 43


def test_a_development_secret_that_others_can_read_is_refused(folder):
    read(folder)
    (folder.parent / "var" / "ostiary.secret").chmod(0o640)
    assert "can be read by others than its owner" in problems(folder)[0]


def test_settings_print_no_secret_and_do_not_leave_the_process(folder):
    settings = read(folder, "[server]\nsecret = [{ id = 'a', env = 'S' }]", S=SECRET)
    assert SECRET not in repr(settings)
    with pytest.raises(TypeError):
        pickle.dumps(settings)
    mongo = read(
        folder,
        "[server]\nsecret = [{ id = 'a', env = 'S' }]\npublic_url = 'https://x.example.com'",
        S=SECRET,
        MONGODB_URI="mongodb://user:pass-word@db",
    )
    assert "pass-word" not in repr(mongo)
    assert mongo.store.uri.reveal() == "mongodb://user:pass-word@db"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_secret_file_that_others_can_read_is_refused(folder, mode):
    (folder / "token").write_text(SECRET)
    (folder / "token").chmod(mode)
    (found,) = problems(folder, "[server]\nsecret = [{ id = 'a', file = 'config/token' }]")
    assert found.startswith("config/ostiary.toml:2: `server.secret.0.file`: `config/token` can be read by others")
    assert SECRET not in found


def test_a_secret_file_must_be_a_small_text(folder):
    for name, body in (("empty", b"\n"), ("binary", b"\xff" * 40), ("huge", b"x" * 70_000)):
        (folder / name).write_bytes(body)
        (folder / name).chmod(0o600)
        assert len(problems(folder, f"[server]\nsecret = [{{ id = 'a', file = 'config/{name}' }}]")) == 1
    os.mkfifo(folder / "pipe", 0o600)
    assert "is not a file" in problems(folder, "[server]\nsecret = [{ id = 'a', file = 'config/pipe' }]")[0]
    assert "no such file" in problems(folder, "[server]\nsecret = [{ id = 'a', file = 'config/nothing' }]")[0]


# -- what is wrong


WRONG = [
    ("[server]\nbnid = '127.0.0.1:1'", "config/ostiary.toml:2: unknown key `bnid` in `server`; did you mean `bind`?"),
    ("[sever]\n", "config/ostiary.toml:1: unknown key `sever`; did you mean `server`?"),
    ("server = 3", "config/ostiary.toml:1: `server` is to be a table"),
    ("[server]\n\nkeepalive_s = '25'", "config/ostiary.toml:3: `server.keepalive_s` is to be a number"),
    ("[server]\nkeepalive_s = 0", "config/ostiary.toml:2: `server.keepalive_s` is `0`, not between 1 and 300"),
    ("[server]\nkeepalive_s = nan", "config/ostiary.toml:2: `server.keepalive_s` is `nan`, not between 1 and 300"),
    ("[server]\nmax_body_bytes = true", "config/ostiary.toml:2: `server.max_body_bytes` is to be a whole number"),
    ("[server]\nmax_body_bytes = 1.5", "config/ostiary.toml:2: `server.max_body_bytes` is to be a whole number"),
    ("[server]\naccept_key_in_query = 1", "config/ostiary.toml:2: `server.accept_key_in_query` is to be `true` or `false`"),
    (
        "[server]\nmode = 'productoin'",
        "config/ostiary.toml:2: `server.mode` is `productoin`, not one of `development`, `production`; did you mean `production`?",
    ),
    (
        "[server]\nbind = 'example.com:1'",
        "config/ostiary.toml:2: `server.bind`: `example.com:1` is not an IP address and a port such as `127.0.0.1:4001`",
    ),
    ("[server]\nbind = '127.0.0.1:70000'", "config/ostiary.toml:2: `server.bind`: `70000` is not a port between 1 and 65535"),
    ("[server]\nbind = '127.0.0.1'", "config/ostiary.toml:2: `server.bind`"),
    ("[server]\nbind = '::1:80'", "config/ostiary.toml:2: `server.bind`: `::1:80`: an IPv6 address"),
    ("[server]\nname = ''", "config/ostiary.toml:2: `server.name`"),
    ("[server]\npublic_url = 'https://a.example.com/mcp'", "config/ostiary.toml:2: `server.public_url`"),
    ("[server]\npublic_url = 'https://me:pw@a.example.com'", "config/ostiary.toml:2: `server.public_url`"),
    ("[server]\ntrusted_proxies = ['10.0.0.0/24',\n'0.0.0.0/0']", "config/ostiary.toml:3: `server.trusted_proxies`: `0.0.0.0/0` trusts everybody"),
    ("[server]\ntrusted_proxies = ['10.0.0.1/24']", "config/ostiary.toml:2: `server.trusted_proxies`"),
    ("[server]\ntrusted_proxies = '10.0.0.0/24'", "config/ostiary.toml:2: `server.trusted_proxies` is to be a list of texts"),
    ("[server]\nallowed_hosts = ['*']", "config/ostiary.toml:2: `server.allowed_hosts`: `*` is not a `host` or `host:port`"),
    ("[server]\nallowed_hosts = [1]", "config/ostiary.toml:2: `server.allowed_hosts` is a list of texts, and `1` is not a text"),
    ("[server]\nallowed_origins = ['*']", "config/ostiary.toml:2: `server.allowed_origins`"),
    ("[server]\nallowed_origins = ['null']", "config/ostiary.toml:2: `server.allowed_origins`"),
    ("[server]\nsecret = 'hunter2hunter2'", "config/ostiary.toml:2: `server.secret` is to be a list of tables"),
    ("[server]\nsecret = ['hunter2hunter2']", "config/ostiary.toml:2: `server.secret` is a list of tables"),
    ("[server]\nsecret = [{ id = 'a' }]", "config/ostiary.toml:2: `server.secret.0` needs exactly one of `env`, `file`"),
    ("[server]\nsecret = [{ id = 'a', env = 'A', file = 'b' }]", "config/ostiary.toml:2: `server.secret.0` needs exactly one"),
    ("[server]\nsecret = [{ id = 'a', value = 'x' }]", "config/ostiary.toml:2: unknown key `value` in `server.secret.0`"),
    ("[server]\nsecret = [{ env = 'LONG' }]", "config/ostiary.toml:2: a secret needs an `id`"),
    ("[server]\nsecret = [{ id = 'A B', env = 'LONG' }]", "config/ostiary.toml:2: `server.secret.0.id`"),
    ("[server]\nsecret = [{ id = 'a', env = 'NONE' }]", "config/ostiary.toml:2: `server.secret.0.env`: environment variable `NONE` is not set"),
    ("[server]\nsecret = [{ id = 'a', env = 'SHORT' }]", "config/ostiary.toml:2: secret `a` is shorter than 32 characters"),
    ("[server]\nsecret = [{ id = 'a', env = 'LONG' },\n{ id = 'a', env = 'LONG' }]", "config/ostiary.toml:2: two secrets have one id"),
    ("[policy]\nfolder = 'nowhere'", "config/ostiary.toml:2: there is no policy folder `nowhere`"),
    ("[policy]\nfolder = ''", "config/ostiary.toml:2: `policy.folder`: is not a path"),
    ("[store]\npath = 'var/x.secret'", "config/ostiary.toml:2: `store.path`: `var/x.secret` is not the path of a database file"),
    ("[store]\npath = '/'", "config/ostiary.toml:2: `store.path`: `/` is not the path of a database file"),
    ("[store]\npath = 'mongodb://me:pw@db'", "config/ostiary.toml:2: `store.path`: is a file; for MongoDB set MONGODB_URI"),
    ("[audit]\nretention_days = 0", "config/ostiary.toml:2: `audit.retention_days` is `0`, not between"),
    ("[admin]\nemail = 'admin'", "config/ostiary.toml:2: `admin.email`: `admin` is not an e-mail address"),
    ("[server]\nbind = '127.0.0.1:1'\nbind = 2", "config/ostiary.toml:3: not valid TOML: cannot overwrite a value"),
    ("[server\n", "config/ostiary.toml:1: not valid TOML: "),
]  # fmt: skip


@pytest.mark.parametrize(("text", "sentence"), WRONG, ids=[text for text, _ in WRONG])
def test_a_wrong_setting_is_one_problem_with_its_line(folder, text, sentence):
    (found,) = problems(folder, text, LONG=SECRET, SHORT="short")
    assert found.startswith(sentence)
    assert "short" not in found.removeprefix(sentence) or "shorter" in found
    assert "me:pw" not in found
    assert not found.endswith(".")


WRONG_UPSTREAMS = [
    ("command = ['a']\nurl = 'https://x.example.com'", ":3: `url` does not belong to an upstream of transport `stdio`"),
    ("tags = ['a']", ":1: an upstream needs either `command` (a list of words) or `url`"),
    ("command = 'a b'", ":2: `upstreams.up.command` is to be a list of texts"),
    ("command = ['a', 'ghp_0123456789abcdefghij']", ":2: `upstreams.up.command`: a word looks like a secret"),
    ("command = ['a']\ntransport = 'http'", ":3: transport `http` does not go with `command`"),
    ("url = 'https://x.example.com'\ntransport = 'stdio'", ":3: transport `stdio` does not go with `url`"),
    ("url = 'ftp://x.example.com'", ":2: `upstreams.up.url`: is to be an `http` or `https` URL"),
    ("url = 'https://u:pw@x.example.com'", ":2: `upstreams.up.url`: carries a secret"),
    ("url = 'https://x.example.com/mcp?key=sk-0123456789abcdef'", ":2: `upstreams.up.url`: carries a secret"),
    ("url = 'https://x.example.com'\nenv = { A = { value = 'a' } }", ":3: `env` does not belong to an upstream of transport `http`"),
    (
        "url = 'https://x.example.com'\nheaders = { Authorization = 'Bearer hunter2hunter2' }",
        ':3: `upstreams.up.headers.Authorization` is to be `{ env = "NAME" }` or `{ file = "PATH" }`',
    ),
    ("url = 'https://x.example.com'\nheaders = { X = { value = 'x' } }", ":3: unknown key `value` in `upstreams.up.headers.X`"),
    ("url = 'https://x.example.com'\nheaders = { 'X Y' = { env = 'LONG' } }", ":3: `headers.X Y` is not a name that can be sent"),
    ("url = 'https://x.example.com'\nheaders = { X = { env = 'LINES' } }", ":3: `headers.X`: what the reference leads to cannot be sent"),
    ("command = ['a']\nenv = { API_TOKEN = { value = 'abc' } }", ":3: `upstreams.up.env.API_TOKEN.value`: a secret does not stand in a file"),
    ("command = ['a']\nenv = { A = { value = 'Bearer hunter2hunter2' } }", ":3: `upstreams.up.env.A.value`: a secret does not stand in"),
    ("command = ['a']\nenv = { A = { value = '' } }", ":3: `upstreams.up.env.A.value` is empty"),
    ("command = ['a']\ntools = { x = 'reed' }", ":3: `upstreams.up.tools.x` is `reed`, not one of `read`, `write`, `destructive`; did you mean `read`?"),
    ("command = ['a']\ntools = { 'a*b' = 'read' }", ":3: `a*b` is not a tool name"),
    ("url = 'https://x.example.com'\nprivate_hosts = ['10.0.0.0/99']", ":3: `upstreams.up.private_hosts`: `10.0.0.0/99` is not a host"),
    ("command = ['a']\nera = 'old'", ":3: `upstreams.up.era` is `old`"),
    ("command = ['a']\nshairing = 'all'", ":3: unknown key `shairing` in `upstreams.up`; did you mean `sharing`?"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "sentence"), WRONG_UPSTREAMS, ids=[text for text, _ in WRONG_UPSTREAMS])
def test_a_wrong_upstream_is_one_problem_with_its_line_and_shows_no_secret(folder, text, sentence):
    (found,) = problems(folder, "", f"[upstreams.up]\n{text}", LONG=SECRET, LINES="a\r\nX-Evil: 1")
    assert found.startswith(f"config/upstreams.toml{sentence}")
    for secret in ("hunter2", "ghp_", ":pw@", "sk-", SECRET, "Evil"):
        assert secret not in found


@pytest.mark.parametrize(
    "id", ["main", "gateway", "custom", "http", "system", "Git", "a_b", "-a", "a--b", "a/b", "", "x" * 33, "a*"]
)
def test_an_id_that_policy_rows_or_tool_names_could_not_tell_apart_is_refused(folder, id):
    (found,) = problems(folder, "", f"\n[upstreams.'{id}']\ncommand = ['a']")
    assert found.startswith(f"config/upstreams.toml:2: `upstreams.{id}`: ")
    (found,) = problems(folder, "", "[upstreams.a]\ncommand = ['a']", f"[servers.'{id}']\nupstreams = ['a']")
    assert found.startswith(f"config/servers.toml:1: `servers.{id}`: ")


WRONG_SERVERS = [
    ("mode = 'direct'", ":1: a server needs `upstreams`"),
    ("upstreams = ['aa', 'abc']\nnames = 'bare'", ":3: names `bare` need exactly one upstream"),
    ("upstreams = ['aa', 'abc']\nmode = 'upstream'", ":3: mode `upstream` presents exactly one upstream"),
    (
        "upstreams = ['aa', 'abd']\nmode = 'direct'",
        ":2: `servers.s.upstreams`: there is no upstream or connector `abd`; did you mean `abc`?",
    ),
    ("upstreams = ['aa', 'aa']", ":2: `upstreams` names one upstream twice"),
    ("upstreams = ['aa', 'custom']\nnames = 'bare'", ":3: names `bare` need exactly one upstream"),
    ("upstreams = ['custom', 'custom']", ":2: `upstreams` names one upstream twice"),
    ("upstreams = ['aa']\nnames = 'naked'", ":3: `servers.s.names` is `naked`, not one of `bare`, `prefixed`"),
    ("upstreams = ['aa']\npublic = true", ":3: unknown key `public` in `servers.s`"),
]


@pytest.mark.parametrize(
    ("upstreams", "expected"),
    [
        ("['a']", (("a",), False, Names.BARE)),
        ("['a', 'custom']", (("a",), True, Names.PREFIXED)),
        ("['custom']", ((), True, Names.PREFIXED)),
    ],
)
def test_a_server_has_what_users_made_where_it_names_custom(folder, upstreams, expected):
    (server,) = read(folder, "", "[upstreams.a]\ncommand = ['a']", f"[servers.s]\nupstreams = {upstreams}").servers
    assert (server.upstreams, server.custom, server.names) == expected


@pytest.mark.parametrize(("text", "sentence"), WRONG_SERVERS, ids=[text for text, _ in WRONG_SERVERS])
def test_a_wrong_server_is_one_problem_with_its_line(folder, text, sentence):
    upstreams = "[upstreams.aa]\ncommand = ['a']\n[upstreams.abc]\ncommand = ['a']"
    (found,) = problems(folder, "", upstreams, f"[servers.s]\n{text}")
    assert found.startswith(f"config/servers.toml{sentence}")


def test_all_problems_of_all_files_come_at_once_in_order(folder):
    found = problems(
        folder,
        "[server]\nkeepalive_s = 0\nbind = 'x'\nfoo = 1",
        "[upstreams.a]\ncommand = ['a']\ntags = 3\nera = 'x'",
        "[servers.s]\nupstreams = ['b']",
        PORT="http",
        MCP_ADMIN_EMAIL="nobody",
    )
    assert [each.split(": ")[0] for each in found] == [
        "config/ostiary.toml:2",
        "config/ostiary.toml:3",
        "config/ostiary.toml:4",
        "config/servers.toml:2",
        "config/upstreams.toml:3",
        "config/upstreams.toml:4",
        "environment variable MCP_ADMIN_EMAIL",
        "environment variable PORT",
    ]


def test_a_folder_without_settings_says_what_to_do(tmp_path):
    with pytest.raises(SettingsError) as wrong:
        load(tmp_path / "config", {})
    sentence = "config: there is no such folder; `ostiary init DIR` writes one with commented samples"
    assert str(wrong.value) == sentence
    (tmp_path / "config").mkdir()
    (tmp_path / "policies").mkdir()
    with pytest.raises(SettingsError, match=r"^config/ostiary.toml: there is no such file; `ostiary init DIR`"):
        load(tmp_path / "config", {})


def test_a_file_of_settings_that_nobody_would_read_is_a_problem(folder):
    (folder / "upstream.toml").write_text("")
    (folder / "notes.txt").write_text("")
    (folder / ".draft.toml").write_text("")
    assert problems(folder) == ["config/upstream.toml: no settings are read from here; did you mean `upstreams.toml`?"]


def test_a_database_name_that_the_store_would_refuse_is_a_problem(folder):
    (found,) = problems(folder, PRODUCTION, S=SECRET, MONGODB_URI="mongodb://db", MONGODB_DB="My-DB")
    assert found == "environment variable MONGODB_DB: `My-DB` is not a database name of a to z, 0 to 9 and `_`"


def test_a_file_that_is_not_text_is_a_problem(folder):
    (folder / "servers.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match=r"config/servers.toml: is not UTF-8 text"):
        load(folder, {})


# -- production


PRODUCTION = "[server]\npublic_url = 'https://mcp.example.com'\nsecret = [{ id = 'a', env = 'S' }]\n"


@pytest.mark.parametrize(
    ("bind", "environ"),
    [
        ("0.0.0.0:4001", {}),
        ("[::]:4001", {}),
        ("192.0.2.7:80", {}),
        ("127.0.0.1:4001", {"MONGODB_URI": "mongodb://db"}),
    ],
)
def test_an_exposed_gateway_is_in_production_and_cannot_be_talked_out_of_it(folder, bind, environ):
    settings = read(folder, f"{PRODUCTION}bind = '{bind}'", S=SECRET, **environ)
    assert settings.mode is Mode.PRODUCTION
    (found,) = problems(folder, f"{PRODUCTION}bind = '{bind}'\nmode = 'development'", S=SECRET, **environ)
    assert found.startswith("config/ostiary.toml:5: mode `development` is not to be had while")
    missing = problems(folder, f"[server]\nbind = '{bind}'", **environ)
    assert any("production needs `secret`" in each for each in missing)
    assert any("production needs `public_url`" in each for each in missing)
    assert not (folder.parent / "var").exists(), "production makes no secret of its own"


def test_production_needs_an_https_address(folder):
    text = PRODUCTION.replace("https:", "http:") + "mode = 'production'"
    (found,) = problems(folder, text, S=SECRET)
    assert found.startswith("config/ostiary.toml:2: production needs `public_url`")


def test_production_does_not_look_for_a_policy_folder(folder):
    (folder.parent / "policies").rmdir()
    assert read(folder, PRODUCTION + "mode = 'production'", S=SECRET).mode is Mode.PRODUCTION


def test_a_database_address_of_another_kind_is_refused_and_not_shown(folder):
    (found,) = problems(folder, PRODUCTION, S=SECRET, MONGODB_URI="postgres://user:pass-word@db")
    assert found == "environment variable MONGODB_URI: is to start with `mongodb://` or `mongodb+srv://`"


# -- trusted keys


PUBLIC = "ed25519:" + "A" * 43 + "="


def test_trusted_keys_stand_in_the_settings_or_in_files_of_their_own(folder):
    (folder.parent / "bob.pub").write_text(f"{PUBLIC.replace('A', 'B', 1)}\n")
    keys = f'[policy]\ntrusted_keys = [{{ id = "ann", key = "{PUBLIC}" }}, {{ id = "bob", file = "bob.pub" }}]'
    ann, bob = read(folder, f"{PRODUCTION}mode = 'production'\n{keys}", S=SECRET).trusted_keys
    assert (ann.id, ann.public) == ("ann", b"\0" * 32)
    assert (bob.id, bob.public[0]) == ("bob", 4)
    assert read(folder, "").trusted_keys == ()


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ('{ key = "PUBLIC" }', "a trusted key needs an `id`"),
        ('{ id = "a" }', "a trusted key needs exactly one of `key`, `file`"),
        ('{ id = "a", key = "PUBLIC", file = "own.pub" }', "a trusted key needs exactly one of `key`, `file`"),
        ('{ id = "A!", key = "PUBLIC" }', "is not an id of a to z"),
        ('{ id = "a", key = "rsa:x" }', "is not a public key such as `ed25519:…`"),
        ('{ id = "a", kee = "PUBLIC" }', "unknown key `kee`"),
        ('{ id = "a", file = "gone.pub" }', "`gone.pub` cannot be read: no such file or directory"),
        ('{ id = "a", file = "shared.pub" }', "`shared.pub`: others can write it; run `chmod go-w` on it"),
        ('{ id = "a", file = "bytes.pub" }', "is not a public key such as `ed25519:…`"),
        ('{ id = "a", key = "PUBLIC" }, { id = "a", key = "PUBLIC" }', "two trusted keys have one id"),
    ],
)
def test_a_wrong_trusted_key_is_told_and_never_left_out(folder, entry, told):
    for name, content, mode in (
        ("own.pub", PUBLIC.encode(), 0o644),
        ("shared.pub", PUBLIC.encode(), 0o666),
        ("bytes.pub", b"\xff" * 10_000, 0o644),
    ):
        (folder.parent / name).write_bytes(content)
        (folder.parent / name).chmod(mode)
    text = f"{PRODUCTION}mode = 'production'\n[policy]\ntrusted_keys = [{entry.replace('PUBLIC', PUBLIC)}]"
    assert any(told in each for each in problems(folder, text, S=SECRET))


def test_development_and_trusted_keys_do_not_go_together(folder):
    (found,) = problems(folder, f'[policy]\ntrusted_keys = [{{ id = "ann", key = "{PUBLIC}" }}]')
    assert found == (
        "config/ostiary.toml:2: development applies every edit of the folder, unsigned; "
        "remove `trusted_keys`, or set `mode` to `production`"
    )
