"""What somebody has connected, and who borrows it, and what could be connected: what the page and the API show of it.

No credential is opened, and no policy asked.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from connectors.definition.platform import Platform
from gateway.connections.fields import unconnectable
from gateway.connections.known import Connections
from gateway.manage.loans import Loan, loans_of
from gateway.manage.stored import stored
from gateway.records import Connected
from gateway.store.base import Store


@dataclass(frozen=True, slots=True)
class Listed:
    """One connection: ``title`` is how people call its platform."""

    connected: Connected
    title: str
    loans: tuple[Loan, ...] = ()


@dataclass(frozen=True, slots=True)
class Offer:
    """A platform of which people connect accounts of their own, as it is called and described to them."""

    connector: str
    title: str
    description: str = ""


@dataclass(frozen=True, slots=True)
class Listing:
    """``connections`` are those known now, ``platforms`` those in use, by connector."""

    store: Store
    connections: Callable[[], Connections]
    platforms: Callable[[], Mapping[str, Platform]]
    clock: Callable[[], int]

    @stored
    async def of(self, *owners: str) -> tuple[Listed, ...]:
        """Every connection of ``owners``, in the order they were made. Raises ``Unavailable``."""
        held = sorted(
            (each for each in self.connections() if each.owner in owners), key=lambda each: (each.created_at, each.id)
        )
        return tuple([await self._listed(each) for each in held])

    def get(self, id: str) -> Connected | None:
        """The connection of that id."""
        return self.connections().get(id)

    def offers(self) -> tuple[Offer, ...]:
        """Every platform of which people connect accounts of their own, in the order of their titles."""
        found = [
            Offer(id, platform.definition.title, platform.definition.description)
            for id, platform in self.platforms().items()
            if not unconnectable(platform)
        ]
        return tuple(sorted(found, key=lambda each: (each.title.casefold(), each.connector)))

    async def _listed(self, record: Connected) -> Listed:
        platform = self.platforms().get(record.connector)
        title = record.connector if platform is None else platform.definition.title
        return Listed(record, title, await loans_of(self.store, record.id, self.clock()))
