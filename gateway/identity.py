"""Who asks: from the credential that a request offers to a verified ``Subject``, or to nobody.

Here belong the places where a key may stand, the keyed hash, and the snapshot of accounts and keys.
This file knows no store, no transport and no policy; time comes in as an argument.
"""

import hmac
import re
import secrets
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar
from urllib.parse import unquote_to_bytes

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gateway.errors import Unauthenticated
from gateway.policy.terms import Subject
from gateway.records import ApiKey, SignIn, User

T = TypeVar("T")

MISSING: Final = "Missing apiKey"
INVALID: Final = "Invalid apiKey. Please contact the administrator to request access or a valid API key."

QUERY_REFUSED: Final = "An apiKey in the query is not accepted here. Please send it as the header x-apikey."

PREFIX_LENGTH: Final = 8
"""So much of a key is kept in the clear, to tell keys apart: ``ost_`` and four characters."""

_CREDENTIAL_LENGTH: Final = 16
_SIGN_IN: Final = "web-"
"""What the credential of a subject begins with that signed in without a key; its moment and its record follow."""

ISSUER: Final = "iss-"
"""What the proof of an account begins with that an issuer of the operator's vouches for."""

_PLAIN: Final = re.compile(rb"[A-Za-z0-9._~+/-]{1,4096}={0,2}")
_SIGNED: Final = re.compile(r"eyJ[A-Za-z0-9_-]*\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")
_MOST_SIGNED: Final = 16 * 1024
_QUERY_NAMES: Final = ("apiKey", "apikey")
_KEYLIKE: Final = re.compile(r"apikey(\W.*)?", re.IGNORECASE | re.DOTALL)
_HEADER_NAMES: Final = (b"x-apikey", b"apikey", b"authorization")
_EMAIL: Final = re.compile(r"[^\s@,:;<>()\[\]\\\"*/]+@[^\s@,:;<>()\[\]\\\"*/'`]+")


def offered(headers: Iterable[tuple[bytes, bytes]], query: bytes, *, accept_query: bool) -> str | None:
    """The one credential that a request offers, or ``None``.

    It may stand in ``x-apikey``, ``apikey``, ``Authorization: Bearer`` and in the query as ``apiKey`` or
    ``apikey``, at most once in each place; several places must agree on one value. Raises
    ``Unauthenticated`` for everything else: doubled, nested, empty, oversized or malformed values, and
    a key in the query where that is switched off. Another scheme than Bearer offers nothing.
    """
    found = [*_in_headers(headers), *_in_query(query, accept=accept_query)]
    if not found:
        return None
    if len(set(found)) > 1:
        raise _refused("two places offer different keys")
    if _PLAIN.fullmatch(found[0]) is None and not looks_signed(found[0].decode("latin-1")):
        raise _refused("the key is not one plain value")
    return found[0].decode("ascii")


def looks_signed(text: str) -> bool:
    """Whether ``text`` has the form of a signed token (JWS compact, its header an object)."""
    return len(text) <= _MOST_SIGNED and _SIGNED.fullmatch(text) is not None


def missing() -> Unauthenticated:
    """The refusal of a request that offers nothing."""
    return Unauthenticated(MISSING)


def new_key() -> str:
    """A fresh API key of 256 random bits; the caller shows it once and stores its hash."""
    return f"ost_{secrets.token_urlsafe(32)}"


def vouched_email(text: str) -> str:
    """The account that an address names which somebody else verified. Raises ``ValueError``, also for one whose letters
    only look like its: a Kelvin sign is no `k` to who verified the address, but becomes one where letters are folded.
    """
    id = normal_email(text)
    if id.isascii() and not text.isascii():
        raise ValueError("the address has letters that stand for others")
    return id


def normal_email(text: str) -> str:
    """``text`` as the id of an account: lower case, NFC. Raises ``ValueError`` with a sentence."""
    email = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text.strip()).lower())
    if "\N{KELVIN SIGN}" in text:  # NFC makes a K of it, and so the address of somebody else
        raise ValueError(f"`{_visible(text)}` is not an e-mail address: write a plain `K`")
    if len(email.encode("utf-8", "replace")) > 254:
        raise ValueError("an e-mail address has at most 254 bytes")
    if _EMAIL.fullmatch(email) is None or "=?" in email or any(unicodedata.category(each)[0] in "CZ" for each in email):
        raise ValueError(f"`{_visible(text)}` is not an e-mail address such as `name@example.com`")
    return email


