"""A policy as one value, and as bytes whose hash names it. Knows no disk, no store and no Casbin."""

import hashlib
from dataclasses import dataclass, field
from typing import Final

import msgspec

from gateway.policy.limits import Limits
from gateway.policy.terms import Link, Rule

FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class Bundle:
    """What the files of ``policies/`` say, read and checked. ``secrets`` are paths below ``args`` (``card.number``)
    that no audit entry may show.
    """

    model: str
    rules: tuple[Rule, ...] = ()
    links: tuple[Link, ...] = ()
    limits: Limits = field(default_factory=Limits)
    secrets: frozenset[str] = frozenset()


class _Envelope(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: int
    bundle: Bundle


def encode(bundle: Bundle) -> bytes:
    """The one JSON text of ``bundle``: equal bundles give equal bytes."""
    return msgspec.json.encode(_Envelope(FORMAT, bundle), order="deterministic")


def decode(body: bytes) -> Bundle:
    """The bundle of ``encode``. Raises ``ValueError`` on other bytes and on an unknown format."""
    envelope = msgspec.json.decode(body, type=_Envelope)
    if envelope.format != FORMAT:
        raise ValueError(f"the policy bundle has format {envelope.format}; this version reads format {FORMAT}")
    return envelope.bundle


def bundle_hash(body: bytes) -> str:
    """The name of a bundle: the SHA-256 of its bytes, in hexadecimal."""
    return hashlib.sha256(body).hexdigest()
