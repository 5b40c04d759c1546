"""The threads in which SQLite works: one that writes, a few that read.

What belongs here is who runs what when; this file knows no table. Many waiting writes become one
transaction (one fsync), each with its own outcome.
"""

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar, cast

from gateway.store.base import Conflict, NotFound, Unavailable
from gateway.store.sqlite_file import connect, unavailable

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]
Item = tuple[Callable[[sqlite3.Connection], Any], Future[Any]]

BATCH = 256
READERS = 2

_NOT_OPEN = "the store is not open"
_REFUSALS = (Conflict, NotFound, ValueError, OverflowError)  # the outcome of one write, not of its neighbours


class Writer:
    """The one thread that writes. ``write`` returns when the work is on the disk; a caller that gives up
    waiting neither stops nor harms the work.
    """

    def __init__(self, path: Path) -> None:
        self._connection = connect(path)
        self._waiting: queue.SimpleQueue[Item | None] = queue.SimpleQueue()
        self._closing = threading.Lock()
        self._open = True
        self._thread = threading.Thread(target=self._run, name="ostiary-writer", daemon=True)
        self._thread.start()

    async def write(self, work: Work[T]) -> T:
        """What the work returns, or raises when that is a refusal; ``Unavailable`` when nothing was written."""
        outcome: Future[T] = Future()
        with self._closing:
            if not self._open:
                raise Unavailable(_NOT_OPEN)
            self._waiting.put((work, outcome))
        return await asyncio.wrap_future(outcome)

    def close(self) -> None:
        """Finish what waits, then end."""
        self._refuse_more()
        self._waiting.put(None)
        self._thread.join()
        self._connection.close()

    def _refuse_more(self) -> None:
        with self._closing:
            self._open = False

    def _run(self) -> None:
        batch: list[Item] = []
        try:
            while batch := self._take():
                outcomes = self._commit([work for work, _ in batch])
                for (_, future), (value, error) in zip(batch, outcomes, strict=True):
                    _tell(future, value, error)
        finally:
            self._abandon(batch)

    def _take(self) -> list[Item]:
        """What waits, at least one; nothing at the end."""
        batch: list[Item] = []
        while len(batch) < BATCH:
            try:
                item = self._waiting.get(block=not batch)
            except queue.Empty:
                break
            if item is None:
                self._waiting.put(None)
                break
            if item[1].set_running_or_notify_cancel():
                batch.append(item)
        return batch

    def _abandon(self, batch: list[Item]) -> None:
        """Nobody may wait for a thread that is gone. After an orderly end there is nothing to abandon."""
        self._refuse_more()
        self._waiting.put(None)
        while (item := self._waiting.get()) is not None:
            if item[1].set_running_or_notify_cancel():
                batch.append(item)
        for _, future in batch:
            _tell(future, None, Unavailable("the store stopped writing: restart the program"))

    def _commit(self, works: list[Work[Any]]) -> list[tuple[Any, Exception | None]]:
        """One transaction; one (value, refusal) for each work."""
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            outcomes = [self._apply(work) for work in works]
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            return [(None, unavailable(error))] * len(works)
        finally:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        return outcomes

    def _apply(self, work: Work[Any]) -> tuple[Any, Exception | None]:
        self._connection.execute("SAVEPOINT one")
        try:
            value, refusal = work(self._connection), None
        except _REFUSALS as error:
            self._connection.execute("ROLLBACK TO one")
            value, refusal = None, error
        self._connection.execute("RELEASE one")
        return value, refusal


def _tell(future: Future[Any], value: Any, error: Exception | None) -> None:
    if error is None:
        future.set_result(value)
    else:
        future.set_exception(error)


class Readers:
    """A few threads that read, each with its own connection; every read sees what was committed before it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._own = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._threads = ThreadPoolExecutor(READERS, thread_name_prefix="ostiary-reader")

    async def read(self, work: Work[T]) -> T:
        """What the work returns, all of it seen in one transaction."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._in_transaction, work)

    def _in_transaction(self, work: Work[T]) -> T:
        try:
            connection = self._connection()
            connection.execute("BEGIN")
            try:
                return work(connection)
            finally:
                connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise unavailable(error) from None

    def _connection(self) -> sqlite3.Connection:
        """The calling thread's connection, opened at its first read."""
        if not hasattr(self._own, "connection"):
            connection = connect(self._path)
            connection.execute("PRAGMA query_only = ON")
            self._connections.append(connection)
            self._own.connection = connection
        return cast("sqlite3.Connection", self._own.connection)

    def close(self) -> None:
        self._threads.shutdown(wait=True)
        for connection in self._connections:
            connection.close()


class Threads:
    """Writer and readers of one file."""

    def __init__(self, path: Path) -> None:
        self._writer = Writer(path)
        self._readers = Readers(path)
        self.write = self._writer.write
        self.read = self._readers.read

    def close(self) -> None:
        self._readers.close()
        self._writer.close()
