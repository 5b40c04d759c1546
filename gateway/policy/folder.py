"""A ``policies/`` folder on disk to a bundle. The only file of the policy that touches the disk.

Whoever can write the folder decides everything, so a folder that others can write is refused, and so is
a file that lies elsewhere. What is read is what was checked: the open file, not its name.
"""

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from gateway.policy.bundle import Bundle
from gateway.policy.rules import CASES_FOLDER, CASES_SUFFIX, LIMITS_FILE, MODEL_FILE, RULES_SUFFIX, is_case, read
from gateway.policy.terms import Place, Problem

LARGEST: Final = 32 * 1024 * 1024
"""Bytes of one file."""

_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH


class _Unfit(Exception):
    """Why a file or folder is not read, as a sentence."""


def read_folder(path: Path) -> Bundle | list[Problem]:
    """The policy in the folder ``path``, or all that is wrong with it.

    Read are ``model.conf``, ``limits.toml``, ``*.csv`` and ``tests/*.yaml``; left alone are ``*.md`` and hidden files.
    Anything else is a problem, because a rule file with a wrong name would be missed by nobody.
    """
    try:
        _check_mode(path.stat(), "folder")
        names = _names(path)
    except _Unfit as unfit:
        return [Problem(Place(path.name), str(unfit))]
    except OSError as error:
        return [Problem(Place(str(path)), f"the folder cannot be read: {_why(error)}")]
    files: dict[str, str] = {}
    problems: list[Problem] = []
    for name in names:
        shown = f"{path.resolve().name}/{name}"
        try:
            if name == CASES_FOLDER:
                _check_cases(path)
            else:
                files[shown] = _text(path, name)
        except _Unfit as unfit:
            problems.append(Problem(Place(shown), str(unfit)))
        except OSError as error:
            problems.append(Problem(Place(shown), f"the file cannot be read: {_why(error)}"))
    found = read(files)
    if isinstance(found, list) or problems:
        return problems + (found if isinstance(found, list) else [])
    return found


def fingerprint(path: Path) -> str:
    """A text that changes when a file of the folder is changed, added or removed; ``""`` while it cannot be read."""
    try:
        return hashlib.sha256("\n".join(_marks(path)).encode()).hexdigest()
    except OSError:
        return ""


def _marks(path: Path) -> Iterator[str]:
    for name in _names(path):
        found = (path / name).stat()
        yield f"{name}\0{found.st_mtime_ns}\0{found.st_size}\0{found.st_ino}\0{found.st_mode}"


def _names(path: Path) -> list[str]:
    """What of a folder is not left alone, with what is in ``tests/``."""
    names = sorted(entry.name for entry in os.scandir(path) if not _ignored(entry.name))
    cases = path / CASES_FOLDER
    if CASES_FOLDER in names and cases.is_dir() and not cases.is_symlink():
        names += sorted(f"{CASES_FOLDER}/{entry.name}" for entry in os.scandir(cases) if not _ignored(entry.name))
    return names


def _ignored(name: str) -> bool:
    return name.startswith(".") or name.endswith((".md", "~"))


def _check_cases(path: Path) -> None:
    cases = path / CASES_FOLDER
    if cases.is_symlink() or not cases.is_dir():
        raise _Unfit("this is not a folder; the policy's own tests stand in it")
    _check_mode(cases.stat(), "folder")


def _check_name(name: str) -> None:
    if name.startswith(f"{CASES_FOLDER}/"):
        if not is_case(name):
            raise _Unfit(f"this is none of the policy's own tests; they are `{CASES_FOLDER}/*{CASES_SUFFIX}`")
    elif name not in (MODEL_FILE, LIMITS_FILE) and not name.endswith(RULES_SUFFIX):
        known = f"`{MODEL_FILE}`, `{LIMITS_FILE}`, `*.csv`, `*.md` and `{CASES_FOLDER}/`"
        raise _Unfit(f"a policy has no such file; it has {known}")


def _text(folder: Path, name: str) -> str:
    _check_name(name)
    target = (folder / name).resolve(strict=True)
    if not target.is_relative_to(folder.resolve()):
        raise _Unfit("this is a link out of the folder; put the file itself here")
    # the path is resolved, so a link in its last place was put there since; a pipe must not be waited for
    descriptor = os.open(target, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise _Unfit("this is not a plain file")
        _check_mode(found, "file")
        body = file.read(LARGEST + 1)
    if len(body) > LARGEST:
        raise _Unfit(f"the file is larger than {LARGEST} bytes")
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _Unfit(f"the file is not UTF-8: see byte {error.start + 1}") from error


def _check_mode(found: os.stat_result, what: str) -> None:
    if found.st_mode & _OTHERS_WRITE:
        raise _Unfit(f"others can write this {what} and so decide everything; run `chmod go-w` on it")


def _why(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()
