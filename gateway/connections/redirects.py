"""Where browsers are sent: to a registered address and nowhere else, and where platforms send them back to us.

Pure. An address is compared to the letter: nothing is parsed, completed or normalised on the way (RFC 9700 §4.1.3).
"""

from collections.abc import Collection
from urllib.parse import quote, urlencode

from gateway.records import Flow


def is_registered(back: str, redirects: Collection[str]) -> bool:
    """Whether a browser may be sent to ``back``."""
    return back in redirects


def link_uri(public_url: str, slip: str) -> str:
    """The page of a flow."""
    return f"{public_url}/connect/{slip}"


def callback_uri(public_url: str, tenant: str, connector: str) -> str:
    """Where a platform sends browsers back to: one address for each tenant and connector, so that what one platform
    answers is never taken for another's (RFC 9700 §4.4).
    """
    return f"{public_url}/oauth/callback/{quote(tenant, safe='')}/{quote(connector, safe='')}"


def address_back(flow: Flow, code: str = "") -> str:
    """Where the browser goes at the end of ``flow``, ``""`` for our own page; ``code`` is for the host application. No
    text of a platform is ever appended.
    """
    if not flow.back:
        return ""
    told = {"flow": flow.id, "status": flow.stage.value, **({"code": code} if code else {})}
    return f"{flow.back}{'&' if '?' in flow.back else '?'}{urlencode(told)}"