class KeyRing:
    """The operator's secrets, first the current one, as functions that nobody can turn back.

    From each secret one key per use is derived (HKDF-SHA256, RFC 5869), so that no use learns another's.
    """

    __slots__ = ("_hashing", "_masters", "current")

    def __init__(self, masters: Sequence[tuple[str, bytes]]) -> None:
        """``masters`` are (id, secret). Raises ``ValueError`` when there is none or an id comes twice."""
        self._masters = dict(masters)
        if not masters or len(self._masters) != len(masters):
            raise ValueError("a key ring needs at least one secret, each with its own id")
        self.current = masters[0][0]
        self._hashing = {id: self.derive(id, "api-key") for id in self._masters}

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of all secrets, the current one first."""
        return tuple(self._masters)

    def derive(self, secret_id: str, use: str) -> bytes:
        """32 bytes for one use (``vault``, ``audit``…) of one secret; ``KeyError`` on an unknown id."""
        return HKDF(SHA256(), 32, salt=None, info=f"ostiary/{use}/1".encode()).derive(self._masters[secret_id])

    def keys(self, use: str) -> tuple[bytes, ...]:
        """``derive`` for every known secret, the current one first."""
        return tuple(self.derive(id, use) for id in self._masters)

    def derived(self, use: str) -> dict[str, bytes]:
        """The same by the id of each secret, the current one first."""
        return {id: self.derive(id, use) for id in self._masters}

    def hash(self, key: str) -> str:
        """The keyed hash of an API key under the current secret: what is stored instead of it."""
        return self._hash(self.current, key)

    def hashes(self, key: str) -> Iterator[str]:
        """The keyed hash under every known secret, the current one first."""
        return (self._hash(id, key) for id in self._hashing)

    def _hash(self, secret_id: str, key: str) -> str:
        return hmac.digest(self._hashing[secret_id], key.encode("utf-8", "surrogatepass"), "sha256").hex()

    def __repr__(self) -> str:
        return f"KeyRing({', '.join(self._masters)})"

    def __reduce__(self) -> str:
        raise TypeError("secrets cannot be copied out of the process")


@dataclass(frozen=True, slots=True)
class Identities:
    """Every account and every key that counts, as of one moment; never changed in place."""

    ring: KeyRing
    users: Mapping[str, User] = field(default_factory=dict)
    keys: Mapping[str, ApiKey] = field(default_factory=dict)
    """By credential, which is the short form of the key's id."""
    _addresses: list[tuple[str, ...]] = field(default_factory=list, repr=False, compare=False)
    _ends: list[list[int]] = field(default_factory=list, repr=False, compare=False)
    """When keys end, in order; like the addresses looked up once, and kept as long as they stay the same."""

    @property
    def addresses(self) -> tuple[str, ...]:
        """The ids of all accounts, in order; remembered as long as they stay the same."""
        if not self._addresses:
            self._addresses.append(tuple(sorted(self.users)))
        return self._addresses[0]

    @classmethod
    def of(cls, ring: KeyRing, users: Iterable[User] = (), keys: Iterable[ApiKey] = ()) -> "Identities":
        return cls(ring).changed(users=users, keys=keys)

    def authenticate(self, key: str, now: int) -> Subject:
        """Whom ``key`` proves at ``now`` (ms since the epoch). Raises ``Unauthenticated``."""
        for hashed in self.ring.hashes(key):
            record = self.keys.get(credential(hashed))
            if record is not None and hmac.compare_digest(record.id, hashed) and self._counts(record, now):
                return Subject(f"user:{record.user}", credential=credential(hashed))
        raise _refused("no live key has this value")

    def signed_in(self, sign_in: SignIn, now: int) -> Subject:
        """Whom a sign-in proves at ``now``. Raises ``Unauthenticated``, also where the key of its account was reset
        after it: whoever resets a key means to end what was opened before.
        """
        proof = sign_in.key or f"{_SIGN_IN}{sign_in.created_at}-{sign_in.id[:_CREDENTIAL_LENGTH]}"
        subject = Subject(sign_in.subject, credential=proof)
        if now >= sign_in.expires_at or not self.still_valid(subject, now):
            raise _refused("the sign-in has ended")
        return subject

    def still_valid(self, subject: Subject, now: int) -> bool:
        """Whether the key or the sign-in that proved ``subject`` still does."""
        if subject.credential.startswith(_SIGN_IN):
            return self._outlives(subject.name, since=int(subject.credential.split("-")[1]))
        record = self.keys.get(subject.credential)
        return record is not None and subject.name == f"user:{record.user}" and self._counts(record, now)

    def counts(self, credential: str, now: int) -> bool:
        """Whether the key of that short form proves anybody at ``now``."""
        record = self.keys.get(credential)
        return record is not None and self._counts(record, now)

    def keys_of(self, user: str, now: int) -> tuple[ApiKey, ...]:
        """The keys that prove the account ``user`` at ``now``, the oldest first."""
        counting = (key for key in self.keys.values() if key.user == user and self._counts(key, now))
        return tuple(sorted(counting, key=lambda key: (key.created_at, key.id)))

    def hidden_of(self, subject: Subject) -> frozenset[str]:
        """The tools that the lists of ``subject`` leave out; not all subjects are accounts."""
        user = self.users.get(subject.name.removeprefix("user:")) if subject.name.startswith("user:") else None
        return frozenset(() if user is None else user.hidden)

    def changed(
        self, *, users: Iterable[User] = (), keys: Iterable[ApiKey] = (), removed: Iterable[tuple[str, str]] = ()
    ) -> "Identities":
        """The next snapshot: records put in, and (kind, id) of ``users`` and ``keys`` taken out."""
        gone = tuple(removed)
        accounts = _merged(self.users, {user.id: user for user in users}, [id for kind, id in gone if kind == "users"])
        proofs = _merged(
            self.keys,
            {credential(key.id): key for key in keys},
            [credential(id) for kind, id in gone if kind == "keys"],
        )
        same = self._addresses if accounts is self.users or accounts.keys() == self.users.keys() else []
        return Identities(self.ring, accounts, proofs, same, self._ends if proofs is self.keys else [])

    def next_expiry(self, now: int) -> int | None:
        """When the next living key ends (ms since the epoch), if any does."""
        if not self._ends:
            self._ends.append(sorted(key.expires_at for key in self.keys.values() if key.expires_at))
        place = bisect_right(self._ends[0], now)
        return self._ends[0][place] if place < len(self._ends[0]) else None

    def _outlives(self, name: str, *, since: int) -> bool:
        """Whether the account was there before ``since`` and no reset of its key came after."""
        user = self.users.get(name.removeprefix("user:")) if name.startswith("user:") else None
        return user is not None and max(user.created_at, user.reset_at) <= since

    def _counts(self, key: ApiKey, now: int) -> bool:
        """A key counts for its account only, not for a later one under the same address."""
        user = self.users.get(key.user)
        return (
            user is not None and key.created_at >= user.created_at and (key.expires_at is None or now < key.expires_at)
        )


