"""A real MongoDB-speaking server for tests: pinned SecantusDB as a child process, never in ours.

Import the fixture into a conftest: ``from tests.secantus import secantus  # noqa: F401``. It starts one server for
the whole run, however many conftests import it, and a missing or other version fails the run: nothing skips.
"""

import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import pytest

PINNED = "0.7.0b3"
START_WITHIN = 60.0  # seconds, on a loaded machine
RUN = "import sys; from secantus.cli import main; sys.exit(main())"


class Secantus:
    """One server with a private folder of its own; it keeps its data over ``kill`` and ``start``."""

    def __init__(self) -> None:
        assert version("secantusdb") == PINNED, f"the tests are pinned to secantusdb {PINNED}"
        self._folder = tempfile.TemporaryDirectory(prefix="ostiary-mongo-")  # made 0700
        self._path = Path(self._folder.name)
        (self._path / "secantusd.toml").touch()  # an own, empty one: no other is looked for
        self._port = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def uri(self) -> str:
        return f"mongodb://127.0.0.1:{self._port}/?journal=true&w=majority"

    def start(self) -> None:
        """Come up on the port used before, or on a free one; returns when it answers."""
        until = time.monotonic() + START_WITHIN
        while not self._started(until):
            assert time.monotonic() < until, f"secantusd-py did not start:\n{self._log()}"

    def kill(self) -> None:
        """End it as a power cut would end the process."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGKILL)  # the data go with it: nothing is worth a slow farewell
        self._folder.cleanup()

    def _started(self, until: float) -> bool:
        self._port = self._port or free_port()
        storage, settings = self._path / "data", self._path / "secantusd.toml"
        with (self._path / "log").open("ab") as log:
            place = ["--host", "127.0.0.1", "--port", str(self._port), "--storage-path", str(storage)]
            self._process = subprocess.Popen(
                [sys.executable, "-c", RUN, *place, "--config", str(settings), "--cache-size", "128M"],
                cwd=self._path,
                env={"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self._path)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                umask=0o077,
            )
        while time.monotonic() < until and self._process.poll() is None:
            if _answers(self._port):
                return True
            time.sleep(0.02)
        self._end(signal.SIGKILL)
        self._port = 0  # somebody else may have taken it
        return False

    def _end(self, number: int) -> None:
        process, self._process = self._process, None
        if process is not None:
            if process.poll() is None:
                process.send_signal(number)
            process.wait(30)

    def _log(self) -> str:
        return (self._path / "log").read_text(errors="replace")[-4_000:]


def free_port() -> int:
    """A port below the range that the system gives to others."""
    while True:
        port = 18_000 + secrets.randbelow(14_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


_SHARED = pytest.StashKey[Secantus]()


@pytest.fixture(scope="session")
def secantus(request: pytest.FixtureRequest) -> str:
    """The URI of the run's MongoDB server. Take a database name of your own for each test."""
    stash = request.config.stash
    if _SHARED not in stash:
        server = Secantus()
        request.config.add_cleanup(server.stop)
        server.start()
        stash[_SHARED] = server
    return f"{stash[_SHARED].uri}&timeoutMS=20000"  # patience for a loaded machine
