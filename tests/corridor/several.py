"""Several workers, and several nodes behind a proxy that sends each connection to the next of them."""

import secrets
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.corridor.house import House, connects, free_port, running, until, write

PRODUCTION = """\
[server]
mode = "production"
public_url = "https://mcp.example.com"
allowed_hosts = [{hosts}]
secret = [{{ id = "one", env = "OSTIARY_SECRET" }}]
"""


def several(folder: Path, *, workers: int = 2, **pages: str) -> House:
    """A gateway of several workers over one embedded store, laid out and not yet started."""
    house = House(folder, free_port(), str(folder / "var" / "ostiary.db"), workers=workers)
    house.extra = {"OSTIARY_SECRET": secrets.token_hex(32)}
    write(folder, **pages, settings=PRODUCTION.format(hosts=f'"127.0.0.1:{house.port}"'))
    house.cli("policy", "apply", str(folder / "policies"), "--why", "test")
    return house


@dataclass
class Nodes(House):
    """Several gateways on one store. ``port`` is that of a proxy before them, which knows nothing of sessions."""

    nodes: list[House] = field(default_factory=list)

    def start(self) -> None:
        for node in self.nodes:
            node.start()

    def stop(self) -> int:
        return max(node.stop() for node in self.nodes)


@contextmanager
def nodes(folder: Path, *, count: int = 2, workers: int = 1, **pages: str) -> Iterator[Nodes]:
    """So many nodes that run, and the proxy before them. Requests go over connections of their own."""
    front = several(folder, **pages)
    with ExitStack() as opened:
        found: list[House] = []
        for _ in range(count):
            node = House(folder, free_port(), front.store, workers=workers)
            node.extra = {**front.extra, "OSTIARY_NODE_BIND": f"127.0.0.1:{free_port()}"}
            found.append(opened.enter_context(running(node)))
        opened.enter_context(round_robin(front.port, [each.port for each in found]))
        joint = Nodes(folder, front.port, front.store, extra=front.extra, nodes=found, workers=count * workers)
        joint.process = found[0].process
        yield joint


@contextmanager
def round_robin(port: int, behind: Sequence[int]) -> Iterator[None]:
    """A proxy on ``port`` that joins each connection to the next of ``behind``."""
    words = (str(Path(__file__).with_name("round_robin.py")), str(port), *map(str, behind))
    with subprocess.Popen([sys.executable, *words], stderr=subprocess.DEVNULL) as child:
        try:
            until(lambda: child.poll() is None and connects("127.0.0.1", port))
            yield
        finally:
            child.terminate()


ONE, WORKERS, NODES = "one", "workers", "nodes"
STANDING = (ONE, WORKERS, NODES)
"""One process, two workers, or two nodes behind a proxy."""


@contextmanager
def standing(how: str, folder: Path, **pages: str) -> Iterator[House]:
    """A gateway that runs, as ``how`` of ``STANDING`` says."""
    with ExitStack() as opened:
        if how == NODES:
            yield opened.enter_context(nodes(folder, **pages))
        elif how == WORKERS:
            yield opened.enter_context(running(several(folder, **pages)))
        else:
            house = House(folder, free_port(), str(folder / "var" / "ostiary.db"))
            write(folder, **pages, settings="[server]\n")
            yield opened.enter_context(running(house))


def workers_of(house: House) -> list[int]:
    """The process ids of the workers of one gateway."""
    assert house.process is not None
    tasks = Path(f"/proc/{house.process.pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]
