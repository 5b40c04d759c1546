"""What the kernel knows of a process with all its children: CPU time and memory; and how to make them rest."""

import os
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

TICKS: Final = os.sysconf("SC_CLK_TCK")
QUIET_S: Final = 0.3
PATIENCE_S: Final = 5.0


def tree(root: int) -> list[int]:
    """The process and everything that it started, the eldest first."""
    parents = {int(each.name): _parent(each) for each in Path("/proc").iterdir() if each.name.isdecimal()}
    found = [root]
    for each in found:
        found += [pid for pid, parent in parents.items() if parent == each]
    return found


def _parent(process: Path) -> int:
    fields = _fields(process)
    return int(fields[1]) if fields else 0


def _fields(process: Path) -> list[str]:
    """The fields of ``/proc/PID/stat`` from the state on; none once the process has gone."""
    try:
        return (process / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def seconds(root: int) -> float:
    """CPU time so far, of user and system, of the tree and of children that have ended and were waited for."""
    return sum(sum(map(int, _fields(Path(f"/proc/{pid}"))[11:15])) for pid in tree(root)) / TICKS


def settled(root: int) -> float:
    """CPU time once the work that a run left behind (audit entries on their way) is done, or patience has ended."""
    until, before = time.monotonic() + PATIENCE_S, seconds(root)
    while time.monotonic() < until:
        time.sleep(QUIET_S)
        now = seconds(root)
        if now - before < QUIET_S * 0.1:
            return now
        before = now
    return before


def resident_mb(root: int) -> float:
    """Resident memory of the tree; pages that its processes share count for each of them."""
    return sum(_resident_kb(pid) for pid in tree(root)) / 1024


def _resident_kb(pid: int) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
    return 0


def pause(root: int) -> None:
    """Stop the tree until ``resume``, so that what is not measured takes nothing from what is."""
    _tell(tree(root), signal.SIGSTOP)


def resume(root: int) -> None:
    _tell(reversed(tree(root)), signal.SIGCONT)


def _tell(pids: Iterable[int], what: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, what)
