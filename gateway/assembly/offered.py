"""The servers that users offer, as the directory knows servers: which connectors stand behind each, under which names.

Part of the composition root; what of it is allowed to whom, the policy says.
"""

from collections.abc import Awaitable, Callable, Collection

from gateway.catalogue import Directory, Server
from gateway.mcp.terms import Kind
from gateway.policy.terms import MAIN
from gateway.records import Mode
from gateway.records import Server as Record
from gateway.servers.known import Servers
from gateway.servers.restrictions import Known


class Offered:
    """Finds a server by its domain. ``servers`` are those that there are now, ``connectors`` what any of them can
    offer.
    """

    def __init__(self, servers: Callable[[], Servers], connectors: tuple[str, ...]) -> None:
        self._servers = servers
        self._connectors = connectors
        self._made: dict[str, tuple[Record, Server]] = {}

    def __call__(self, domain: str) -> Server | None:
        """The server of ``domain``, ``None`` where no user offers it; the same one as long as nothing of it changed."""
        if (record := self._servers().get(domain)) is None:
            self._made.pop(domain, None)
            return None
        known = self._made.get(domain)
        if known is None or known[0] is not record:
            known = self._made[domain] = record, self._of(record)
        return known[1]

    def _of(self, record: Record) -> Server:
        there = self._connectors
        if record.mode is Mode.UPSTREAM:
            only = tuple(each for each in there if each == record.upstream)
            return Server(record.id, only, prefixed=False, instructions=record.instructions)
        if record.mode is Mode.DIRECT:
            return Server(record.id, there, instructions=record.instructions, custom=True)
        return Server(record.id, there, instructions=record.instructions, meta=frozenset(there))


def known_names(directory: Directory, upstreams: Collection[str]) -> Callable[[str], Awaitable[Known]]:
    """What connectors and actions a subject finds; ``upstreams`` are the ids of those that are servers behind us."""

    async def known(subject: str) -> Known:
        view = await directory.view(MAIN, subject)
        actions = {
            connector.id: None
            if catalogue is None
            else frozenset(item.name for item in catalogue.items.get(Kind.TOOL, ()))
            for connector, catalogue in view.sources
        }
        return Known(actions, frozenset(upstreams) & actions.keys())

    return known
