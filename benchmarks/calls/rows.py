"""What is measured: which gateways are started, and which rows are calls to which of them."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.calls import ours
from benchmarks.calls.asked import call
from benchmarks.calls.ours import Site
from benchmarks.calls.peers import PEERS, Peer, listens
from benchmarks.calls.started import ROOT, Started, free_port, start

MANY: Final = 32
"""Connections of a row, unless it is about one; ContextForge answers too few calls to fill them."""
FEW: Final = 8
ONE: Final = 1
LARGE, SMALL = 100_000, 10


@dataclass(frozen=True, slots=True)
class Row:
    """A load on the process ``of`` that name, by its request of the name ``asks``."""

    name: str
    of: str
    asks: str
    connections: int = MANY


@dataclass(frozen=True, slots=True)
class Subject:
    """A process that is measured; ``begin`` starts it in a folder."""

    name: str
    begin: Callable[[Path], Started]


def named(row: str, server: str) -> str:
    """The name of a row under a server: that of the default one goes without saying."""
    return row if server == "hypercorn" else f"{row}, {server}"


def of_ours(upstream: int, *, large: bool = True) -> tuple[list[Subject], list[Row]]:
    subjects, rows = [], []
    for server in ours.servers():
        more = _under(server, upstream)
        subjects += more[0]
        rows += more[1]
    sites = [
        Site("1,000 tools", tools=1_000, hidden=250),
        Site("100 tools", tools=100, hidden=25),
        Site("10 and 10", rules=SMALL, others=SMALL),
        *([Site("100,000 and 100,000", rules=LARGE, others=LARGE)] if large else []),
        Site("two processes", workers=2),
    ]
    subjects += [_site(site) for site in sites]
    subjects.append(Subject("forwarder", lambda folder: forwarder(folder, upstream)))
    rows += [
        Row("list 1,000", "1,000 tools", "list"),
        Row("list 100", "100 tools", "list"),
        Row("10 and 10", "10 and 10", "in process"),
        *([Row("100,000 and 100,000", "100,000 and 100,000", "in process")] if large else []),
        Row("two processes", "two processes", "in process"),
        Row("hop at one", "ours", "upstream", ONE),
        Row("forwarder at one", "forwarder", "call", ONE),
    ]
    return subjects, rows


def _under(server: str, upstream: int) -> tuple[list[Subject], list[Row]]:
    """What is measured under every server."""
    on, off = named("ours", server), named("ungoverned", server)
    sites = [
        Site(on, upstream=upstream, server=server),
        Site(off, upstream=upstream, server=server, governed=False),
        Site(named("stdio", server), upstream=0, server=server),
    ]
    rows = [
        Row(named("in process", server), on, "in process"),
        Row(named("upstream", server), on, "upstream"),
        Row(named("stdio", server), named("stdio", server), "upstream"),
        Row(named("denied", server), on, "denied"),
        Row(named("in process, off", server), off, "in process"),
        Row(named("upstream, off", server), off, "upstream"),
    ]
    return [_site(site) for site in sites], rows


def _site(site: Site) -> Subject:
    return Subject(site.name, lambda folder: ours.begin(site, folder))


def of_peers(upstream: int) -> tuple[list[Subject], list[Row], list[str]]:
    """And the names of those that are not installed."""
    there = [peer for peer in PEERS if peer.there.exists()]
    subjects = [_peer(peer, upstream) for peer in there]
    rows = [Row(peer.name, peer.name, "call", FEW if peer.name == "ContextForge" else MANY) for peer in there]
    return subjects, rows, [peer.name for peer in PEERS if peer not in there]


def _peer(peer: Peer, upstream: int) -> Subject:
    return Subject(peer.name, lambda folder: peer.begin(folder, upstream))


def forwarder(folder: Path, upstream: int) -> Started:
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.calls.forwarder", str(port), f"http://127.0.0.1:{upstream}/mcp"]
    started = start("forwarder", command, folder, ready=listens(port), more={"PYTHONPATH": str(ROOT)})
    started.requests["call"] = call(port, "echo", {})
    return started
