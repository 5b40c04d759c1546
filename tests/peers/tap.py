"""A tap on the wire: passes bytes on, both ways, and tells which protocol revision was spoken last."""

import re
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

HEADER = re.compile(rb"\r\nmcp-protocol-version: *([0-9-]+)", re.IGNORECASE)
AGREED = re.compile(rb'"protocolVersion": ?"([0-9-]+)"')


class Tap(socketserver.ThreadingTCPServer):
    """Listens on ``port`` of this machine for what goes to the server on ``behind``."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, port: int, behind: int) -> None:
        super().__init__(("127.0.0.1", port), _Passing)
        self.url = f"http://127.0.0.1:{port}"
        self.behind = behind
        self.asked: list[bytearray] = []
        self.answered: list[bytearray] = []

    def forget(self) -> None:
        """From here on, something new is told."""
        self.asked, self.answered = [], []

    @property
    def revision(self) -> str:
        """What the last request's header said; where requests have none, what the handshake agreed on."""
        said = [found for each in self.asked for found in HEADER.findall(each)]
        said = said or [found for each in self.answered for found in AGREED.findall(each)]
        return said[-1].decode() if said else ""


class _Passing(socketserver.BaseRequestHandler):
    server: Tap

    def handle(self) -> None:
        asked, answered = bytearray(), bytearray()
        self.server.asked.append(asked)
        self.server.answered.append(answered)
        with socket.create_connection(("127.0.0.1", self.server.behind)) as behind:
            back = threading.Thread(target=_pass_on, args=(behind, self.request, answered), daemon=True)
            back.start()
            _pass_on(self.request, behind, asked)
            back.join()


def _pass_on(source: socket.socket, target: socket.socket, kept: bytearray) -> None:
    """Until one of the two ends."""
    with suppress(OSError):  # whoever went away, the other one is told below
        while data := source.recv(65_536):
            kept += data
            target.sendall(data)
    for each in (source, target):
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


@contextmanager
def tapped(port: int, behind: int) -> Iterator[Tap]:
    """A running tap."""
    with Tap(port, behind) as tap:
        thread = threading.Thread(target=tap.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield tap
        finally:
            tap.shutdown()
            thread.join(10)
