"""What a key may be: how it is called, where it counts, how long it lives, and what may be made with it.

With a key that counts on some servers alone nobody makes a key or a token that counts elsewhere, nor one that outlives
it. This file knows no store.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from gateway.errors import InvalidArguments
from gateway.manage.asking import Asker
from gateway.records import ApiKey

DAY_MS: Final = 24 * 60 * 60 * 1000
MOST_DAYS: Final = 3650
MOST_NAME: Final = 100
MOST_SERVERS: Final = 100
MOST_KEYS: Final = 50
"""Keys of one account that count at the same time."""
MOST_OVERLAP_S: Final = 7 * 24 * 3600


def check_maker(asker: Asker, servers: Sequence[str], expires_at: int | None) -> None:
    """Raises ``InvalidArguments`` where a key that proves ``asker`` makes nothing that lets somebody in on ``servers``
    (none: everywhere) until ``expires_at`` (ms since the epoch; ``None``: for good).
    """
    for maker in _confined(asker):
        if not servers or not set(servers) <= set(maker.servers):
            listed = ", ".join(f"`{each}`" for each in maker.servers)
            raise InvalidArguments(
                f"`servers`: your key counts on {listed} alone, and opens nothing elsewhere; name only these"
            )
        if maker.expires_at is not None and (expires_at is None or expires_at > maker.expires_at):
            raise InvalidArguments(
                "`expiresInDays`: your key counts on some servers alone, and makes nothing that outlives it; say fewer"
            )


def key_name(text: str) -> str:
    """``text`` as the name of a key. Raises ``ValueError`` with a sentence."""
    plain = text.strip()
    if len(plain) > MOST_NAME or not plain.isprintable():
        raise ValueError(f"a name has at most {MOST_NAME} characters, all of them printable")
    return plain


def end_of(days: int | None, now: int) -> int | None:
    """When a key of so many days ends (ms since the epoch; ``None``: never). Raises ``ValueError`` with a sentence."""
    if days is None:
        return None
    if not 1 <= days <= MOST_DAYS:
        raise ValueError(f"a key lives 1 to {MOST_DAYS} days")
    return now + days * DAY_MS


def days_until(expires_at: int | None, now: int) -> int | None:
    """How many days are left until then, the last one counted whole."""
    return None if expires_at is None else -(-(expires_at - now) // DAY_MS)


def _confined(asker: Asker) -> Iterator[ApiKey]:
    """The keys that prove him and count on some servers alone."""
    known, subject = asker.identities.keys, asker.subject
    found = (known.get(each) for each in (subject.credential, *subject.rests_on))
    return (each for each in found if each is not None and each.servers)
