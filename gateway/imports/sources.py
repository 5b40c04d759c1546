"""Where a dump comes from: files and folders on this machine, or the database itself, which is only read.

The address of a database holds a password: no error repeats it. What the collections mean is known elsewhere.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from gateway.imports.documents import DumpError, Found, documents, of_bson, of_json, revived, values
from gateway.store.mongo_client import answering, connect

COLLECTIONS: Final = ("users", "tools", "prompts")
MOST_BYTES: Final = 1 << 30
DATABASE: Final = "dynamic-mcp-server"
"""What the database is called where the address names none."""

_FILE: Final = re.compile(rf"(?:.+\.)?({'|'.join(COLLECTIONS)})\.(bson|json|jsonl|ndjson)")


@dataclass(frozen=True, slots=True)
class Dump:
    """``places`` say where each collection stood, as people name it; one that is not there is not in it."""

    documents: Mapping[str, tuple[Found, ...]] = field(default_factory=dict, repr=False)
    places: Mapping[str, str] = field(default_factory=dict)

    def of(self, collection: str) -> tuple[Found, ...]:
        return self.documents.get(collection, ())


def is_address(source: str) -> bool:
    """Whether it names a database rather than a file."""
    return source.startswith(("mongodb://", "mongodb+srv://"))


def read_path(path: Path) -> Dump:
    """A folder of files, each named after its collection; one such file; or one file with all of them. Raises
    ``DumpError``.
    """
    if not path.exists():
        raise DumpError(f"{path}: there is no such file or folder")
    if path.is_dir():
        return _of_files(_files(path))
    if _FILE.fullmatch(path.name):
        return _of_files([path])
    if path.suffix == ".json":
        return _whole(path)
    raise DumpError(
        f"{path}: name a file after what it holds (`users.json`, `tools.bson`), a folder of those, or one `.json` file "
        "with `users`, `tools` and `prompts` in it"
    )


async def read_database(address: str) -> Dump:
    """The collections of the database that ``address`` names. Raises ``DumpError``, ``Unavailable``, ``ValueError``."""
    name = unquote(urlsplit(address).path.lstrip("/")) or DATABASE
    client = connect(address)
    found: dict[str, tuple[Found, ...]] = {}
    try:
        with answering():
            there = set(await client[name].list_collection_names())
            for each in (each for each in COLLECTIONS if each in there):
                found[each] = tuple(documents(await client[name][each].find().to_list()))
    finally:
        await client.close()
    if not found:
        raise DumpError(
            f"the database `{name}` holds none of {_listed()}: name the right one at the end of the address"
        )
    return Dump(found, {each: f"{name}.{each}" for each in found})


def _files(folder: Path) -> list[Path]:
    """Those of the folder, or, as mongodump lays them out, of the one folder in it that has some."""
    for place in ([folder], sorted(each for each in folder.iterdir() if each.is_dir())):
        found = [here for each in place if (here := [file for file in sorted(each.iterdir()) if _named(file)])]
        if len(found) > 1:
            raise DumpError(f"{folder}: several folders in it hold a dump: name one of them")
        if found:
            return found[0]
    raise DumpError(f"{folder}: there is no dump of {_listed()} in it (`users.json`, `users.bson`)")


def _named(file: Path) -> str:
    found = _FILE.fullmatch(file.name)
    return found[1] if found and file.is_file() else ""


def _of_files(files: list[Path]) -> Dump:
    found: dict[str, tuple[Found, ...]] = {}
    places: dict[str, str] = {}
    for file in files:
        collection = _named(file)
        if collection in found:
            raise DumpError(f"{file}: `{places[collection]}` holds the {collection} already; keep one of them")
        found[collection], places[collection] = _documents(file), str(file)
    return Dump(found, places)


def _documents(file: Path) -> tuple[Found, ...]:
    read = of_bson if file.suffix == ".bson" else of_json
    try:
        return tuple(read(_body(file)))
    except DumpError as error:
        raise DumpError(f"{file}: {error}") from None


def _whole(file: Path) -> Dump:
    """Of one object with the collections in it."""
    try:
        (value,) = values(_body(file))
    except (DumpError, ValueError) as error:
        told = error if isinstance(error, DumpError) else "is not one object"
        raise DumpError(f"{file}: {told}") from None
    if not isinstance(value, dict) or not value.keys() & set(COLLECTIONS) or value.keys() - set(COLLECTIONS):
        raise DumpError(f"{file}: is not one object with {_listed()} in it")
    return Dump(
        {name: _listed_in(file, name, value[name]) for name in value}, {name: f"{file} {name}" for name in value}
    )


def _listed_in(file: Path, name: str, value: object) -> tuple[Found, ...]:
    if not isinstance(value, list):
        raise DumpError(f"{file}: `{name}` is not a list")
    return tuple(documents(revived(each) for each in value))


def _body(file: Path) -> bytes:
    if file.stat().st_size > MOST_BYTES:
        raise DumpError(f"is larger than {MOST_BYTES >> 20} MiB; import from the database itself")
    return file.read_bytes()


def _listed() -> str:
    return ", ".join(f"`{each}`" for each in COLLECTIONS)
