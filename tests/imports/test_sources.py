"""Where dumps stand: what counts as one, and what is said of what does not."""

import json
from pathlib import Path

import bson
import pytest

from gateway.imports import sources
from gateway.imports.documents import DumpError, Unreadable
from gateway.imports.sources import is_address, read_database, read_path
from gateway.store.mongo_client import connect
from tests.secantus import secantus  # noqa: F401

ADA = {"email": "ada@example.com"}
TOOL = {"name": "post"}


def kept(path: Path, *documents: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".bson":
        path.write_bytes(b"".join(map(bson.encode, documents)))
    else:
        path.write_text("\n".join(map(json.dumps, documents)))
    return path


def test_a_folder_is_read_by_the_names_of_its_files(tmp_path: Path):
    kept(tmp_path / "users.json", ADA)
    kept(tmp_path / "dynamic-mcp-server.tools.bson", TOOL)
    kept(tmp_path / "tools.metadata.json", {"indexes": []})
    (tmp_path / "prompts.json").mkdir()
    dump = read_path(tmp_path)
    assert dump.documents == {"users": (ADA,), "tools": (TOOL,)}
    assert dump.of("prompts") == ()
    assert dump.places["users"] == str(tmp_path / "users.json")


def test_the_folder_of_the_database_inside_a_folder_of_mongodump_is_found(tmp_path: Path):
    kept(tmp_path / "dump" / "users.bson", ADA)
    (tmp_path / "empty").mkdir()
    assert read_path(tmp_path).documents == {"users": (ADA,)}
    kept(tmp_path / "other" / "users.bson", ADA)
    with pytest.raises(DumpError, match="several folders"):
        read_path(tmp_path)


def test_one_file_is_one_collection(tmp_path: Path):
    assert read_path(kept(tmp_path / "users.jsonl", ADA)).documents == {"users": (ADA,)}


def test_one_file_can_hold_all_of_them(tmp_path: Path):
    whole = tmp_path / "all.json"
    whole.write_text(json.dumps({"users": [ADA, {"email": {"$ne": None}}], "prompts": []}))
    dump = read_path(whole)
    assert dump.of("users")[0] == ADA
    assert isinstance(dump.of("users")[1], Unreadable)
    assert dump.of("prompts") == ()


@pytest.mark.parametrize("text", ['{"user": []}', '{"users": {}}', "[]", "{} {}", "", '{"users": [], "more": []}', "{"])
def test_another_file_is_no_dump(tmp_path: Path, text: str):
    (tmp_path / "all.json").write_text(text)
    with pytest.raises(DumpError, match="all"):
        read_path(tmp_path / "all.json")


def test_what_is_in_no_known_form_is_told(tmp_path: Path):
    with pytest.raises(DumpError, match="there is no dump"):
        read_path(tmp_path)
    (tmp_path / "users.csv").write_text("email")
    with pytest.raises(DumpError, match="name a file after what it holds"):
        read_path(tmp_path / "users.csv")
    kept(tmp_path / "users.json", ADA)
    kept(tmp_path / "users.bson", ADA)
    with pytest.raises(DumpError, match="already; keep one of them"):
        read_path(tmp_path)


def test_a_file_that_would_fill_the_memory_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sources, "MOST_BYTES", 10)
    with pytest.raises(DumpError, match="is larger than"):
        read_path(kept(tmp_path / "users.json", ADA))


# -- the database itself


async def test_the_database_is_read_and_not_written(secantus: str):  # noqa: F811
    before, _, options = secantus.partition("?")
    uri = f"{before}import_source?{options}"
    client = connect(uri)
    await client["import_source"]["users"].insert_many([dict(ADA), {"email": "bob@example.com"}])
    await client["import_source"]["sessions"].insert_one({"a": 1})
    dump = await read_database(uri)
    assert [each["email"] for each in dump.of("users") if isinstance(each, dict)] == [
        "ada@example.com",
        "bob@example.com",
    ]
    assert dump.places == {"users": "import_source.users"}
    assert await client["import_source"]["users"].count_documents({}) == 2
    await client.close()


async def test_a_database_without_these_collections_is_told_by_its_name(secantus: str):  # noqa: F811
    with pytest.raises(DumpError, match="the database `dynamic-mcp-server` holds none of"):
        await read_database(secantus)


async def test_no_error_repeats_the_address():
    with pytest.raises(ValueError, match="weaker writes") as failed:
        await read_database("mongodb://ann:hunter2@127.0.0.1:1/db?w=1")
    assert "hunter2" not in str(failed.value)


def test_an_address_is_told_from_a_path():
    assert is_address("mongodb://a/b")
    assert is_address("mongodb+srv://a/b")
    assert not is_address("dump/mongodb")
