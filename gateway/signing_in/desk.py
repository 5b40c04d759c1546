"""Where a browser is signed in and out: each way to prove who one is, over the records of sign-ins.

How often anybody may try is counted here, in this process. Nothing here leaves an audit entry: that is done where the
request comes in. This file knows no page and no cookie by name.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeVar

from connectors.base import Secret
from gateway.errors import Refusal, Unauthenticated, Unavailable
from gateway.identity import Identities, KeyRing, normal_email
from gateway.mail import NotMailed
from gateway.manage.sign_ins import find_sign_in, mail_code, sign_in, sign_out, sweep, take_code
from gateway.pipeline.arriving import by_key
from gateway.pipeline.buckets import Buckets
from gateway.policy.limits import Limit
from gateway.policy.terms import MAIN, Subject
from gateway.signing_in.mail import PostCode
from gateway.signing_in.openid import Leaving, NotSignedIn, OpenIdSignIn
from gateway.snapshot import Snapshot
from gateway.store import base
from gateway.store.base import Store

T = TypeVar("T")

TRIES: Final = Limit(calls=60, window_ms=60_000)
"""How often one address may try to prove who somebody is, in whatever way."""

CODES: Final = Limit(calls=5, window_ms=3_600_000)
MOST_CODES: Final = Limit(calls=20, window_ms=3_600_000)
"""How many codes are mailed to one person: for one address that asks, and for all of them."""

SWEEP_MS: Final = 600_000
"""How often at most all records are looked through."""

MAILS_AT_ONCE: Final = 4
MAILS_WAITING: Final = 100

log = logging.getLogger(__name__)


class WrongCode(Refusal):
    code, status, kind = -31009, 403, "wrong_code"


class Following(Protocol):
    """Whoever keeps the snapshot current (``gateway/follower.py``)."""

    @property
    def current(self) -> Snapshot: ...


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who has signed in, the cookie that proves it from now on, and the page that he wanted (``""``: not told)."""

    subject: Subject
    cookie: Secret
    next: str = field(default="")


