"""Telling an operator's server of every change of a connection: one signed POST each, tried again while it fails.

Signed as Standard Webhooks (1.0) says: ``webhook-id``, ``webhook-timestamp``, ``webhook-signature``. What is told holds
no secret. What waits is kept in memory, so a process that ends takes it along.
"""

import asyncio
import base64
import binascii
import hashlib
import hmac
import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import msgspec

from connectors.addresses import PUBLIC_ONLY, Exceptions
from connectors.base import Secret
from connectors.egress import Egress, EgressError, Limits
from gateway.records import Connected

PAUSES_S: Final = (1.0, 5.0, 30.0, 120.0, 600.0)
"""Before each further attempt."""

MOST_WAITING: Final = 1000
LIMITS: Final = Limits(connect=5.0, idle=10.0, total=15.0, max_bytes=65_536)

_BASE64: Final = "whsec_"
_AGAIN: Final = frozenset({408, 425, 429})

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Message:
    """What is told, and the id by which the receiver knows it again when it comes twice."""

    id: str
    body: bytes


def message(record: Connected, at: int) -> Message:
    """What is told of a connection that changed ``at`` (ms since the epoch)."""
    told = {
        "type": "connection.changed",
        "timestamp": at // 1000,
        "data": {
            "connection": record.id,
            "tenant": record.tenant,
            "owner": record.owner,
            "connector": record.connector,
            "status": record.status,
            "reason": record.reason,
            "at": at,
        },
    }
    return Message(f"msg_{secrets.token_hex(16)}", msgspec.json.encode(told))


def key_of(secret: Secret) -> bytes:
    """The key of a webhook secret: what stands behind ``whsec_`` in base64, any other text as it is."""
    text = secret.reveal()
    if text.startswith(_BASE64):
        try:
            return base64.b64decode(text.removeprefix(_BASE64), validate=True)
        except binascii.Error:
            pass
    return text.encode()


def headers(key: bytes, message: Message, at: int) -> dict[str, str]:
    """The signed headers of one attempt at ``at`` (ms since the epoch)."""
    seconds = str(at // 1000)
    signed = f"{message.id}.{seconds}.".encode() + message.body
    signature = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    return {
        "Content-Type": "application/json",
        "webhook-id": message.id,
        "webhook-timestamp": seconds,
        "webhook-signature": f"v1,{signature}",
    }


class Webhook:
    """``changed`` takes note at once, ``run`` delivers, one after the other."""

    def __init__(
        self,
        url: str,
        secret: Secret,
        egress: Egress,
        *,
        clock: Callable[[], int],
        allow: Exceptions = PUBLIC_ONLY,
        pauses: tuple[float, ...] = PAUSES_S,
    ) -> None:
        self._url, self._key, self._egress, self._allow = url, key_of(secret), egress, allow
        self._clock, self._pauses = clock, pauses
        self._waiting: asyncio.Queue[Message] = asyncio.Queue(MOST_WAITING)

    def changed(self, record: Connected) -> None:
        """Have it told; when too much waits already, it is not, and the log says so."""
        try:
            self._waiting.put_nowait(message(record, self._clock()))
        except asyncio.QueueFull:
            log.error("the webhook is not told of connection `%s`: %d changes wait already", record.id, MOST_WAITING)  # noqa: TRY400

    async def run(self) -> None:
        """Deliver until cancelled."""
        while True:
            await self.deliver(await self._waiting.get())

    async def drain(self) -> None:
        """Deliver what waits, and nothing that comes later."""
        while not self._waiting.empty():
            await self.deliver(self._waiting.get_nowait())

    async def deliver(self, message: Message) -> bool:
        """Whether the receiver took it, at the first attempt or a later one."""
        for pause in (*self._pauses, None):
            fault, again = await self._attempt(message)
            if not fault:
                return True
            if pause is None or not again:
                log.error("the webhook did not take %s: %s", message.id, fault)
                return False
            await asyncio.sleep(pause)
        return False

    async def _attempt(self, message: Message) -> tuple[str, bool]:
        """What went wrong, ``""`` if nothing did, and whether to try again."""
        try:
            async with self._egress.request(
                "POST",
                self._url,
                headers=headers(self._key, message, self._clock()),
                body=message.body,
                limits=LIMITS,
                allow=self._allow,
            ) as answer:
                status = answer.status
        except EgressError as error:
            return str(error), True
        if status < 300:
            return "", False
        return f"HTTP {status}", status >= 500 or status in _AGAIN
