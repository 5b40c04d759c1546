"""Which git commit a folder shows. Asks ``git``, when there is one; knows no policy and no store.

No call of a client comes here: only the command line and, in development, the folder that is watched.
"""

import asyncio
import os
from pathlib import Path
from typing import Final

PATIENCE_S: Final = 10.0
DIRTY: Final = "-dirty"

_QUIET: Final = ("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null")
"""Programs that a repository's own settings name are not started."""


async def commit_of(folder: Path) -> str:
    """The commit of the work tree that ``folder`` stands in, with ``-dirty`` behind it when the folder differs from it.

    ``""`` where there is none, and where git is absent, refuses or takes longer than ``PATIENCE_S``.
    """
    try:
        async with asyncio.timeout(PATIENCE_S):
            commit = await _git(folder, "rev-parse", "--verify", "HEAD")
            changed = await _git(folder, "status", "--porcelain", "--untracked-files=all", "--", ".") if commit else ""
    except (OSError, TimeoutError):
        return ""
    return "" if changed is None or not commit else commit.strip() + (DIRTY if changed else "")


async def _git(folder: Path, *words: str) -> str | None:
    """What git prints, ``None`` when it fails."""
    process = await asyncio.create_subprocess_exec(
        *("git", *_QUIET, "-C", str(folder), *words),
        env={name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        | {"GIT_OPTIONAL_LOCKS": "0"},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        told, _ = await process.communicate()
    except asyncio.CancelledError:
        process.kill()
        await process.wait()
        raise
    return told.decode("utf-8", "replace") if process.returncode == 0 else None
