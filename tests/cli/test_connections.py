"""``ostiary connections`` on a real store, with a platform and a webhook that listen on this machine."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from msgspec import structs

from connectors.base import Secret
from connectors.oauth.terms import Tokens
from gateway.assembly.held import vault_of
from gateway.connections.material import context_of_connection, of_tokens, pack
from gateway.records import Connected, Status
from gateway.settings import load
from tests.cli.test_users import entries
from tests.upstreams.starting import free_port

A, B, C = "a" * 24, "b" * 24, "c" * 24
ADA, BOB = "user:ada@example.com", "user:bob@example.com"
AT = 1_795_435_200_000
WHEN = "2026-11-23T12:00:00+00:00"

CONNECTORS = """\
[connectors.linear]
client_id = "client-1"
client_secret = {{ env = "LINEAR_SECRET" }}
private_hosts = ["127.0.0.1:{port}"]
at = {{ "https://linear.app" = "{url}/web", "https://api.linear.app" = "{url}/api" }}

[connections]
webhook = "{url}/hooks"
webhook_secret = {{ env = "HOOK_SECRET" }}
webhook_private_hosts = ["127.0.0.1:{port}"]
"""
ENVIRON = {"LINEAR_SECRET": "canary-client-secret", "HOOK_SECRET": "canary-hook-secret-of-some-length"}


class Ear:
    """A server that takes what it is sent, and remembers it."""

    def __init__(self):
        self.heard, self.status = [], 200

    @contextmanager
    def listening(self):
        ear = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"] or 0)).decode()
                ear.heard.append((self.path, body, dict(self.headers)))
                self.send_response(ear.status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", free_port()), Handler)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        self.url = f"http://127.0.0.1:{server.server_port}"
        self.port = server.server_port
        try:
            yield self
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


@pytest.fixture
def ear():
    with Ear().listening() as ear:
        yield ear


@pytest.fixture
def linked(site, ear, monkeypatch):
    """A site on which Ada has two connections and Bob one."""
    for name, value in ENVIRON.items():
        monkeypatch.setenv(name, value)
    site.write("config/connectors.toml", CONNECTORS.format(url=ear.url, port=ear.port))
    for record in (
        connection(A, label="Ada\x1b[31m at work", used_at=AT, scopes=("read", "write")),
        connection(B, status=Status.NEEDS_REAUTH, reason="renewal_refused", created_at=AT + 1),
        connection(C, owner=BOB, connector="gone"),
    ):
        keep(site, record)
    return site


def connection(id, **more):
    given = {"owner": ADA, "connector": "linear", "account": "u-1", "created_at": AT, "updated_at": AT} | more
    return Connected(id=id, expires_at=AT, renewable=True, **given)


def keep(site, record, sealed=b""):
    vault = vault_of(load(site.root / "config", ENVIRON).key_ring())
    tokens = Tokens(Secret(f"canary-access-{record.id[0]}"), Secret(f"canary-refresh-{record.id[0]}"))
    sealed = sealed or vault.seal(pack(of_tokens(tokens)), context_of_connection(record))
    site.with_store(lambda store: store.connections.add(structs.replace(record, sealed=sealed)))


def left(site):
    return [each.id for each in site.with_store(lambda store: store.connections.page())]


def test_connections_are_listed_by_owner_without_a_secret(linked):
    assert linked.fine("connections", "list").splitlines() == [
        f"{A}\t{ADA}\tlinear\tAda\\x1b[31m at work\tactive\t{WHEN}",
        f"{B}\t{ADA}\tlinear\tu-1\tneeds_reauth (renewal_refused)\tnever",
        f"{C}\t{BOB}\tgone\tu-1\tactive\tnever",
    ]
    first = linked.json("connections", "list")[0]
    assert first == {
        "connection": A,
        "owner": ADA,
        "connector": "linear",
        "account": "u-1",
        "label": "Ada\x1b[31m at work",
        "status": "active",
        "reason": "",
        "scopes": ["read", "write"],
        "renewable": True,
        "expires_at": WHEN,
        "created_at": WHEN,
        "changed_at": WHEN,
        "used_at": WHEN,
    }
    entry = entries(linked)[0]
    assert (entry.subject, entry.method, entry.object, entry.action) == (
        "operator",
        "connections.list",
        "gateway/connectors",
        "inspect",
    )


@pytest.mark.parametrize(
    ("words", "ids"),
    [
        (["--owner", ADA], [A, B]),
        (["--connector", "gone"], [C]),
        (["--status", "needs_reauth"], [B]),
        (["--owner", BOB, "--status", "needs_reauth"], []),
    ],
)
def test_some_connections_are_listed(linked, words, ids):
    assert [each["connection"] for each in linked.json("connections", "list", *words)] == ids


def test_connections_are_listed_over_many_pages(site, monkeypatch):
    monkeypatch.setattr("gateway.cli.connections.PAGE", 2)
    for number in range(5):
        keep(site, connection(f"{number:024x}"))
    assert len(site.json("connections", "list")) == 5


def test_a_sound_connection_is_shown_with_nothing_wrong(linked):
    shown = linked.json("connections", "show", A)
    assert (shown["secret"], shown["wrong"]) == ("development", [])
    told = linked.fine("connections", "show", A)
    assert f"connection: {A}\nowner: {ADA}\n" in told
    assert "label: Ada\\x1b[31m at work\n" in told
    assert "wrong" not in told
    assert "canary" not in told


def test_what_is_wrong_with_a_connection_is_said_with_what_to_do(linked):
    keep(linked, connection("d" * 24, attempts=3, retry_at=AT), b"garbled")
    assert "has to connect the account again" in linked.json("connections", "show", B)["wrong"][0]
    assert linked.json("connections", "show", C)["wrong"] == [
        "the connector `gone` is not set up: put it back, or end the connection"
    ]
    shown = linked.json("connections", "show", "d" * 24)
    assert shown["secret"] is None
    assert shown["wrong"][0].startswith("its credential cannot be opened: it was changed")
    assert shown["wrong"][1].startswith(
        "the platform did not renew its access 3 times in a row: tried again after 2026"
    )
    assert linked.fine("connections", "show", "d" * 24).count("\nwrong: ") == 2


def test_a_connection_that_is_not_there_is_named(linked):
    for words in (["show", "nothing"], ["end", "nothing", "--yes"]):
        assert "error: there is no connection `nothing`" in linked.wrong("connections", *words)


def test_an_ended_connection_is_gone_revoked_at_the_platform_audited_and_told(linked, ear):
    told = linked.fine("connections", "end", A, "--yes")
    assert told == f"{A} of {ADA} to linear is ended, revoked at the platform\n"
    assert left(linked) == [B, C]
    *revoked, (hook, event, headers) = ear.heard
    assert {path for path, *_ in revoked} == {"/api/oauth/revoke"}
    assert "canary-refresh-a" in str([body for _, body, _ in revoked])
    assert hook == "/hooks"
    assert json.loads(event)["data"]["status"] == "revoked"
    assert json.loads(event)["data"]["connection"] == A
    assert headers["webhook-signature"].startswith("v1,")
    entry = entries(linked)[-1]
    assert (entry.method, entry.object, entry.action, entry.outcome) == (
        "connections.end",
        "gateway/connectors",
        "revoke",
        "ok",
    )
    ended = [{"connection": A, "owner": ADA, "connector": "linear", "revoked": True}]
    assert json.loads(entry.arguments["/ended"]) == ended
    assert "canary" not in str(entry) + event + told


def test_a_platform_that_does_not_agree_keeps_nothing_alive(linked, ear):
    ear.status = 400
    assert linked.json("connections", "end", A, "--yes") == [
        {"connection": A, "owner": ADA, "connector": "linear", "revoked": False}
    ]
    assert left(linked) == [B, C]


def test_a_connection_of_a_connector_that_is_gone_ends_all_the_same(linked, ear):
    assert "not revoked at the platform" in linked.fine("connections", "end", C, "--yes")
    assert left(linked) == [A, B]


def test_all_of_somebody_end_at_once(linked, ear):
    assert linked.fine("connections", "end", "--owner", ADA, "--yes").count("is ended") == 2
    assert left(linked) == [C]
    assert len([path for path, *_ in ear.heard if path == "/hooks"]) == 2
    assert linked.fine("connections", "end", "--owner", ADA, "--yes") == "there are no such connections\n"


def test_nothing_ends_without_being_asked_for(linked, ear):
    assert "nobody can be asked here; add `--yes`" in linked.wrong("connections", "end", A)
    assert "nobody can be asked" in linked.wrong("connections", "end", A, "--json")
    assert "name connections by ID" in linked.wrong("connections", "end", code=2)
    assert "name connections by ID" in linked.wrong("connections", "end", A, "--owner", ADA, "--yes", code=2)
    assert left(linked) == [A, B, C]
    assert ear.heard == []


def test_people_are_asked_before_something_ends(linked, monkeypatch):
    monkeypatch.setattr("click.testing._NamedTextIOWrapper.isatty", lambda stream: stream.name == "<stdin>")
    refused = linked.ostiary("connections", "end", A, B, input="n\n")
    assert "End 2 connections?" in refused.stdout
    assert refused.exit_code == 1
    assert left(linked) == [A, B, C]
    assert linked.ostiary("connections", "end", A, input="y\n").exit_code == 0
    assert left(linked) == [B, C]
