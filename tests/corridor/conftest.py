"""The gateways that whole-request tests talk to: one per store, with every kind of upstream behind it."""

import secrets
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.corridor.house import EVERYTHING, House, free_port, running, until, write
from tests.secantus import secantus  # noqa: F401

POLICY = """\
p, role:user, *, self, demo/*, write, , allow
p, role:user, *, self, web/*, read, , allow
p, role:user, *, self, old/*, read, , allow
# @id no-forbidden-words
p, *, *, *, demo/echo, read, args.text == 'forbidden', deny
p, role:half, *, self, demo/echo, read, args.text == 'only this', allow
p, role:auditor, *, self, demo/*, read, , allow
p, role:auditor, main, system, gateway/policy, inspect, , allow
p, role:security, main, system, gateway/policy, manage, , allow
p, role:fast, *, self, *, rate:fast, , allow
# @id nothing-destructive
p, *, *, *, *, write, tool.destructive, deny
"""
LIMITS = """\
[[class]]
name = "fast"
calls = 1000000
window_s = 60

[[class]]
name = "default"
calls = 100
window_s = 60
"""

TOOLS = """
"*" = "read"
grow = "write"
touch = "write"
wait = "write"
destroy = "destructive"
"""

UPSTREAMS = """\
[upstreams.demo]
command = ["{python}", "{everything}", "--transport", "stdio"]
sharing = "all"
trust = true
[upstreams.demo.tools]
{tools}
[upstreams.web]
url = "http://127.0.0.1:{http}/mcp"
private_hosts = ["127.0.0.1:{http}"]
[upstreams.web.tools]
{tools}
[upstreams.old]
url = "http://127.0.0.1:{sse}/sse"
transport = "sse"
private_hosts = ["127.0.0.1:{sse}"]
[upstreams.old.tools]
{tools}
[upstreams.dead]
command = ["/bin/false"]
"""

SERVERS = """\
[servers.demo-only]
upstreams = ["demo"]
mode = "upstream"
names = "bare"
"""


def _server(*words: str) -> "tuple[subprocess.Popen[bytes], int]":
    port = free_port()
    child = subprocess.Popen([sys.executable, str(EVERYTHING), "--port", str(port), *words])

    def listens() -> bool:
        assert child.poll() is None
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    until(listens, 30)
    return child, port


@pytest.fixture(scope="session")
def upstreams() -> Iterator[str]:
    """The upstreams of the tests, as a config file; those over HTTP run as child processes."""
    http, http_port = _server("--transport", "http")
    sse, sse_port = _server("--transport", "sse", "--era", "legacy")
    yield UPSTREAMS.format(python=sys.executable, everything=EVERYTHING, tools=TOOLS, http=http_port, sse=sse_port)
    for child in (http, sse):
        child.terminate()
        child.wait(20)


def build(folder: Path, upstreams: str, mongodb: str | None = None) -> House:
    """A gateway over SQLite (development, folder mode), or over MongoDB (production, applied policy)."""
    port = free_port()
    house = House(folder, port, str(folder / "var" / "ostiary.db"))
    settings = "[server]\n"
    if mongodb is not None:
        settings += f'public_url = "https://mcp.example.com"\nallowed_hosts = ["127.0.0.1:{port}"]\n'
        settings += 'secret = [{ id = "one", env = "OSTIARY_SECRET" }]\n'
        house.store, house.database = mongodb, f"house_{secrets.token_hex(4)}"
        house.extra = {
            "MONGODB_URI": mongodb,
            "MONGODB_DB": house.database,
            "OSTIARY_SECRET": secrets.token_hex(32),
        }
    write(folder, policy=POLICY, limits=LIMITS, upstreams=upstreams, servers=SERVERS, settings=settings)
    if mongodb is not None:
        house.cli("policy", "apply", str(folder / "policies"), "--why", "test")
    return house


@pytest.fixture(scope="session")
def houses() -> Iterator[tuple[dict[str, House], ExitStack]]:
    """The gateways that run already, by their stores; they stay until the end, whichever file asks for which."""
    with ExitStack() as opened:
        yield {}, opened


@pytest.fixture(scope="session", params=["sqlite", "mongodb"])
def house(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    upstreams: str,
    houses: tuple[dict[str, House], ExitStack],
) -> House:
    """A running gateway on each store, which all tests of this process share."""
    running_ones, opened = houses
    if request.param not in running_ones:
        mongodb = request.getfixturevalue("secantus") if request.param == "mongodb" else None
        built = build(tmp_path_factory.mktemp("house"), upstreams, mongodb)
        running_ones[request.param] = opened.enter_context(running(built))
    return running_ones[request.param]


@pytest.fixture
def own_house(tmp_path: Path, upstreams: str) -> Iterator[House]:
    """A gateway that one test has to itself."""
    with running(build(tmp_path, upstreams)) as started:
        yield started


@pytest.fixture(scope="session")
def user_key(house: House) -> str:
    """The key of a user whose calls are not limited for the length of the tests."""
    return house.key_of("user", "fast")


@pytest.fixture(scope="session")
def auditor_key(house: House) -> str:
    """The key of somebody who may inspect the policy."""
    return house.key_of("auditor", "fast")
