"""Who may see the numbers of a gateway, and why it is not ready. Pure."""

import hmac
from collections.abc import Mapping
from ipaddress import ip_address

from gateway.settings.terms import MetricsSettings

FORWARDED = ("forwarded", "x-forwarded-for")


def may_watch(settings: MetricsSettings, address: str, headers: Mapping[str, str], *, forwarded: bool) -> bool:
    """Whether a request from ``address`` is one of an operator's. ``forwarded`` tells whether the address was told by a
    proxy that is trusted: of a request that came by any other, nobody knows whose it is.
    """
    offered = headers.get("authorization", "")
    if settings.token is not None and offered:
        wanted = f"Bearer {settings.token.reveal()}"
        return hmac.compare_digest(offered.encode(), wanted.encode())
    if not forwarded and any(name in headers for name in FORWARDED):
        return False
    try:
        known = ip_address(address)
    except ValueError:
        return False
    return any(known in network for network in settings.allow)