class Desk:
    """``post`` mails codes and ``openid`` is the operator's provider, ``None`` where there is none; ``clock`` tells ms
    since the epoch. Identities that were not confirmed for ``stale_after`` seconds prove nobody. Every method raises
    ``Unavailable`` when the store does not answer.
    """

    def __init__(
        self,
        store: Store,
        follower: Following,
        ring: KeyRing,
        *,
        stale_after: float,
        clock: Callable[[], int],
        post: PostCode | None = None,
        openid: OpenIdSignIn | None = None,
    ) -> None:
        self._store, self._follower, self._ring, self._now = store, follower, ring, clock
        self._post, self._openid = post, openid
        self._stale_after_ms = stale_after * 1000
        self._buckets = Buckets()
        self._turns = asyncio.Semaphore(MAILS_AT_ONCE)
        self._swept_at = 0
        self._mails: set[asyncio.Task[None]] = set()

    @property
    def mails(self) -> bool:
        """Whether codes can be mailed."""
        return self._post is not None

    @property
    def provider(self) -> str:
        """What people call the operator's provider, ``""`` where there is none."""
        return "" if self._openid is None else self._openid.name

    async def who(self, cookie: str) -> Subject | None:
        """Who is signed in with that cookie, if anybody still is."""
        found = await _answered(find_sign_in(self._store, self._ring, cookie, now=self._now())) if cookie else None
        if found is None:
            return None
        try:
            return self._identities().signed_in(found, self._now())
        except Unauthenticated:
            return None

    async def by_key(self, key: str, *, address: str, former: str) -> SignedIn:
        """Whom an API key proves, which has to count on the main server. ``address`` is the client's, ``former`` the
        cookie that is replaced. Raises ``Unauthenticated``, ``Limited``.
        """
        self._count(address)
        subject = by_key(self._confirmed(), MAIN, key.strip(), self._now())
        return await self._sign_in(subject.name, how="key", key=subject.credential, former=former)

    async def ask_code(self, email: str, *, address: str) -> Secret:
        """The cookie of a browser to whose person a code is mailed, if he has an account; nobody learns whether he
        does, by the answer or by how long it takes. Raises ``Limited``, ``NotSignedIn``.
        """
        if self._post is None:
            raise NotSignedIn("codes are not mailed here; sign in another way")
        self._count(address)
        try:
            id = normal_email(email)
        except ValueError as error:
            raise NotSignedIn(f"{error}; type your address again") from None
        self._buckets.take(("mail", id, address), CODES, self._now())
        self._buckets.take(("mail", id), MOST_CODES, self._now())
        known = id in self._identities().users
        subject = f"user:{id}" if known else ""
        cookie, code = await _answered(mail_code(self._store, self._ring, subject, now=self._now()))
        if known:
            self._mail(self._post, id, code)
        return cookie

    async def by_code(self, cookie: str, typed: str, *, address: str, former: str) -> SignedIn:
        """Whom a mailed code proves. Raises ``WrongCode``, ``Limited``."""
        self._count(address)
        name = await _answered(take_code(self._store, self._ring, cookie, typed, now=self._now()))
        if not name:
            raise WrongCode("that code is wrong, or does not hold any more; look at it again, or ask for another")
        return await self._sign_in(name, how="mail", former=former)

    async def leave(self, next: str, *, address: str) -> Leaving:
        """The way to the operator's provider. Raises ``NotSignedIn``, ``Limited``, ``UpstreamFailed``."""
        self._count(address)
        return await self._provided().leave(next)

    def attempt_of(self, query: Sequence[tuple[str, str]]) -> str:
        """The id of the attempt that a provider's answer speaks of; proves nothing."""
        return OpenIdSignIn.attempt_of(query)

    async def come_back(self, query: Sequence[tuple[str, str]], kept: str, *, address: str, former: str) -> SignedIn:
        """Whom the operator's provider vouches for. Raises ``NotSignedIn``, ``Limited``, ``UpstreamFailed``."""
        self._count(address)
        found = await self._provided().come_back(query, kept)
        if found.email not in self._identities().users:
            raise NotSignedIn(f"there is no account for `{found.email}` here; ask the operator for one")
        signed_in = await self._sign_in(f"user:{found.email}", how="oidc", former=former)
        return SignedIn(signed_in.subject, signed_in.cookie, found.next)

    async def out(self, cookie: str) -> None:
        """End the sign-in of this browser."""
        await _answered(sign_out(self._store, self._ring, cookie))

    async def sweep(self) -> int:
        """Forget what has ended, now and then however often this is called; returns how many records."""
        now = self._now()
        if now < self._swept_at + SWEEP_MS:
            return 0
        self._swept_at = now
        return await _answered(sweep(self._store, now=now))

    async def close(self) -> None:
        """Give up the mails that wait."""
        for task in self._mails:
            task.cancel()
        await asyncio.gather(*self._mails, return_exceptions=True)

    async def _sign_in(self, name: str, *, how: str, former: str, key: str = "") -> SignedIn:
        """A new cookie for each sign-in, and the former one ends: nobody can prepare a browser for another."""
        if former:
            await self.out(former)
        cookie = await _answered(sign_in(self._store, self._ring, name, how=how, key=key, now=self._now()))
        subject = await self.who(cookie.reveal())
        if subject is None:
            raise NotSignedIn("the account was ended meanwhile; ask the operator")
        return SignedIn(subject, cookie)

    def _identities(self) -> Identities:
        return self._confirmed().identities

    def _confirmed(self) -> Snapshot:
        snapshot = self._follower.current
        if snapshot.stale(self._now(), self._stale_after_ms):
            raise Unavailable("who has an account cannot be confirmed now; try again later")
        return snapshot

    def _provided(self) -> OpenIdSignIn:
        if self._openid is None:
            raise NotSignedIn("no provider is set up here; sign in another way")
        return self._openid

    def _count(self, address: str) -> None:
        self._buckets.take(("try", address), TRIES, self._now())

    def _mail(self, post: PostCode, to: str, code: Secret) -> None:
        if len(self._mails) >= MAILS_WAITING:
            log.error("a code was not mailed: %d mails wait already", len(self._mails))
            return
        task = asyncio.create_task(self._hand_in(post, to, code), name="mail")
        self._mails.add(task)
        task.add_done_callback(self._mails.discard)

    async def _hand_in(self, post: PostCode, to: str, code: Secret) -> None:
        async with self._turns:
            try:
                await post(to, code)
            except NotMailed as no:
                log.error("a code was not mailed: %s", no)  # noqa: TRY400


async def _answered(work: Coroutine[Any, Any, T]) -> T:
    try:
        return await work
    except base.Unavailable:
        raise Unavailable("the store does not answer; try again later") from None
