"""Everything of connecting accounts, put together from what was set: flows, lists, loans, and who is asked for a link.

Part of the composition root; builds, and decides nothing but whether what was decided at the start of a flow still
stands at its end.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from connectors.definition.platform import Platform
from connectors.definition.terms import AuthKind
from connectors.egress import Egress
from connectors.rest.identity import whose
from gateway.connections import fields
from gateway.connections.flows import ENDS
from gateway.connections.linking import Linking
from gateway.connections.listing import Listing
from gateway.connections.means import Legs, Means
from gateway.connections.slips import Slips
from gateway.connections.sweeping import sweep
from gateway.follower import Follower, now_ms
from gateway.identity import KeyRing
from gateway.lending import Lending
from gateway.pipeline.chain import CONNECT
from gateway.pipeline.connecting import Blank, Link, Wants
from gateway.policy.terms import MAIN, Access, Context, Effect
from gateway.records import Connected, Flow
from gateway.settings import Settings
from gateway.snapshot import Snapshot
from gateway.store.base import Store
from gateway.vault import Vault


@dataclass(frozen=True, slots=True)
class Linker:
    """Whoever connects accounts, as the pipeline asks for him."""

    linking: Linking
    platforms: Callable[[], Mapping[str, Platform]]

    def wants(self, connector: str) -> Wants | None:
        """How an account of a connector is connected; ``None`` where there are none to connect."""
        platform = self.platforms().get(connector)
        if platform is None or fields.unconnectable(platform):
            return None
        blanks = tuple(
            Blank(each.name, each.label, each.secret, not (each.optional or each.default), each.help)
            for each in fields.asked_for(platform)
        )
        kind = platform.definition.auth.kind
        return Wants(kind.value, kind is AuthKind.OAUTH2, blanks)

    async def link(
        self,
        owner: str,
        connector: str,
        *,
        by: str,
        back: str = "",
        reconnects: str = "",
        client: str = "",
        scopes: Sequence[str] = (),
        domain: str = MAIN,
    ) -> Link:
        """A link by which ``by`` connects an account for ``owner``. Raises ``Refusal``."""
        started = await self.linking.start(
            owner, connector, by=by, domain=domain, back=back, reconnects=reconnects, client=client, missing=scopes
        )
        return Link(started.link, started.flow.id)

    async def deposit(self, owner: str, connector: str, values: Mapping[str, str], domain: str = MAIN) -> str:
        """The id of the connection made of what was typed. Raises ``Refusal``."""
        return (await self.linking.deposit(owner, connector, inputs=values, domain=domain)).id

    async def wait(self, flow: str, owner: str, within_s: float) -> bool:
        """Whether a flow of ``owner`` has ended, well or not, at the latest after that time. Raises ``Refusal``."""
        clock = asyncio.get_running_loop().time
        until = clock() + within_s
        found = await self.linking.wait(flow, owner=owner, within_s=within_s)
        while found.stage not in ENDS and (left := until - clock()) > 0:
            found = await self.linking.wait(flow, owner=owner, within_s=left)
        return found.stage in ENDS


@dataclass(frozen=True, slots=True)
class Linked:
    """``sweep`` expires what nobody finished; to be called now and then."""

    linking: Linking
    linker: Linker
    listing: Listing
    lending: Lending
    sweep: Callable[[], Awaitable[int]]


def linked(
    settings: Settings,
    *,
    store: Store,
    vault: Vault,
    ring: KeyRing,
    follower: Follower,
    platform_of: Callable[[str], Awaitable[Platform]],
    platforms: Callable[[], Mapping[str, Platform]],
    egress: Egress,
    legs: Legs,
    told: Callable[[Connected], None],
    clock: Callable[[], int] = now_ms,
) -> Linked:
    """Flows over these parts. ``platforms`` are those that are known without asking anybody, ``told`` hears of every
    change of a connection.
    """
    means = Means(
        store=store,
        vault=vault,
        slips=Slips(ring),
        settings=settings.connections,
        public_url=settings.public_url,
        platform_of=platform_of,
        legs=legs,
        whose=partial(whose, egress=egress),
        connections=lambda: follower.current.connections,
        several_users=lambda: len(follower.current.identities.users) > 1,
        permits=lambda flow: still_permitted(follower.current, flow, clock(), settings.stale_after_s * 1000),
        told=told,
        catch_up=follower.catch_up,
        clock=clock,
    )
    linking = Linking(means)
    return Linked(
        linking,
        Linker(linking, platforms),
        Listing(store, means.connections, platforms, clock),
        Lending(store, platforms, lambda: follower.current, follower.catch_up, clock),
        partial(sweep, means),
    )


def still_permitted(snapshot: Snapshot, flow: Flow, now: int, stale_after_ms: float) -> bool:
    """Whether what was decided when ``flow`` began has not been taken back: its person has his account, some row lets
    him connect, and none without a condition forbids it. Conditions were judged then, with what was known of him; here
    he may be absent, and less is known.
    """
    if snapshot.stale(now, stale_after_ms):
        return False
    person = flow.by or flow.owner
    if person.startswith("user:") and person.removeprefix("user:") not in snapshot.identities.users:
        return False
    access = Access(person, flow.domain, flow.owner, flow.connector, CONNECT, Context(groups=None, env={"now": now}))
    rows = snapshot.policy.matching(access)
    return any(row.effect is Effect.ALLOW for row in rows) and not any(
        row.effect is Effect.DENY and not row.when for row in rows
    )
