"""Who is signed in at a browser: one function per operation, over the store.

Cookies and codes are kept as keyed hashes, each under a key that is made for this use. Nothing here asks how somebody
proved who he is, and nothing leaves an audit entry: both belong to the page through which he came.
"""

import hmac
import secrets
from collections.abc import Iterator
from typing import Final, TypeVar

from msgspec import structs

from connectors.base import Secret
from gateway.identity import KeyRing
from gateway.manage.remains import every, remove_if_there
from gateway.records import MailedCode, SignIn
from gateway.store.base import Conflict, NotFound, Records, Store

R = TypeVar("R", SignIn, MailedCode)

LASTS_MS: Final = 8 * 3_600_000
"""How long a sign-in holds, whatever is done in the meantime."""

CODE_LASTS_MS: Final = 10 * 60_000
CODE_DIGITS: Final = 8
CODE_TRIES: Final = 5

_USE: Final = "sign-in"
_LONGEST: Final = 200


async def sign_in(store: Store, ring: KeyRing, subject: str, *, how: str, key: str = "", now: int) -> Secret:
    """Sign ``subject`` in and return the cookie that proves it. ``key`` is the credential of the API key, if he came
    by one.
    """
    cookie = secrets.token_urlsafe(32)
    record = SignIn(
        id=_hash(ring, cookie), subject=subject, how=how, key=key, created_at=now, expires_at=now + LASTS_MS
    )
    await store.sign_ins.add(record)
    return Secret(cookie)


async def find_sign_in(store: Store, ring: KeyRing, cookie: str, *, now: int) -> SignIn | None:
    """The sign-in that a cookie proves, while it holds. Whether its account does is asked of the identities."""
    found = await _find(store.sign_ins, ring, cookie)
    return found if found is not None and now < found.expires_at else None


async def sign_out(store: Store, ring: KeyRing, cookie: str) -> None:
    """End the sign-in of this browser; nothing when there is none."""
    if (found := await _find(store.sign_ins, ring, cookie)) is not None:
        await remove_if_there(store.sign_ins, found.id)


async def mail_code(store: Store, ring: KeyRing, subject: str, *, now: int) -> tuple[Secret, Secret]:
    """A new code for ``subject`` (``""`` for an address that nobody has: no code will do) and the cookie of the
    browser that alone can use it.
    """
    cookie, code = secrets.token_urlsafe(32), f"{secrets.randbelow(10**CODE_DIGITS):0{CODE_DIGITS}}"
    record = MailedCode(
        id=_hash(ring, cookie),
        subject=subject,
        code=_hash(ring, f"{cookie}:{code}"),
        created_at=now,
        expires_at=now + CODE_LASTS_MS,
    )
    await store.mailed_codes.add(record)
    return Secret(cookie), Secret(code)


async def take_code(store: Store, ring: KeyRing, cookie: str, typed: str, *, now: int) -> str:
    """Whom the code that was typed proves; it is good for once. ``""`` when it is wrong, too late, used, or wrong for
    the last time: no try is ever left uncounted.
    """
    found = await _find(store.mailed_codes, ring, cookie)
    if found is None or now >= found.expires_at or found.tries >= CODE_TRIES:
        return ""
    try:
        counted = await store.mailed_codes.replace(structs.replace(found, tries=found.tries + 1))
    except (Conflict, NotFound):
        return ""  # another try of the same browser is under way
    right = any(hmac.compare_digest(counted.code, each) for each in _hashes(ring, f"{cookie}:{_digits(typed)}"))
    if not right or not counted.subject:
        return ""
    return counted.subject if await remove_if_there(store.mailed_codes, counted.id) else ""


async def sweep(store: Store, *, now: int) -> int:
    """Remove sign-ins and codes that have ended; returns how many."""
    return await _sweep(store.sign_ins, now) + await _sweep(store.mailed_codes, now)


def _digits(typed: str) -> str:
    """People type codes as they read them, in groups."""
    return "".join(each for each in typed[:_LONGEST] if each.isascii() and each.isdecimal())


async def _find(records: Records[R], ring: KeyRing, cookie: str) -> R | None:
    if not 0 < len(cookie) <= _LONGEST:
        return None
    for hashed in _hashes(ring, cookie):
        if (found := await records.get(hashed)) is not None:
            return found
    return None


def _hash(ring: KeyRing, text: str) -> str:
    return next(_hashes(ring, text))


def _hashes(ring: KeyRing, text: str) -> Iterator[str]:
    """The keyed hash of ``text`` under every known secret, the current one first."""
    body = text.encode("utf-8", "surrogatepass")
    return (hmac.digest(key, body, "sha256").hex() for key in ring.keys(_USE))


async def _sweep(records: Records[R], now: int) -> int:
    late = [record.id async for record in every(records) if now >= record.expires_at]
    return sum([await remove_if_there(records, id) for id in late])
