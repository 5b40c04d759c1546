"""``ostiary store``: moved, saved and restored from the command line, and no password told."""

import gc
import json
import secrets

import pytest

from gateway.records import PolicyHead, User
from gateway.store.kinds import content_hash
from gateway.store.opening import open_store
from tests.cli.test_users import entries
from tests.secantus import secantus  # noqa: F401

PASSWORD = "pa55-w0rd"


async def full(store):
    await store.users.add(User(id="ann@example.com"))
    await store.bundles.put(content_hash(b"policy"), b"policy")
    await store.bundles.move_head(0, PolicyHead(version=1, bundle=content_hash(b"policy"), author="a", at=1))


@pytest.fixture
def kept(site):
    (site.root / "var").mkdir(mode=0o700)
    site.with_store(full)
    return site


@pytest.fixture
def database(request):
    return f"c_{secrets.token_hex(6)}"


def place(site, name="ostiary.db"):
    return f"sqlite:{site.root / 'var' / name}"


def test_a_store_is_copied_to_mongodb_and_back(kept, secantus, database):  # noqa: F811
    there = ["store", "copy", "--from", place(kept), "--to", secantus, "--to-database", database]
    told = json.loads(kept.fine(*there, "--json"))
    assert (told["counts"]["records"], told["counts"]["heads"]) == (1, 1)
    back = ["store", "copy", "--from", "env:WHERE", "--from-database", database, "--to", place(kept, "back.db")]
    again = kept.fine(*back, WHERE=secantus)
    assert "copied and compared: 1 heads, 0 shadow, 1 bundles, 1 records, 1 audit, 1 marks" in again
    kept.write("config/ostiary.toml", '[store]\npath = "var/back.db"\n')
    copies = [entry for entry in reversed(entries(kept_in(kept, "back.db"))) if entry.method == "store.copy"]
    assert [(each.subject, each.object, each.outcome) for each in copies] == [("operator", "gateway/store", "ok")] * 2


def kept_in(site, name):
    site.store = lambda: open_store(str(site.root / "var" / name))
    return site


def test_a_target_in_use_is_refused(kept):
    other = place(kept, "other.db")
    kept.fine("store", "copy", "--from", place(kept), "--to", other)
    assert "the store holds something already" in kept.wrong("store", "copy", "--from", place(kept), "--to", other)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--from", "sqlite:nowhere.db", "--to", "sqlite:x.db"), "there is no such file"),
        (("--from", "postgres://u:pa55-w0rd@h/", "--to", "sqlite:x.db"), "a store is not named so"),
        (("--from", "env:NOT_SET", "--to", "sqlite:x.db"), "environment variable `NOT_SET` is not set"),
        (("--from", "sqlite:", "--to", "sqlite:x.db"), "a store is not named so"),
        (("--from", "file:nowhere", "--to", "sqlite:x.db"), "cannot be read"),
    ],
)
def test_a_place_that_is_none_is_told_without_repeating_it(kept, words, told):
    wrong = kept.wrong("store", "copy", *words)
    assert told in wrong
    assert PASSWORD not in wrong


# The driver lets go of a socket that was still connecting when the client was closed; it must not tell so later.
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
def test_a_password_is_never_printed_and_one_on_the_command_line_is_warned_about(kept):
    uri = f"mongodb://admin:{PASSWORD}@127.0.0.1:9/?timeoutMS=300"
    plain = kept.wrong("store", "copy", "--from", place(kept), "--to", uri)
    assert "others on this machine can read the password" in plain
    secret = kept.root / "uri"
    secret.write_text(uri + "\n")
    secret.chmod(0o600)
    filed = kept.wrong("store", "copy", "--from", place(kept), "--to", f"file:{secret}")
    assert "the database did not answer" in filed
    assert "others on this machine" not in filed
    secret.chmod(0o644)
    assert "chmod 600" in kept.wrong("store", "copy", "--from", place(kept), "--to", f"file:{secret}")
    gc.collect()
    assert PASSWORD not in plain + filed


def test_a_store_is_saved_and_restored(kept):
    out = kept.root / "saved.jsonl"
    told = json.loads(kept.fine("store", "export", "--out", str(out), "--audit", "--json"))
    assert told["counts"]["records"] == 1
    assert [entry.method for entry in entries(kept)] == ["store.export"]
    assert "the store holds something already" in kept.wrong("store", "import", str(out))
    kept.write("config/ostiary.toml", '[store]\npath = "var/new.db"\n')
    assert "imported and compared: 1 heads" in kept.fine("store", "import", str(out))
    found = entries(kept_in(kept, "new.db"))
    assert [entry.method for entry in found] == ["store.import"]
    assert json.loads(found[0].arguments["/hash"]) == told["hash"]
    assert kept.with_store(lambda store: store.users.get("ann@example.com")).id == "ann@example.com"


def test_a_file_that_is_no_export_is_refused(kept):
    other = kept.write("letter", "dear friend\n")
    kept.write("config/ostiary.toml", '[store]\npath = "var/new.db"\n')
    assert "letter:1: is not an export of a store" in kept.wrong("store", "import", str(other))
