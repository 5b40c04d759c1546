"""Everything that holds credentials and keeps them usable, put together from what was set.

Part of the composition root; builds, and decides nothing.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from connectors.addresses import PUBLIC_ONLY, Exceptions, parse
from connectors.egress import Egress
from connectors.oauth.legs import Legs
from connectors.rest.identity import whose
from gateway.connections.latest import Latest
from gateway.connections.own import Own
from gateway.connections.renewing import Renewing
from gateway.connections.tending import Tending
from gateway.connections.uses import Uses
from gateway.connections.wallet import PlatformOf, Wallet
from gateway.connections.webhook import PAUSES_S, Webhook
from gateway.follower import Follower, now_ms
from gateway.identity import KeyRing
from gateway.records import Connected
from gateway.settings import Settings
from gateway.store.base import Store
from gateway.vault import LocalKeys, Vault


@dataclass(frozen=True, slots=True)
class Held:
    """``wallet`` gives the credentials of connectors. ``told`` is to hear of every change of a connection. ``loops``
    run, each on its own, for as long as the process serves; ``close`` lets what is being renewed be stored.
    """

    wallet: Wallet
    told: Callable[[Connected], None]
    loops: Mapping[str, Callable[[], Awaitable[None]]] = field(repr=False)
    close: Callable[[], Awaitable[None]] = field(repr=False)


def vault_of(ring: KeyRing) -> Vault:
    """The vault under the operator's secrets."""
    return Vault(LocalKeys(ring))


def webhook_of(
    settings: Settings, egress: Egress, *, clock: Callable[[], int] = now_ms, pauses: tuple[float, ...] = PAUSES_S
) -> Webhook | None:
    """The operator's webhook, ``None`` where he set none."""
    set_ = settings.connections
    if not set_.webhook or set_.webhook_secret is None:
        return None
    allow = parse(set_.webhook_private_hosts)
    return Webhook(
        set_.webhook,
        set_.webhook_secret,
        egress,
        clock=clock,
        allow=allow if isinstance(allow, Exceptions) else PUBLIC_ONLY,  # the settings checked them
        pauses=pauses,
    )


def held(
    settings: Settings,
    *,
    store: Store,
    vault: Vault,
    follower: Follower,
    platform_of: PlatformOf,
    egress: Egress,
    legs: Legs,
    clock: Callable[[], int] = now_ms,
) -> Held:
    """The wallet over these parts, and what runs beside it."""
    webhook = webhook_of(settings, egress, clock=clock)
    told = _nobody if webhook is None else webhook.changed
    latest = Latest(lambda: follower.current.connections)
    renewing = Renewing(store.connections, latest, vault, legs, clock=clock, changed=told)
    uses = Uses(store.connections, latest, clock=clock)
    fixed = {each.id: each.credential for each in settings.connectors}
    wallet = Wallet(
        latest,
        renewing,
        Own(fixed, legs, clock=clock),
        uses,
        platform_of=platform_of,
        whose=partial(whose, egress=egress),
        clock=clock,
    )
    tending = Tending(latest, renewing, platform_of, clock=clock)
    loops = {"tending": tending.run, **({} if webhook is None else {"webhook": webhook.run})}

    async def close() -> None:
        await renewing.close()
        await uses.close()

    return Held(wallet, told, loops, close)


def _nobody(_: Connected) -> None:
    """There is no webhook."""
