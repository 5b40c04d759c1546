"""A child process that writes to a SQLite store and says what was acknowledged: ``python writing.py FILE MODE``."""

import asyncio
import contextlib
import hashlib
import os
import resource
import sys
from pathlib import Path

from gateway.audit import AuditEntry
from gateway.records import PolicyHead, User
from gateway.store.base import Unavailable
from gateway.store.sqlite import SqliteStore


def say(*words: object) -> None:
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


async def forever(store: SqliteStore) -> None:
    """Write until killed: users, audit entries and policy versions, many at once."""

    async def users(task: int) -> None:
        number = 0
        while True:
            number += 1
            await store.users.add(User(id=f"{os.getpid()}-{task}-{number}"))
            say("user", f"{os.getpid()}-{task}-{number}")
            await store.audit.append([AuditEntry(id=f"{os.getpid()}-{task}-{number}", at=number)])
            say("entry", f"{os.getpid()}-{task}-{number}")

    async def policies() -> None:
        while True:
            version = (await store.heads()).policy + 1
            body = f"{os.getpid()}:{version}".encode() * 20_000
            bundle = hashlib.sha256(body).hexdigest()
            await store.bundles.put(bundle, body)
            await store.bundles.move_head(version - 1, PolicyHead(version=version, bundle=bundle, author="a", at=0))
            say("head", version)

    await asyncio.gather(policies(), *(users(task) for task in range(10)))


async def some(store: SqliteStore) -> None:
    await asyncio.gather(*(store.users.add(User(id=f"{os.getpid()}-{number}")) for number in range(20)))


async def full_disk(store: SqliteStore) -> None:
    """Write into a file system that takes no more, then into one that does again."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, resource.RLIM_INFINITY))
    kept = 0
    with contextlib.suppress(Unavailable):
        while True:
            await store.users.add(User(id=str(kept), name="x" * 50_000))
            kept += 1
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    await store.users.add(User(id="after"))
    say(kept, len(await store.users.page(limit=1_000)), (await store.heads()).changes)


async def main() -> None:
    store = SqliteStore(Path(sys.argv[1]))
    await store.open()
    await {"forever": forever, "some": some, "full_disk": full_disk}[sys.argv[2]](store)
    await store.close()


if __name__ == "__main__":
    asyncio.run(main())
