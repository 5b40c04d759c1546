"""``PackageConnector``: the connector for one handler package.

It knows when a package is started and how its calls are made; it must not know the policy, nor who may ask.
"""

import secrets
from collections.abc import Callable
from typing import Final

from connectors.base import NOTHING_ASKED, Caller, Catalogue, Change, Connection, UpstreamError
from connectors.once import Once
from connectors.packages.calling import Running, failed, fault_of, handled, noted, result_of
from connectors.packages.package import Context, Package
from gateway.errors import UpstreamFailed
from gateway.mcp.terms import Era, Kind, Params

METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMS: Final = -32602

START_S: Final = 30.0
STOP_S: Final = 10.0

_USER: Final = "user:"


class PackageConnector:
    """One package as ``Connector``; a call may take ``timeout`` seconds. The package is started when its tools are
    first asked for, and again after a start that failed.
    """

    def __init__(self, package: Package, *, timeout: float = 60.0) -> None:
        self.package, self.timeout = package, timeout
        self.running = Running(package.name)
        self._catalogue = Catalogue({Kind.TOOL: package.items}, {"tools": {}})
        self._starting = Once(self._start, cancelled=f"`{package.name}` is being closed")
        self._started = package.start is None
        self._closed = False

    @property
    def id(self) -> str:
        return self.package.name

    def configured(self, config: Params) -> "Configured":
        """The same package, told ``config`` with every call: that of a tool made at run time over one of its own."""
        return Configured(self, config)

    def owners(self, subject: str) -> tuple[str, ...]:
        return (subject,)

    async def catalogue(self, principal: str, capabilities: Params = NOTHING_ASKED) -> Catalogue:  # noqa: ARG002
        """Raises ``UpstreamFailed`` where the package could not be started."""
        await self.ready()
        return self._catalogue

    def holds(self, owner: str) -> bool:  # noqa: ARG002 (nothing can be lent)
        return True

    def owner(self, credential: str) -> str:  # noqa: ARG002 (there are no connections)
        return ""

    async def open(
        self,
        principal: str,
        owner: str,  # noqa: ARG002 (no credential is needed)
        capabilities: Params = NOTHING_ASKED,  # noqa: ARG002 (nothing is asked)
        *,
        credential: str = "",  # noqa: ARG002
    ) -> Connection:
        """Raises ``UpstreamFailed`` where the package could not be started."""
        await self.ready()
        return _Connection(self, principal, {})

    def watch(self, listener: Callable[[Change], None]) -> None:
        """Its tools never change while it is installed."""

    async def close(self) -> None:
        """Calls under way fail with ``UpstreamFailed``; then the package is stopped."""
        if self._closed:
            return
        self._closed = True
        await self._starting.cancel()
        await self.running.end(STOP_S)
        if self._started and self.package.stop is not None:
            noted(self.id, await self.running(self.package.stop(), STOP_S))

    async def ready(self) -> None:
        """Wait until the package is started. Raises ``UpstreamFailed``."""
        if self._closed:
            raise UpstreamFailed(f"`{self.id}` is being closed")
        if not self._started:
            await self._starting()

    async def _start(self) -> None:
        if self.package.start is None:
            return
        task = await self.running(self.package.start(), START_S)
        if noted(self.id, task):
            raise UpstreamFailed(f"`{self.id}` could not be started; the gateway's log says where")
        self._started = True


class Configured:
    """A package with the configuration of one tool, as ``Connector``."""

    def __init__(self, inside: PackageConnector, config: Params) -> None:
        self._inside, self._config = inside, config
        self.id = inside.id
        self.owners, self.holds, self.owner = inside.owners, inside.holds, inside.owner
        self.catalogue, self.watch = inside.catalogue, inside.watch

    async def open(
        self,
        principal: str,
        owner: str,  # noqa: ARG002
        capabilities: Params = NOTHING_ASKED,  # noqa: ARG002
        *,
        credential: str = "",  # noqa: ARG002
    ) -> Connection:
        """Raises ``UpstreamFailed`` where the package could not be started."""
        await self._inside.ready()
        return _Connection(self._inside, principal, self._config)

    async def close(self) -> None:
        """The package itself goes on."""


class _Connection:
    """The way in for one principal. What a package's own tool says of its configuration is over that of others."""

    def __init__(self, connector: PackageConnector, principal: str, config: Params) -> None:
        self._connector, self._principal, self._config = connector, principal, config

    @property
    def era(self) -> Era:
        return Era.LEGACY

    async def send(self, method: str, params: Params, caller: Caller) -> Params:
        """Raises ``UpstreamError``, ``UpstreamFailed``."""
        package = self._connector.package
        name, args = params.get("name"), params.get("arguments") or {}
        if method != "tools/call":
            raise UpstreamError(METHOD_NOT_FOUND, f"`{package.name}` only has tools")
        if not isinstance(name, str) or name not in package.config or not isinstance(args, dict):
            raise UpstreamError(INVALID_PARAMS, f"`{package.name}` has no tool of that name")
        await self._connector.ready()
        config = {**self._config, **package.config[name]}
        work = handled(package, args, _context(self._principal), config, caller, params)
        task = await self._connector.running(work, self._connector.timeout)
        why = fault_of(package.name, task)
        return failed(why) if why else result_of(package.name, task.result())


def _context(principal: str) -> Context:
    email = principal.removeprefix(_USER) if principal.startswith(_USER) else ""
    return Context(principal, email, secrets.token_hex(8))
