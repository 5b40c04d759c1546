"""The way out to one server on one user's own credential: each request carries it, and one that it is refused for is
made once more with a newer one.

A server that refuses it (401, or 403 for want of scopes: RFC 6750 §3.1) has not acted, so nothing is done twice. This
file knows no MCP message and no store.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final

from connectors.addresses import PUBLIC_ONLY, Exceptions
from connectors.base import Credential, Credentials, Personal
from connectors.egress import STANDARD, Answer, Limits, Outward
from connectors.oauth.metadata import challenge
from gateway.errors import NotConnected

UNAUTHORIZED, FORBIDDEN = 401, 403
TOO_LITTLE: Final = "insufficient_scope"

MOST_NAMED: Final = 10


class Keyed:
    """``Outward`` for ``owner`` on his connection ``id`` (``""``: his only one) to ``connector``. ``doubt`` is called
    when the server does not take a credential: what it said of its authorization may not hold any more.
    """

    def __init__(
        self,
        outward: Outward,
        credentials: Credentials,
        personal: Personal,
        *,
        connector: str,
        owner: str,
        id: str,
        doubt: Callable[[], None],
    ) -> None:
        self._outward, self._credentials, self._personal = outward, credentials, personal
        self._connector, self._owner, self._id = connector, owner, id
        self._doubt = doubt

    @asynccontextmanager
    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        limits: Limits = STANDARD,
        allow: Exceptions = PUBLIC_ONLY,
    ) -> AsyncIterator[Answer]:
        """As ``Egress.request``; raises also ``NotConnected``, ``UpstreamFailed``. What is forbidden for another reason
        than the credential is answered with that, and so is a goodbye, for which nobody waits.
        """
        credential = await self._credentials.open(self._owner, self._id)
        for last in (False, True):
            carried = {**(headers or {}), **self._header(credential)}
            async with self._outward.request(
                method, url, headers=carried, body=body, limits=limits, allow=allow
            ) as answer:
                lacks = self._lacks(answer)
                if method == "DELETE" or (answer.status != UNAUTHORIZED and lacks is None):
                    yield answer
                    return
            if lacks is not None:
                raise self._too_little(credential, lacks)
            self._doubt()
            newer = None if last else await self._credentials.renew(credential)
            if newer is None:
                raise self._missing("was refused: connect it anew", credential.id)
            credential = newer

    def _header(self, credential: Credential) -> dict[str, str]:
        secret = credential.secrets.get(self._personal.secret)
        if secret is None:
            raise self._missing("cannot be used any more: connect it anew", credential.id)
        return {self._personal.header: self._personal.prefix + secret.reveal()}

    def _lacks(self, answer: Answer) -> tuple[str, ...] | None:
        """The scopes that a server says it lacks, ``None`` where it does not complain of that."""
        if answer.status != FORBIDDEN or not self._personal.oauth:
            return None
        said = challenge(answer.headers.get("WWW-Authenticate", ""))
        return said.scopes or () if said is not None and said.error == TOO_LITTLE else None

    def _too_little(self, credential: Credential, lacks: tuple[str, ...]) -> NotConnected:
        """The operator's word on scopes is the last one."""
        said = ", ".join(f"`{each}`" for each in lacks[:MOST_NAMED]) or "it does not say which"
        if not lacks or self._personal.scopes is not None:
            why = f"the account connected to `{self._connector}` lacks rights that cannot be asked for here ({said})"
            return NotConnected(why)
        return self._missing(f"lacks rights ({said}): connect it anew to give them", credential.id, lacks)

    def _missing(self, what: str, id: str, lacks: tuple[str, ...] = ()) -> NotConnected:
        text = f"the account connected to `{self._connector}` {what}"
        return NotConnected(text, connector=self._connector, owner=self._owner, reconnect=id, scopes=lacks)