def credential(key_id: str) -> str:
    """The short form of a key's id (64 bits of the hash), by which subjects and audit entries name it."""
    return key_id[:_CREDENTIAL_LENGTH]


def issuer_proof(issuer: str, email: str) -> str:
    """How subjects and audit entries name what an issuer says of the account ``email``."""
    return f"{ISSUER}{issuer}/{email}"


def _merged(old: Mapping[str, T], put: Mapping[str, T], gone: Sequence[str]) -> Mapping[str, T]:
    if not put and not gone:
        return old
    merged = dict(old)
    for id in gone:
        merged.pop(id, None)
    merged.update(put)
    return merged


def _in_headers(headers: Iterable[tuple[bytes, bytes]]) -> Iterator[bytes]:
    seen: set[bytes] = set()
    for name, value in headers:
        place = name.lower()
        if place not in _HEADER_NAMES:
            continue
        if place in seen:
            raise _refused(f"the header {place.decode('ascii')} comes twice")
        seen.add(place)
        plain = value.strip(b" \t")
        scheme, _, token = plain.partition(b" ")
        if place != b"authorization":
            yield plain
        elif scheme.lower() == b"bearer":
            yield token.strip(b" \t")


def _in_query(query: bytes, *, accept: bool) -> Iterator[bytes]:
    found = [(name, value) for name, value in _parameters(query) if _KEYLIKE.fullmatch(name)]
    if not found:
        return
    if not accept:
        raise Unauthenticated(QUERY_REFUSED)
    if len(found) > 1:
        raise _refused("the query offers several keys")
    name, value = found[0]
    if name not in _QUERY_NAMES:
        raise _refused("the query parameter is not plain `apiKey`")
    if looks_signed(value.decode("latin-1")):
        raise Unauthenticated(QUERY_REFUSED, detail="a signed token never stands in a query (RFC 9700 §4.3.2)")
    yield value


def _parameters(query: bytes) -> Iterator[tuple[str, bytes]]:
    for part in query.split(b"&"):
        name, _, value = part.replace(b"+", b" ").partition(b"=")
        yield unquote_to_bytes(name).decode("utf-8", "replace").strip(), unquote_to_bytes(value)


def _refused(detail: str) -> Unauthenticated:
    return Unauthenticated(INVALID, detail=detail)


def _visible(text: str) -> str:
    return "".join(each if each.isprintable() else "?" for each in text[:80])
