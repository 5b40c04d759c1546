"""The connections as this process knows them best: what it wrote itself counts before the next look at the store."""

from collections.abc import Callable, Iterator

from gateway.connections.known import Connections
from gateway.records import Connected


class Latest:
    """``known`` gives the connections of the current snapshot."""

    def __init__(self, known: Callable[[], Connections]) -> None:
        self._known = known
        self._fresher: dict[str, Connected] = {}

    def get(self, id: str) -> Connected | None:
        """``None`` also for one that was removed since: only the store brings a connection back."""
        known = self._known().get(id)
        return None if known is None else self._newer(known)

    def of(self, owner: str, connector: str) -> tuple[Connected, ...]:
        """Those of ``owner`` to ``connector``, the one made first in front."""
        return tuple(map(self._newer, self._known().of(owner, connector)))

    def all(self) -> Iterator[Connected]:
        return map(self._newer, self._known())

    def wrote(self, record: Connected) -> None:
        """Count ``record``, which was just stored, until the snapshot has it or a later one."""
        known = self._known()
        ahead = (each for each in self._fresher.values() if (there := known.get(each.id)) and there.rev < each.rev)
        self._fresher = {each.id: each for each in ahead}
        self._fresher[record.id] = record

    def _newer(self, known: Connected) -> Connected:
        written = self._fresher.get(known.id)
        return known if written is None or written.rev <= known.rev else written
