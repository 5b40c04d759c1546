"""Everything of the pages, put together from what was set: who signs people in, and the routes that they visit.

Part of the composition root; builds, and decides nothing.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from connectors.addresses import PUBLIC_ONLY, Exceptions, parse
from connectors.definition.platform import Platform
from connectors.egress import Egress
from connectors.oauth.legs import Legs
from connectors.oauth.openid import OpenId
from gateway.follower import Follower, now_ms
from gateway.identity import KeyRing
from gateway.mail import post
from gateway.sealing import Seal
from gateway.settings import Settings
from gateway.signing_in.desk import Desk
from gateway.signing_in.mail import post_code
from gateway.signing_in.openid import USE, OpenIdSignIn
from gateway.store.base import Store
from gateway.web.meta import Routes
from gateway.web.operations import Operations
from gateway.web.pages.connect import Connecting
from gateway.web.pages.connections import Owned
from gateway.web.pages.cookies import Cookies
from gateway.web.pages.forms import Forms
from gateway.web.pages.shell import Shell
from gateway.web.pages.sign_in import SigningIn


@dataclass(frozen=True, slots=True)
class Front:
    """``desk`` is swept now and then, and closed at the end."""

    desk: Desk
    blueprints: tuple[Routes, ...]


def front(
    settings: Settings,
    *,
    store: Store,
    follower: Follower,
    ring: KeyRing,
    operations: Operations,
    platform_of: Callable[[str], Awaitable[Platform]],
    egress: Egress,
    legs: Legs,
) -> Front:
    """The pages over these parts."""
    mail = settings.mail
    desk = Desk(
        store,
        follower,
        ring,
        stale_after=settings.stale_after_s,
        clock=now_ms,
        post=None if mail is None else post_code(post(mail), mail.sender, settings.name),
        openid=_openid(settings, ring, egress, legs),
    )
    cookies = Cookies(secure=settings.public_url.startswith("https://"))
    shell = Shell(settings.name, cookies, Forms(ring.keys("form")), desk, operations.pipeline)
    parts = (
        SigningIn(shell),
        Connecting(shell, operations, platform_of, Seal(ring.keys("ended-flow"))),
        Owned(shell, operations, now_ms),
    )
    return Front(desk, (shell.style(), *(part.blueprint() for part in parts), shell.lost()))


def _openid(settings: Settings, ring: KeyRing, egress: Egress, legs: Legs) -> OpenIdSignIn | None:
    if (oidc := settings.connections.oidc) is None:
        return None
    listed = parse(oidc.private_hosts)
    allow = listed if isinstance(listed, Exceptions) else PUBLIC_ONLY
    provider = OpenId(egress, oidc.issuer, clock=now_ms, allow=allow)
    seal = Seal(ring.keys(USE))
    return OpenIdSignIn(oidc, provider, legs, seal, public_url=settings.public_url, clock=now_ms, allow=allow)
