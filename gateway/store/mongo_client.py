"""The connection to MongoDB: safe options where the URI is silent, and errors without its text.

This file knows no collection. The URI holds a password: it is never logged, printed or chained into an error.
"""

import asyncio
import logging
import re
import warnings
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import pymongo
from bson.errors import BSONError
from pymongo import AsyncMongoClient, ReadPreference
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import ConfigurationError, OperationFailure, PyMongoError
from pymongo.read_concern import ReadConcern

from gateway.store.base import Unavailable

T = TypeVar("T")
Document = dict[str, Any]
Client = AsyncMongoClient[Document]
Database = AsyncDatabase[Document]
Collection = AsyncCollection[Document]

WRITE_WITHIN = 15.0  # seconds until a write is given up at the latest; sooner when the URI says so

LOG = logging.getLogger(__name__)

_DEFAULTS: dict[str, Any] = {
    "w": "majority",
    "journal": True,
    "retryWrites": True,
    "serverSelectionTimeoutMS": 4_000,
    "connectTimeoutMS": 4_000,
    "timeoutMS": 5_000,
    "maxPoolSize": 20,
    "appname": "ostiary",
}
_LOOPBACK = re.compile(r"(localhost|127(\.\d+){3}|\[::1\]|[^,]*%2[fF][^,]*)(:\d+)?")


def connect(uri: str) -> Client:
    """A client that has sent nothing yet. ``ValueError`` when the URI cannot be used or asks for less than durable."""
    logging.getLogger("pymongo").setLevel(logging.WARNING)  # below, the driver logs whole commands, and what they hold
    given = _options(uri)
    defaults = {name: value for name, value in _DEFAULTS.items() if name.lower() not in given}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)  # the driver would only warn and go on without the option
            client: Client = AsyncMongoClient(uri, tz_aware=True, uuidRepresentation="standard", **defaults)
    except (ConfigurationError, ValueError, TypeError, UserWarning) as error:
        raise ValueError(f"the MongoDB URI cannot be used ({type(error).__name__}): check form and options") from None
    asked = client.write_concern.document
    if (asked.get("w"), asked.get("j")) != ("majority", True):
        raise ValueError(
            "the MongoDB URI asks for weaker writes than `w=majority&journal=true`: take these options out"
        )
    return client


def weaknesses(uri: str) -> list[str]:
    """What an operator should be told about the URI at start, without its text."""
    scheme, _, rest = uri.partition("://")
    user, _, hosts = re.split(r"[/?]", rest, maxsplit=1)[0].rpartition("@")
    if scheme.lower() == "mongodb" and all(_LOOPBACK.fullmatch(host) for host in hosts.split(",")):
        return []
    given = _options(uri)
    secure = given.get("tls", given.get("ssl", "true" if scheme.lower() == "mongodb+srv" else "false"))
    certified = given.get("authmechanism", "").upper() in ("MONGODB-X509", "MONGODB-AWS", "MONGODB-OIDC")
    found = []
    if secure.lower() != "true":
        found.append("the connection to MongoDB is not encrypted: add `tls=true` to the URI")
    if not user and not certified:
        found.append("the connection to MongoDB has no credentials: give the database a user and put it in the URI")
    return found


@contextmanager
def answering() -> Iterator[None]:
    """Inside, a database error is ``Unavailable`` and a value that BSON cannot hold is ``ValueError``."""
    try:
        yield
    except PyMongoError as error:
        code = f" {error.code}" if isinstance(error, OperationFailure) and error.code else ""
        raise Unavailable(f"the database did not answer as it should ({type(error).__name__}{code})") from None
    except OverflowError:
        raise ValueError("a number is too large: keep it within 64 bits") from None
    except BSONError as error:
        raise ValueError(f"the database cannot hold this value ({type(error).__name__})") from None


class Wire:
    """The open client of one database, for all that speak to it."""

    def __init__(self, uri: str, database: str) -> None:
        self._uri = uri
        self._name = database
        self._client: Client | None = None
        self._writing: set[asyncio.Task[Any]] = set()
        self._write_within = WRITE_WITHIN

    def open(self) -> bool:
        """Make the client; false when it is there already."""
        if self._client is not None:
            return False
        self._client = connect(self._uri)
        self._write_within = min(self._client.options.timeout or WRITE_WITHIN, WRITE_WITHIN)
        for weakness in weaknesses(self._uri):
            LOG.warning(weakness)
        return True

    async def close(self) -> None:
        """Let running writes end, then close the client."""
        while self._writing:
            await asyncio.wait(self._writing)
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    @property
    def database(self) -> Database:
        """Read from the primary and only what a majority holds: a rolled-back policy must never bind."""
        if self._client is None:
            raise Unavailable("the store is not open")
        majority = ReadConcern("majority")
        return self._client.get_database(self._name, read_preference=ReadPreference.PRIMARY, read_concern=majority)

    def collection(self, name: str) -> Collection:
        return self.database[name]

    async def write(self, work: Callable[[], Awaitable[T]]) -> T:
        """What the work returns, within ``WRITE_WITHIN``. It runs to its end even when the caller is cancelled:
        a cut connection would leave the outcome open.
        """
        task = asyncio.ensure_future(self._in_time(work))
        self._writing.add(task)
        task.add_done_callback(self._ended)
        return await asyncio.shield(task)

    async def _in_time(self, work: Callable[[], Awaitable[T]]) -> T:
        with answering(), pymongo.timeout(self._write_within):
            return await work()

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._writing.discard(task)
        if not task.cancelled():
            task.exception()  # tells asyncio that somebody looked, even when the caller is gone


def _options(uri: str) -> dict[str, str]:
    """The options that the URI gives, by lower-case name."""
    query = parse_qsl(uri.partition("?")[2], keep_blank_values=True)
    return {name.lower(): value for name, value in query}
