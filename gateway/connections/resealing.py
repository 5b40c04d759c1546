"""All that the vault sealed and the store keeps: which keys it needs, and wrapping it anew under the current one.

Record by record, by compare-and-set, beside gateways that run: what is done stays done, wherever this ends.
"""

from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from msgspec import structs

from gateway.connections.material import context_of_connection, context_of_flow, context_of_registration
from gateway.records import Connected, Flow, Registration
from gateway.store.base import Conflict, NotFound, Records, Store
from gateway.vault import Unsealable, Vault

PAGE: Final = 200
ROUNDS: Final = 3
"""How often all is looked through: what changes meanwhile is left to the next round, and gateways that still run with
another current key go on sealing under that.
"""

R = TypeVar("R", Connected, Flow, Registration)


@dataclass(slots=True)
class Tally:
    """How much is sealed under which key, how much was wrapped anew, and what does not open (kind and id)."""

    keys: Counter[str] = field(default_factory=Counter)
    rewrapped: int = 0
    unopened: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Kind(Generic[R]):
    """One kind of records that hold something sealed."""

    name: str
    records: Records[R]
    context: Callable[[R], tuple[str, ...]]

    async def sealed(self) -> AsyncIterator[R]:
        """Those that hold something now."""
        after = ""
        while page := await self.records.page(after, PAGE):
            for record in page:
                if record.sealed:
                    yield record
            after = page[-1].id

    def place(self, id: str) -> str:
        return f"{self.name}/{id}"

    async def old(self, vault: Vault, tally: Tally) -> list[str]:
        """Count them by their keys; gives the ids of those that are not under the current one."""
        old = []
        async for record in self.sealed():
            try:
                key = vault.key_of(record.sealed)
            except Unsealable:
                tally.unopened.append(self.place(record.id))
                continue
            tally.keys[key] += 1
            if key != vault.current:
                old.append(record.id)
        return old

    async def rewrap(self, id: str, vault: Vault) -> bool:
        """Whether it was wrapped anew; not when it was changed meanwhile. Raises ``Unsealable``."""
        record = await self.records.get(id)
        if record is None or not record.sealed:
            return False
        fresh = vault.rewrapped(record.sealed, self.context(record))
        if fresh is None:
            return False
        try:
            await self.records.replace(structs.replace(record, sealed=fresh))
        except (NotFound, Conflict):
            return False
        return True


async def refuse_missing_keys(store: Store, vault: Vault) -> None:
    """Raises ``ValueError`` when something is sealed under a secret that is not set, ``Unavailable``."""
    keys = (await survey(store, vault)).keys
    if missing := ", ".join(f"`{key[:80]}` ({keys[key]})" for key in sorted(keys) if not vault.knows(key)):
        raise ValueError(
            f"credentials in the store are sealed under secrets that are not set: {missing}; "
            "put them back into `secret`, behind the current one"
        )


async def survey(store: Store, vault: Vault) -> Tally:
    """What is sealed under which key. Raises ``Unavailable``."""
    tally = Tally()
    for kind in _kinds(store):
        await kind.old(vault, tally)
    return tally


async def reseal(store: Store, vault: Vault, tell: Callable[[int, int], None]) -> Tally:
    """Wrap everything anew that is not under the current key, and say how it stands then. ``tell`` hears how many are
    looked at, of how many. Raises ``Unavailable``; what was done until then is done.
    """
    rewrapped, closed = 0, set[str]()
    for _ in range(ROUNDS):
        found = [(kind, id) for kind in _kinds(store) for id in await kind.old(vault, Tally())]
        old = [(kind, id) for kind, id in found if kind.place(id) not in closed]
        if not old:
            break
        for number, (kind, id) in enumerate(old, 1):
            try:
                rewrapped += await kind.rewrap(id, vault)
            except Unsealable:
                closed.add(kind.place(id))
            tell(number, len(old))
    tally = await survey(store, vault)
    tally.rewrapped = rewrapped
    tally.unopened += sorted(closed)
    return tally


def _kinds(store: Store) -> tuple[_Kind[Connected], _Kind[Flow], _Kind[Registration]]:
    return (
        _Kind("connections", store.connections, context_of_connection),
        _Kind("flows", store.flows, context_of_flow),
        _Kind("registrations", store.registrations, context_of_registration),
    )
