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
from gateway.pipeline.chain import CONNECT, facts_of
from gateway.pipeline.connecting import Blank, Link, Wants
from gateway.policy.engine import Policy
from gateway.policy.terms import MAIN, SYSTEM, Access, Context, Effect, Rule
from gateway.records import Connected, Flow
from gateway.servers.known import server_of
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
        servers=lambda: follower.current.servers,
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
    """Whether what was decided when ``flow`` began has not been taken back: its person has his account, or the server
    whose end user he is; and to him, and to who offers that server, some row gives the right to connect, and none
    forbids it. Conditions on anything but what is connected were judged then, with what was known of the two; here they
    may be absent, and less is known.
    """
    if snapshot.stale(now, stale_after_ms):
        return False
    person = flow.by or flow.owner
    offered = snapshot.servers.get(flow.domain)
    if (own := server_of(person)) and (offered is None or offered.id != own):
        return False
    asked = [(person, flow.domain, flow.owner)]
    if offered is not None:
        asked.append((offered.owner, MAIN, SYSTEM if flow.owner == SYSTEM else offered.owner))
    return all(_there(snapshot, each[0]) and _may(snapshot.policy, flow, now, *each) for each in asked)


def _there(snapshot: Snapshot, subject: str) -> bool:
    """Whether an account is still there, of whom has one."""
    return not subject.startswith("user:") or subject.removeprefix("user:") in snapshot.identities.users


def _may(policy: Policy, flow: Flow, now: int, subject: str, domain: str, owner: str) -> bool:
    known = Context(groups=None, env={"now": now}, tool=facts_of(flow.connector))
    rows = policy.matching(Access(subject, domain, owner, flow.connector, CONNECT, known))
    return any(row.effect is Effect.ALLOW and _says(policy, row, known) is not False for row in rows) and not any(
        row.effect is Effect.DENY and _says(policy, row, known) is True for row in rows
    )


def _says(policy: Policy, row: Rule, known: Context) -> bool | None:
    """What the condition of a row says; ``None`` where it asks for more than what is to be connected."""
    if not row.when:
        return True
    condition = policy.condition(row.when)
    return condition.judge(known) if all(path[0] == "tool" for path in condition.fields) else None
