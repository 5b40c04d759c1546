"""``ostiary vault`` on a real store, and the secrets that it stands on."""

import json

import pytest
from msgspec import structs

from connectors.base import Secret
from connectors.oauth.terms import Tokens
from gateway.assembly.held import vault_of
from gateway.connections.material import context_of_connection, of_tokens, pack, unpack
from gateway.records import Connected
from gateway.settings import SettingsError, load
from tests.cli.test_users import entries

SECRETS = {"FIRST": "canary-first-secret-of-the-operator", "SECOND": "canary-second-secret-of-the-operator"}
OLD = '[server]\nsecret = [{ id = "a", env = "FIRST" }]\n'
BOTH = '[server]\nsecret = [{ id = "b", env = "SECOND" }, { id = "a", env = "FIRST" }]\n'
NEW = '[server]\nsecret = [{ id = "b", env = "SECOND" }]\n'
A = "a" * 24


@pytest.fixture
def sealed(site, monkeypatch):
    """A site with two credentials that are sealed under its old secret, in the middle of the change."""
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    site.write("config/ostiary.toml", OLD)
    (site.root / "var").mkdir(mode=0o700)
    for id in (A, "b" * 24):
        keep(site, id)
    site.write("config/ostiary.toml", BOTH)
    return site


def vault(site):
    return vault_of(load(site.root / "config", SECRETS).key_ring())


def keep(site, id, **more):
    record = Connected(id=id, owner="user:ada@example.com", connector="slack")
    packed = pack(of_tokens(Tokens(Secret("canary-access"))))
    given = {"sealed": vault(site).seal(packed, context_of_connection(record))} | more
    site.with_store(lambda store: store.connections.add(structs.replace(record, **given)))


def opened(site):
    records = site.with_store(lambda store: store.connections.page())
    return [unpack(vault(site).open(each.sealed, context_of_connection(each))).access for each in records]


def test_secrets_are_listed_with_what_is_sealed_under_them(sealed):
    assert sealed.fine("vault", "list") == "b\tcurrent\t0\na\tknown\t2\n"
    sealed.write("config/ostiary.toml", NEW)
    assert sealed.json("vault", "list") == [
        {"secret": "b", "state": "current", "sealed": 0},
        {"secret": "a", "state": "missing", "sealed": 2},
    ]


def test_rotating_seals_everything_under_the_first_secret_and_says_how_much(sealed):
    assert sealed.fine("vault", "rotate") == "2 sealed anew under b, 2 in all\n"
    assert sealed.fine("vault", "rotate") == "0 sealed anew under b, 2 in all\n"
    sealed.write("config/ostiary.toml", NEW)
    assert opened(sealed) == ["canary-access"] * 2
    entry = entries(sealed)[0]
    assert (entry.subject, entry.method, entry.object, entry.action, entry.outcome) == (
        "operator",
        "vault.rotate",
        "gateway/connectors",
        "manage",
        "ok",
    )
    told = {"secret": "b", "rewrapped": 2, "sealed": 2, "others": {}, "unopened": []}
    assert json.loads(entry.arguments["/rotated"]) == told


def test_rotating_tells_programs_in_json(sealed):
    told = {"secret": "b", "rewrapped": 2, "sealed": 2, "others": {}, "unopened": []}
    assert sealed.json("vault", "rotate") == told


def test_what_cannot_be_opened_is_named_and_the_rest_is_done(sealed):
    keep(sealed, "c" * 24, sealed=b"garbled")
    wrong = sealed.wrong("vault", "rotate")
    assert f"what cannot be opened, and has to be connected anew: connections/{'c' * 24}" in wrong
    assert sealed.fine("vault", "list") == "b\tcurrent\t2\na\tknown\t0\n"


def test_rotating_without_the_old_secret_touches_nothing_and_says_what_is_missing(sealed):
    sealed.write("config/ostiary.toml", NEW)
    assert "2 under a still sealed under other secrets" in sealed.wrong("vault", "rotate")
    sealed.write("config/ostiary.toml", OLD)
    assert opened(sealed) == ["canary-access"] * 2


def test_no_secret_is_printed(sealed):
    told = [sealed.ostiary("vault", *words).output for words in (["list"], ["rotate"], ["list", "--json"])]
    assert "canary" not in "".join(told) + str(entries(sealed))


# -- what the vault stands on


def test_production_without_a_secret_does_not_start(site):
    site.write("config/ostiary.toml", '[server]\nmode = "production"\npublic_url = "https://mcp.example.com"\n')
    with pytest.raises(SettingsError, match="production needs `secret`"):
        load(site.root / "config", {})


def test_development_without_a_secret_makes_a_private_one_and_says_so(site):
    settings = load(site.root / "config", {})
    [path] = (site.root / "var").glob("*.secret")
    assert path.stat().st_mode & 0o777 == 0o600
    assert any("a new secret stands in var/ostiary.secret" in note for note in settings.notes)
    again = load(site.root / "config", {})
    assert again.notes == ()
    sealed = vault_of(settings.key_ring()).seal(b"text", ("here",))
    assert vault_of(again.key_ring()).open(sealed, ("here",)) == b"text"


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o644])
def test_a_secret_file_that_others_can_read_is_refused(site, mode):
    site.write("secret", "x" * 40).chmod(mode)
    site.write("config/ostiary.toml", '[server]\nsecret = [{ id = "a", file = "secret" }]\n')
    with pytest.raises(SettingsError, match=r"chmod"):
        load(site.root / "config", {})


def test_a_development_secret_that_others_can_read_is_refused(site):
    load(site.root / "config", {})
    (site.root / "var" / "ostiary.secret").chmod(0o644)
    with pytest.raises(SettingsError, match=r"chmod"):
        load(site.root / "config", {})
