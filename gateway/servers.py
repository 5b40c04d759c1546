"""The servers that the settings make: what stands behind us, what is offered over it, and a look at it without serving.

This file knows no store and no policy.
"""

import asyncio
from collections.abc import Mapping
from importlib.metadata import version

from connectors.base import Connector, Sharing
from connectors.egress import Egress
from connectors.upstream import Upstream
from gateway.catalogue import Directory, Server
from gateway.catalogue.views import View
from gateway.mcp.terms import Params
from gateway.pinning import Pinned, Pinning
from gateway.policy.terms import MAIN
from gateway.settings import Names, Settings


def ourselves(settings: Settings) -> Params:
    """What we say of ourselves to clients and to servers behind us."""
    return {"name": settings.name, "version": version("ostiary")}


def upstreams_of(settings: Settings, egress: Egress) -> list[Upstream]:
    """A connector for each upstream, nothing of it opened yet. Raises ``ValueError`` when one cannot be read."""
    return [Upstream(spec, egress, client=ourselves(settings)) for spec in settings.upstreams]


def connectors_of(settings: Settings, egress: Egress, pinning: Pinning) -> list[Connector]:
    """As ``upstreams_of``, each without the tools that are not approved, unless the operator trusts it."""
    return [
        connector if spec.trust else Pinned(connector, pinning, whole=spec.sharing is Sharing.ALL)
        for spec, connector in zip(settings.upstreams, upstreams_of(settings, egress), strict=True)
    ]


def servers_of(settings: Settings) -> list[Server]:
    """``main``, which offers everything, and the servers of the operator's file."""
    everything = Server(MAIN, tuple(spec.id for spec in settings.upstreams))
    return [
        everything,
        *(
            Server(spec.id, spec.upstreams, prefixed=spec.names is Names.PREFIXED, instructions=spec.instructions)
            for spec in settings.servers
        ),
    ]


async def views_of(settings: Settings, principal: str) -> Mapping[str, View]:
    """What each server offers to ``principal``, asked of the upstreams now; they are started and ended for it.

    The view of a server says which of its upstreams did not answer in their ``start_timeout_s``.
    """
    egress = Egress()
    upstreams = upstreams_of(settings, egress)
    patience = max((spec.start_timeout for spec in settings.upstreams), default=0.0)
    directory = Directory(servers_of(settings), upstreams, patience=patience)
    try:
        servers = [server.id for server in servers_of(settings)]
        views = await asyncio.gather(*(directory.view(server, principal) for server in servers))
        return dict(zip(servers, views, strict=True))
    finally:
        await directory.close()
        await asyncio.gather(*(upstream.close() for upstream in upstreams), return_exceptions=True)
        await egress.close()
