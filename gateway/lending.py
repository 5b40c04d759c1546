"""Loans of connections as they are made and ended here: what can be lent, of whose, and that this process follows."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from connectors.definition.platform import Platform
from connectors.definition.terms import Risk
from gateway.analysis.inventory import Inventory
from gateway.errors import InvalidArguments, Unknown
from gateway.manage import loans
from gateway.manage.loans import Level, Loan, Wish
from gateway.manage.share_checks import refuse_strangers
from gateway.manage.stored import stored
from gateway.policy.terms import Subject
from gateway.records import Connected
from gateway.snapshot import Snapshot
from gateway.store.base import NotFound, Store, Unavailable


@dataclass(frozen=True, slots=True)
class Lending:
    """``snapshot`` is what is in force now, ``catch_up`` makes this process follow what was just written. ``clock``
    tells ms since the epoch, ``offset`` is minutes east of UTC.
    """

    store: Store
    platforms: Callable[[], Mapping[str, Platform]]
    snapshot: Callable[[], Snapshot]
    catch_up: Callable[[], Awaitable[None]]
    clock: Callable[[], int]
    offset: int = 0

    def wish(self, connected: Connected, to: str, level: str, tools: Sequence[str], days: int) -> Wish:
        """What is to be lent; without ``tools`` all of the platform's that the level reaches. Raises
        ``InvalidArguments``.
        """
        named = tools or self._all(connected, level)
        return loans.wish(to, level, named, days, lender=connected.owner)

    @stored
    async def lend(self, connected: Connected, wish: Wish, maker: Subject, address: str) -> Loan:
        """The loan, from now on. Raises ``InvalidArguments`` where it may not stand beside the policy."""
        now, snapshot = self.clock(), self.snapshot()
        refuse_strangers(snapshot.identities, wish.borrower)
        loan = await loans.lend(
            self.store,
            connected,
            wish,
            maker=maker,
            policy=snapshot.policy,
            people=Inventory(tuple(Subject(f"user:{id}") for id in snapshot.identities.users)),
            env={"now": now, "offset": self.offset, "address": address},
            now=now,
        )
        await self._followed()
        return loan

    @stored
    async def end(self, connection: str, loan: str) -> None:
        """End one loan at once. Raises ``Unknown``."""
        try:
            await loans.end_loan(self.store, connection, loan)
        except NotFound:
            raise Unknown("there is no such loan") from None
        await self._followed()

    def _all(self, connected: Connected, level: str) -> tuple[str, ...]:
        platform = self.platforms().get(connected.connector)
        actions = () if platform is None else platform.definition.actions
        if not actions:
            raise InvalidArguments(f"`tools`: name what of `{connected.connector}` is lent")
        return tuple(each.id for each in actions if level != Level.READ or each.risk is Risk.READ)

    async def _followed(self) -> None:
        try:
            await self.catch_up()
        except Unavailable:
            return  # it is stored; the next look at the store brings it
