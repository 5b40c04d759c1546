"""One signed request out and its answer in, past the circuit of its host.

It knows nothing of actions; whether something is asked again is not decided here.
"""

import asyncio
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from connectors.addresses import Exceptions
from connectors.egress import Egress, Limits
from connectors.outgoing import EgressError, Fault
from connectors.rest.answer import Heard
from connectors.rest.breaker import Breaker
from connectors.rest.redacting import without
from connectors.rest.signing import Signed
from gateway.errors import UpstreamFailed

LARGEST: Final = 16 * 2**20
"""Bytes of one answer."""

_BROKEN: Final = frozenset({Fault.DNS, Fault.CONNECT, Fault.TLS, Fault.TIMEOUT, Fault.LOST, Fault.GARBLED})
_OVERLOADED: Final = frozenset({502, 503, 504})


class Exchange:
    """The way of one connector, ``name`` in texts, to its hosts. ``clock`` gives milliseconds since the epoch."""

    def __init__(self, name: str, egress: Egress, breaker: Breaker, clock: Callable[[], int]) -> None:
        self._name = name
        self._egress = egress
        self._breaker = breaker
        self._clock = clock

    async def __call__(self, signed: Signed, *, allow: Exceptions, within: float) -> Heard:
        """The answer, of any status, without the credential should it repeat one; ``within`` is in seconds.

        Raises ``UpstreamFailed``: no answer, or the host is left alone for a while.
        """
        host = urlsplit(signed.url).netloc
        if wait := self._breaker.enter(host, self._clock()):
            raise UpstreamFailed(
                f"`{self._name}` did not answer several times, so it is left alone; try again in {-(-wait // 1000)} s"
            )
        try:
            async with asyncio.timeout(within):
                heard = await self._sent(signed, allow, within)
        except TimeoutError:
            self._breaker.failed(host, self._clock())
            raise UpstreamFailed(f"`{self._name}` took too long{_doubt(signed)}") from None
        except EgressError as error:
            if error.kind in _BROKEN:
                self._breaker.failed(host, self._clock())
            doubt = _doubt(signed) if error.sent else ""
            raise UpstreamFailed(f"`{self._name}` could not be asked: {error}{doubt}") from None
        finally:
            self._breaker.left(host)
        if heard.status in _OVERLOADED:
            self._breaker.failed(host, self._clock())
        else:
            self._breaker.answered(host)
        return heard

    async def _sent(self, signed: Signed, allow: Exceptions, within: float) -> Heard:
        limits = Limits(idle=within, max_bytes=LARGEST)
        sending = self._egress.request(
            signed.method, signed.url, headers=signed.headers, body=signed.body, limits=limits, allow=allow
        )
        async with sending as answer:
            body = await answer.read()
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return Heard(answer.status, headers, without(signed.hidden, body))


def _doubt(signed: Signed) -> str:
    return "" if signed.method in ("GET", "HEAD") else "; whether it was done is not known"
