"""The documents as data: their blocks, tables and paths. And a terminal that runs what they tell people to type."""

import os
import queue
import re
import secrets
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
GUIDES = sorted((ROOT / "docs" / "policy").glob("*.md"))
CONNECT = sorted((ROOT / "docs" / "connect").glob("*.md"))
NARRATED = [
    *PAGES,
    *GUIDES,
    *CONNECT,
    ROOT / "DESIGN.md",
    ROOT / "SECURITY.md",
    ROOT / "CHANGELOG.md",
    ROOT / "policies" / "README.md",
]
CURL = ROOT / "tests" / "clients" / "curl.py"

ANYTHING = "…"
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Block:
    page: str
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}: {next(iter(self.text.splitlines()), '')[:40]}"


@dataclass(frozen=True)
class Table:
    heading: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def by(self, column: str) -> dict[str, dict[str, str]]:
        """The rows by the text of one column, without its backticks."""
        rows = [dict(zip(self.columns, row, strict=True)) for row in self.rows]
        found = {row[column].strip("`"): row for row in rows}
        assert len(found) == len(rows), f"{self.heading}: a row comes twice"
        return found


def blocks(page: Path) -> list[Block]:
    return [Block(page.name, found[1], found[2]) for found in _BLOCK.finditer(page.read_text())]


def all_blocks(language: str) -> list[Block]:
    pages = PAGES if language == "text" else [*PAGES, *GUIDES]
    return [block for page in pages for block in blocks(page) if block.language == language]


def table(page: str, heading: str, nth: int = 0) -> Table:
    """The nth table below a heading of a page in ``docs/``."""
    return [each for each in tables(ROOT / "docs" / page) if each.heading == heading][nth]


def tables(page: Path) -> Iterator[Table]:
    heading, lines = "", []
    for line in [*_BLOCK.sub("", page.read_text()).splitlines(), ""]:
        if line.startswith("|"):
            lines.append(tuple(cell.strip() for cell in line.strip().strip("|").split("|")))
            continue
        if lines:
            columns, _, *rows = lines
            assert all(len(row) == len(columns) for row in rows), f"{page.name}: {heading}: a table is not even"
            yield Table(heading, columns, tuple(rows))
            lines = []
        if line.startswith("#"):
            heading = line.lstrip("#").strip()


def written(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table in Markdown."""
    head = tuple(columns)
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|", *(f"| {' | '.join(row)} |" for row in rows)]
    return "\n".join(lines) + "\n"


def placed(page: str, mark: str, text: str) -> str:
    """``page`` with ``text`` between ``<!-- mark -->`` and ``<!-- /mark -->``. Raises ``ValueError`` without them."""
    begin, end = f"<!-- {mark} -->\n", f"<!-- /{mark} -->\n"
    before, rest = page.split(begin)
    _, after = rest.split(end)
    return f"{before}{begin}\n{text}\n{end}{after}"


def missing_part(expected: str, told: str) -> str:
    """The first part of ``expected`` that does not come in ``told``, in order; ``…`` and line ends stand for anything."""
    at = 0
    for part in (part.strip() for line in expected.splitlines() for part in line.split(ANYTHING)):
        if (found := told.find(part, at)) < 0:
            return part
        at = found + len(part)
    return ""


def commands(block: Block) -> list[tuple[str, str]]:
    """Every command of a console block with what it should print."""
    return [
        (command, expected)
        for command, _, expected in (
            part.partition("\n") for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]
        )
    ]


def write_settings(root: Path, name: str, text: str) -> None:
    """One file of ``config/`` below ``root``, with a policy folder beside it."""
    for each in ("config", "policies"):
        (root / each).mkdir(exist_ok=True)
    (root / "config" / f"{name}.toml").write_text(text)


class Terminal:
    """A shell in a folder, which keeps its variables and functions from one command to the next."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        if shutil.which("curl") is None:
            (folder / "bin").mkdir(exist_ok=True)
            (folder / "bin" / "curl").write_text(f'#!/bin/sh\nexec "{sys.executable}" "{CURL}" "$@"\n')
            (folder / "bin" / "curl").chmod(0o700)
            environment = {**environment, "PATH": f"{folder / 'bin'}{os.pathsep}{environment['PATH']}"}
        self._bash = subprocess.Popen(
            ["bash", "--norc", "--noprofile"],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._bash.stdout is not None
        for line in self._bash.stdout:
            self._lines.put(line)

    def run(self, command: str, within: float = 20.0) -> tuple[str, int]:
        """What a command printed, and its exit status."""
        assert self._bash.stdin is not None
        mark, deadline = secrets.token_hex(8), time.monotonic() + within
        self._bash.stdin.write(f"{{ {command}\n}} </dev/null\nprintf '\\n%s %s\\n' {mark} $?\n")
        self._bash.stdin.flush()
        told = ""
        while not (line := self._lines.get(timeout=max(0.1, deadline - time.monotonic()))).startswith(mark):
            told += line
        return told, int(line.split()[1])

    def close(self) -> None:
        assert self._bash.stdin is not None
        self._bash.stdin.close()
        self._bash.wait(20)
        assert self._bash.stdout is not None
        self._bash.stdout.close()
