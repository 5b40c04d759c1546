"""Starts the servers of this folder for a test, and describes them to the product."""

import contextlib
import random
import socket
import subprocess
import sys
import time
from pathlib import Path

from connectors.base import Sharing, UpstreamSpec

HERE = Path(__file__).parent
RAW = (sys.executable, "-S", str(HERE / "raw.py"))
EVERYTHING = (sys.executable, str(HERE / "everything.py"))
CLIENT = {"name": "ostiary", "version": "test"}
PATHS = {"http": "/mcp", "sse": "/sse"}


def raw(*options, **given):
    """The hand-written server on a pipe."""
    return _spec("stdio", **({"command": (*RAW, *options)} | given))


def piped(era="auto", **given):
    """The server with everything, on a pipe."""
    return _spec("stdio", command=(*EVERYTHING, "--era", era), **given)


@contextlib.contextmanager
def all_served(offers):
    """The server with everything, in one process for all of ``offers``, (transport, era[, "json"]) by name; yields
    the port of each."""
    ports = {}
    while len(ports) < len(offers):
        if (port := free_port()) not in ports.values():
            ports[list(offers)[len(ports)]] = port
    asked = [f"--serve={offer[0]},{ports[name]},{','.join(offer[1:])}" for name, offer in offers.items()]
    with subprocess.Popen((*EVERYTHING, *asked)) as process:
        try:
            until = time.monotonic() + 30
            while not all(answers(port) for port in ports.values()):
                if process.poll() is not None or time.monotonic() > until:
                    raise RuntimeError("the servers do not listen")
                time.sleep(0.02)
            yield ports
        finally:
            process.kill()


def reached(transport, port, **given):
    """How to reach the server that listens there."""
    url = f"http://127.0.0.1:{port}{PATHS[transport]}"
    return _spec(transport, **({"url": url, "private_hosts": (f"127.0.0.1:{port}",)} | given))


def _spec(transport, **given):
    defaults = {"id": "up", "transport": transport, "sharing": Sharing.ALL, "timeout": 20.0}
    return UpstreamSpec(**(defaults | given))


def free_port():
    """A port below 32768 that nobody listens on."""
    while True:
        port = random.randrange(18_000, 32_000)
        if not answers(port):
            return port


def answers(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
