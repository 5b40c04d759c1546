"""Every connection there is, as of one moment: by id, and by whose and of what. Never changed in place.

Here are the records with their sealed credentials; this file opens none and knows no store.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from gateway.records import Connected, Status


@dataclass(frozen=True, slots=True)
class Connections:
    """What the store holds of connections; those of one owner to one connector stand in the order they were made."""

    by_id: Mapping[str, Connected] = field(default_factory=dict)
    by_owner: Mapping[tuple[str, str], tuple[Connected, ...]] = field(default_factory=dict)

    def get(self, id: str) -> Connected | None:
        return self.by_id.get(id)

    def of(self, owner: str, connector: str) -> tuple[Connected, ...]:
        """The connections of ``owner`` to ``connector``, the one made first in front."""
        return self.by_owner.get((owner, connector), ())

    def changed(self, put: Iterable[Connected], gone: Iterable[str] = ()) -> "Connections":
        """The next moment: records put in, ids taken out."""
        fresh = {record.id: record for record in put}
        former = {id: self.by_id[id] for id in {*fresh, *gone} if id in self.by_id}
        if not fresh and not former:
            return self
        by_id = {id: each for id, each in self.by_id.items() if id not in former} | fresh
        touched: dict[tuple[str, str], list[Connected]] = {}
        for each in former.values():
            touched.setdefault(_place(each), [])
        for each in fresh.values():
            touched.setdefault(_place(each), []).append(each)
        by_owner = dict(self.by_owner)
        for place, put_in in touched.items():
            kept = [each for each in by_owner.pop(place, ()) if each.id not in former]
            if kept or put_in:
                by_owner[place] = tuple(sorted((*kept, *put_in), key=_made))
        return Connections(by_id, by_owner)

    def moved(self, before: "Connections") -> Mapping[tuple[str, str], frozenset[str]]:
        """Whose connections to what are others than ``before``, stand elsewhere or were made anew: their ids, by owner
        and connector.
        """
        mine, former = self.by_owner, before.by_owner
        changed = (place for place in mine.keys() | former.keys() if mine.get(place) is not former.get(place))
        others = {place: _standing(self.of(*place)) ^ _standing(before.of(*place)) for place in changed}
        return {place: frozenset(id for id, *_ in each) for place, each in others.items() if each}

    def __iter__(self) -> Iterator[Connected]:
        return iter(self.by_id.values())

    def __len__(self) -> int:
        return len(self.by_id)


def _standing(records: Iterable[Connected]) -> set[tuple[str, Status, int]]:
    return {(each.id, each.status, each.connected_at) for each in records}


def _place(record: Connected) -> tuple[str, str]:
    return record.owner, record.connector


def _made(record: Connected) -> tuple[int, str]:
    return record.created_at, record.id
