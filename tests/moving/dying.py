"""Copies one file to another and is killed at its ``nth`` write: ``python dying.py FROM TO NTH``."""

import asyncio
import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path.cwd()))

from gateway.moving.copying import copy
from gateway.store.sqlite import SqliteStore


async def main() -> None:
    source, target = SqliteStore(Path(sys.argv[1])), SqliteStore(Path(sys.argv[2]), filling=True)
    await source.open()
    await target.open()
    left = int(sys.argv[3])
    load = target.contents.load

    async def dying(*words) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        await load(*words)

    target.contents.load = dying
    await copy(source.contents, target.contents, lambda done, step: None)


if __name__ == "__main__":
    asyncio.run(main())
