"""The servers that the settings make: what stands behind us, what is offered over it, and a look at it without serving.

This file knows no store and no policy.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from importlib.metadata import version
from typing import Final, TypeAlias

from connectors.base import Connector, Credential, Credentials, Sharing, UpstreamSpec
from connectors.definition.platform import Platform
from connectors.egress import Egress
from connectors.inviting import Inviting
from connectors.rest.connector import RestConnector
from connectors.upstream import Upstream
from gateway.catalogue import Directory, Server
from gateway.catalogue.views import View
from gateway.errors import NotConnected
from gateway.mcp.terms import Params
from gateway.pinning import Pinned, Pinning
from gateway.platforms import Platforms
from gateway.policy.terms import MAIN
from gateway.settings import Names, ServerSpec, Settings, Tools


class _Nobodys:
    """``Credentials`` of a look at what is offered, which calls nothing."""

    def ids(self, owner: str) -> tuple[str, ...]:  # noqa: ARG002
        return ()

    def owner(self, id: str) -> str:  # noqa: ARG002
        return ""

    async def open(self, owner: str, id: str = "") -> Credential:  # noqa: ARG002
        raise NotConnected("nothing is called here")

    async def renew(self, used: Credential) -> Credential | None:  # noqa: ARG002
        return None


NOBODYS: Final = _Nobodys()

CredentialsOf: TypeAlias = Callable[[str], Credentials]
Doubt: TypeAlias = Callable[[str], Callable[[], None]]


def ourselves(settings: Settings) -> Params:
    """What we say of ourselves to clients and to servers behind us."""
    return {"name": settings.name, "version": version("ostiary")}


def connectors_of(
    settings: Settings,
    egress: Egress,
    *,
    pinning: Pinning | None = None,
    credentials_of: CredentialsOf = lambda _: NOBODYS,
    doubt: Doubt = lambda _: _unheard,
) -> list[Connector]:
    """A connector for each upstream, nothing of it opened yet: with ``pinning``, each without the tools that are not
    approved, unless the operator trusts it. Where users bring credentials of their own, ``credentials_of`` has them by
    the upstream's id, and ``doubt`` gives what is called when one is refused. Raises ``ValueError`` when one cannot be
    read.
    """
    return [_connector(spec, settings, egress, pinning, credentials_of, doubt) for spec in settings.upstreams]


def _connector(
    spec: UpstreamSpec,
    settings: Settings,
    egress: Egress,
    pinning: Pinning | None,
    credentials_of: CredentialsOf,
    doubt: Doubt,
) -> Connector:
    client = ourselves(settings)
    if spec.personal is None:
        return _pinned(Upstream(spec, egress, client=client), spec, pinning)
    credentials = credentials_of(spec.id)
    upstream = Upstream(spec, egress, client=client, credentials=credentials, doubt=doubt(spec.id))
    return Inviting(_pinned(upstream, spec, pinning), credentials, leave=upstream.leave)


def _pinned(upstream: Upstream, spec: UpstreamSpec, pinning: Pinning | None) -> Connector:
    if pinning is None or spec.trust:
        return upstream
    return Pinned(upstream, pinning, whole=spec.sharing is Sharing.ALL)


def _unheard() -> None:
    """Nobody connects an account by this look."""


def platform_connectors(
    platforms: Platforms, egress: Egress, credentials_of: Callable[[Platform], Credentials], clock: Callable[[], int]
) -> list[RestConnector]:
    """A connector for each platform that there is now; it follows what becomes of its definition. ``clock`` tells the
    time in ms since the epoch.
    """
    made = {
        id: RestConnector(platform, egress=egress, credentials=credentials_of(platform), clock=clock)
        for id, platform in platforms.current.items()
    }

    def follow(changed: frozenset[str]) -> None:
        for id in changed & made.keys():
            made[id].replace(platforms.current[id])

    platforms.watch(follow)
    return [*made.values()]


def servers_of(settings: Settings, connectors: Iterable[str] = ()) -> list[Server]:
    """``main``, which offers everything, and the servers of the operator's file. ``connectors`` are those of the
    settings that there are: one whose definition cannot be used is offered nowhere.
    """
    there = (*(spec.id for spec in settings.upstreams), *connectors)
    meta = frozenset(each.id for each in settings.connectors if each.tools is Tools.META).intersection(there)
    everything = Server(MAIN, there, meta=meta, custom=True)
    return [everything, *(_server(spec, there, meta) for spec in settings.servers)]


def _server(spec: ServerSpec, there: Collection[str], meta: frozenset[str]) -> Server:
    offered = tuple(id for id in spec.upstreams if id in there)
    return Server(
        spec.id,
        offered,
        prefixed=spec.names is Names.PREFIXED,
        instructions=spec.instructions,
        meta=meta.intersection(offered),
        custom=spec.custom,
    )


async def views_of(settings: Settings, principal: str) -> Mapping[str, View]:
    """What each server offers to ``principal``, asked of the upstreams now; they are started and ended for it. What is
    reached through the meta tools is in it like the rest.

    The view of a server says which of its upstreams did not answer in their ``start_timeout_s``.
    """
    egress = Egress()
    upstreams = connectors_of(settings, egress)
    platforms = platform_connectors(Platforms(settings), egress, lambda _: NOBODYS, lambda: 0)
    patience = max((spec.start_timeout for spec in settings.upstreams), default=0.0)
    servers = [replace(each, meta=frozenset()) for each in servers_of(settings, [each.id for each in platforms])]
    directory = Directory(servers, [*upstreams, *platforms], patience=patience)
    try:
        views = await asyncio.gather(*(directory.view(server.id, principal) for server in servers))
        return {server.id: view for server, view in zip(servers, views, strict=True)}
    finally:
        await directory.close()
        await asyncio.gather(*(upstream.close() for upstream in upstreams), return_exceptions=True)
        await egress.close()
