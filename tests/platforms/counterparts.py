"""Third-party servers that stand for the platforms: ``emulate`` (their APIs and their OAuth) and ``oidc-provider`` (a
certified authorization server), each in a child process on 127.0.0.1 and a port below 32768.

    def test_…(platforms, authority): ...      # both for the whole run; ``platforms.reset()`` makes them new
    with emulated("github", redirects=[…]) as platforms: ...

``tests.platforms.visiting`` is the person at the browser.
"""

import json
import select
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from tests.clients.npm import NODE
from tests.platforms import seeds
from tests.upstreams.starting import answers, free_port

HERE = Path(__file__).parent
LOOPBACK = HERE.parent / "peers" / "loopback.mjs"
CALLBACK = "http://127.0.0.1:8080/oauth/callback/main/"
"""What comes before a connector's id in the redirect URIs that every counterpart knows."""

_PATIENCE = 30.0


class Child:
    """A process of Node that does what it is told; it ends when its input does."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self._read()

    def do(self, *command: Any) -> Any:
        assert self._process.stdin
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> Any:
        assert self._process.stdout
        if not select.select([self._process.stdout], [], [], _PATIENCE)[0]:
            raise TimeoutError("a counterpart does not answer")
        if not (line := self._process.stdout.readline()):
            raise EOFError("a counterpart ended")
        return json.loads(line)


@dataclass(frozen=True)
class Emulated:
    """One emulated platform: ``at`` says what to put in place of which beginnings of its URLs, and ``app`` who we are
    there (all apps of a platform share one id and one secret).
    """

    url: str
    client_id: str = ""
    client_secret: str = field(default="", repr=False)
    at: Mapping[str, str] = field(default_factory=dict)
    users: tuple[str, ...] = ()

    @property
    def host(self) -> str:
        """``host:port``, for exceptions to the address guard."""
        return self.url.removeprefix("http://")


@dataclass(frozen=True)
class Platforms:
    services: Mapping[str, Emulated]
    child: Child

    def __getitem__(self, service: str) -> Emulated:
        return self.services[service]

    def of(self, connector: str) -> Emulated:
        """The platform of a shipped connector, ``at`` holding only what its definition can be moved by."""
        service, *more = seeds.CONNECTED[connector]
        known = self[service]
        at = {
            beginning: url
            for beginning, url in known.at.items()
            if beginning in (*seeds.SERVICES[service].common, *more)
        }
        return replace(known, at=MappingProxyType(at))

    def reset(self) -> None:
        """Every platform as it was at its start; tokens given out meanwhile still name their users."""
        self.child.do("reset")


@dataclass(frozen=True)
class Authority:
    """The authorization server. Its clients, by what is special about them, are ``CLIENTS`` of ``seeds``."""

    issuer: str
    child: Child

    @property
    def host(self) -> str:
        return self.issuer.removeprefix("http://")

    @property
    def authorize_url(self) -> str:
        return f"{self.issuer}/auth"

    @property
    def token_url(self) -> str:
        return f"{self.issuer}/token"

    @property
    def revoke_url(self) -> str:
        return f"{self.issuer}/token/revocation"

    @property
    def userinfo_url(self) -> str:
        return f"{self.issuer}/me"

    def counts(self) -> Mapping[str, int]:
        """How often what happened: ``POST /token``, ``granted refresh_token``, ``refused refresh_token invalid_grant``,
        ``forgot a family`` …"""
        counts: Mapping[str, int] = self.child.do("counts")
        return counts

    @contextmanager
    def trouble(self, path: str = "/token", status: int = 500, body: str = "") -> Iterator[None]:
        """Meanwhile every request for ``path`` is answered so."""
        self.child.do("trouble", path, status, body)
        try:
            yield
        finally:
            self.child.do("trouble", "", 0, "")


@contextmanager
def emulated(*services: str, redirects: Sequence[str] = ()) -> Iterator[Platforms]:
    """The platforms named (all without a name), with ``redirects`` registered besides those of ``CALLBACK``."""
    chosen = services or tuple(seeds.SERVICES)
    seeded = {service: seeds.seeded(service, [*seeds.redirects(CALLBACK), *redirects]) for service in chosen}
    ports = {service: free_port() for service in chosen}
    asked = {service: {"port": ports[service], "seed": seeded[service]} for service in chosen}
    with _child("emulate.mjs", asked) as child:
        _listening(ports.values())
        known = {service: _known(service, f"http://127.0.0.1:{port}") for service, port in ports.items()}
        yield Platforms(MappingProxyType(known), child)


@contextmanager
def authorities(
    *, redirects: Sequence[str] = (), access_seconds: int = 3600, resources: Sequence[str] = (), format: str = "opaque"
) -> Iterator[Authority]:
    """An authorization server whose access tokens hold so long, for ``resources`` (RFC 8707) besides none; those for a
    resource are in ``format`` (``opaque``, ``jwt``).
    """
    port = free_port()
    clients = [client.registered([*seeds.redirects(CALLBACK), *redirects]) for client in seeds.CLIENTS.values()]
    asked = {
        "port": port, "clients": clients, "accessSeconds": access_seconds, "resources": list(resources), "format": format
    }  # fmt: skip
    with _child("authority.mjs", asked) as child:
        yield Authority(f"http://127.0.0.1:{port}", child)


@pytest.fixture(scope="session")
def platforms() -> Iterator[Platforms]:
    """Every emulated platform, for the whole run."""
    with emulated() as running:
        yield running


@pytest.fixture(scope="session")
def authority() -> Iterator[Authority]:
    """The authorization server, for the whole run."""
    with authorities() as running:
        yield running


def _known(service: str, url: str) -> Emulated:
    platform = seeds.SERVICES[service]
    at = {beginning: url + path for beginning, path in platform.at.items()}
    return Emulated(url, platform.client_id, platform.client_secret, MappingProxyType(at), platform.users)


def _listening(ports: Iterable[int]) -> None:
    until = time.monotonic() + _PATIENCE
    while not all(answers(port) for port in ports):
        if time.monotonic() > until:
            raise TimeoutError("a counterpart does not listen")
        time.sleep(0.02)


@contextmanager
def _child(script: str, asked: Any) -> Iterator[Child]:
    command = (NODE, "--no-warnings", "--import", LOOPBACK, HERE / script, json.dumps(asked))
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            yield Child(process)
        finally:
            process.kill()
