"""From a tool that users made to what it calls, among what one server offers to one principal.

This file decides nothing: whether the call is allowed is asked of the policy, about what is found here.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from connectors.http_calls.connector import HttpCalls
from connectors.packages.connector import PackageConnector
from gateway.catalogue.views import Offer, Target, View
from gateway.custom.calling import TYPES, declared_by, read_call
from gateway.custom.names import address
from gateway.records import CustomTool


class HandlerTargets:
    """``http`` makes requests; ``packages`` are the connectors of the handler packages that are installed."""

    def __init__(self, http: HttpCalls, packages: Iterable[PackageConnector] = ()) -> None:
        self._http = http
        self._packages: Mapping[str, PackageConnector] = {each.id: each for each in packages}

    def find(self, tool: CustomTool, view: View) -> Target | None:
        """What ``tool`` calls; ``None`` where that is not to be had here, or its handler says nothing that is."""
        called = read_call(tool.handler, declared_by(tool.schema), self._packages)
        if isinstance(called, list):
            return None
        if called.plan is not None:
            connector = self._http.connector(called.plan, address(tool.owner, tool.name))
            return Target(Offer(connector, connector.item, called.object, called.object), called.mapping)
        offer = view.tools.get(called.object)
        if offer is None:
            return None
        if called.type not in TYPES:
            offer = replace(offer, connector=self._packages[called.type].configured(called.config))
        return Target(offer, called.mapping)
