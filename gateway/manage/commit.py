"""Which git commit a folder shows. Asks ``git``, when there is one; knows no policy and no store.

Git is only asked what it has on record: ``git status`` would start programs that the repository itself names
(filters, monitors), and a folder may come from somebody else. No call of a client comes here: only the command line
and, in development, the folder that is watched.
"""

import asyncio
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

PATIENCE_S: Final = 2.0
DIRTY: Final = "-dirty"

_QUIET: Final = ("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null")


async def commit_of(folder: Path) -> str:
    """The commit of the work tree that ``folder`` stands in, with ``-dirty`` behind it when the folder differs from it.

    ``""`` where there is none, and where git is absent, refuses or takes longer than ``PATIENCE_S``.
    """
    try:
        async with asyncio.timeout(PATIENCE_S):
            commit = await _git(folder, "rev-parse", "--verify", "HEAD")
            listed = await _git(folder, "ls-tree", "-r", "-z", "HEAD", "--", ".") if commit else None
            if commit is None or listed is None:
                return ""
            differs = await asyncio.to_thread(_differs, folder, listed)
    except (OSError, TimeoutError):
        return ""
    return commit.strip() + (DIRTY if differs else "")


def _differs(folder: Path, listed: str) -> bool:
    """Whether the files of ``folder`` are others than those that git lists, byte by byte."""
    entries = (line.partition("\t") for line in listed.split("\0") if line)
    recorded = {path: head.split()[2] for head, _, path in entries if not _ignored(path)}
    present = {path.relative_to(folder).as_posix(): path for path in _files(folder)}
    return recorded.keys() != present.keys() or any(
        _blob(present[path].read_bytes(), name) != name for path, name in recorded.items()
    )


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file() and not _ignored(path.relative_to(folder).as_posix()))


def _ignored(path: str) -> bool:
    """Whether it is none of a policy's files: hidden, or an editor's copy."""
    return path.endswith("~") or any(part.startswith(".") for part in path.split("/"))


def _blob(body: bytes, like: str) -> str:
    """The name that git gives to a file's content, by the hash that ``like`` was made with."""
    made = hashlib.sha256() if len(like) == 64 else hashlib.sha1(usedforsecurity=False)
    made.update(b"blob %d\0" % len(body) + body)
    return made.hexdigest()


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
    return told.decode("utf-8", "surrogateescape") if process.returncode == 0 else None
