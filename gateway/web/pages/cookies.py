"""The cookies of the pages: their names, how long they last, and who may read them.

Over https every name begins with ``__Host-`` (RFC 6265bis §4.1.3.2), so that no other host, not even one of the same
domain, can put one in its place. Plain http exists on loopback alone; there the prefix is left out, because not every
browser takes ``Secure`` cookies there. This file knows no page.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from quart import Response

from connectors.base import Secret


class Use(StrEnum):
    """What a cookie is for; ``FLOW``, ``ENDED`` and ``OPENID`` exist once for each flow or attempt."""

    SIGN_IN = "sign-in"
    VISIT = "visit"
    CODE = "code"
    FLOW = "flow"
    ENDED = "ended"
    OPENID = "openid"


SECONDS: Final[Mapping[Use, int | None]] = {
    Use.SIGN_IN: 8 * 3600,
    Use.VISIT: None,
    Use.CODE: 600,
    Use.FLOW: 900,
    Use.ENDED: 900,
    Use.OPENID: 600,
}
"""``None``: until the browser is closed."""


@dataclass(frozen=True, slots=True)
class Cookies:
    """``secure``: whether the pages are served over https."""

    secure: bool

    def name(self, use: Use, of: str = "") -> str:
        return f"{'__Host-' if self.secure else ''}ostiary-{use}" + (f"-{of}" if of else "")

    def read(self, sent: Mapping[str, str], use: Use, of: str = "") -> str:
        """The value of a cookie that a browser sent, ``""`` where it did not."""
        return sent.get(self.name(use, of), "")

    def put(self, response: Response, use: Use, value: Secret, of: str = "") -> None:
        """Lax, not Strict: a browser that comes back from a platform or a mail must still be known."""
        response.set_cookie(
            self.name(use, of),
            value.reveal(),
            max_age=SECONDS[use],
            path="/",
            secure=self.secure,
            httponly=True,
            samesite="Lax",
        )

    def drop(self, response: Response, use: Use, of: str = "") -> None:
        response.delete_cookie(self.name(use, of), path="/", secure=self.secure, httponly=True, samesite="Lax")
