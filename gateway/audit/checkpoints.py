"""Signed checkpoints: what vouches, outside of the entries, for how far a chain had come.

A chain has one record, written anew as it grows. Nothing is signed that came from the store and was not signed before:
else whoever changes the record would have us sign his change.
"""

import os
from collections.abc import Callable, Mapping
from typing import Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec.structs import replace

from gateway.audit.chain import Chain, beginning
from gateway.audit.entry import AuditEntry
from gateway.records import Checkpoint
from gateway.store.base import AuditTrail, Conflict, NotFound, Records

USE: Final = "audit-checkpoints"
"""For what the keys of a ``Signer`` are derived."""

_encode: Final = msgspec.json.Encoder(order="sorted").encode


def new_chain() -> Chain:
    """A chain that no other process has."""
    return Chain(os.urandom(12).hex())


class Signer:
    """Signs checkpoints (Ed25519) under the first of ``keys`` (id → 32 bytes), and checks those of all."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        self._keys = {id: Ed25519PrivateKey.from_private_bytes(key) for id, key in keys.items()}
        self._current = next(iter(keys))

    def signed(self, checkpoint: Checkpoint) -> Checkpoint:
        """``checkpoint`` with key and signature."""
        plain = replace(checkpoint, key=self._current)
        return replace(plain, signature=self._keys[self._current].sign(_said(plain)).hex())

    def wrong(self, checkpoint: Checkpoint) -> str:
        """What is wrong with its signature; ``""``: nothing."""
        key = self._keys.get(checkpoint.key)
        if key is None:
            return (
                f"its checkpoint is signed by `{checkpoint.key}`, which is no secret of the settings: add that secret"
            )
        try:
            key.public_key().verify(bytes.fromhex(checkpoint.signature), _said(checkpoint))
        except (InvalidSignature, ValueError):
            return "the signature of its checkpoint is wrong: the checkpoint was changed or forged"
        return ""

    def __repr__(self) -> str:
        return f"Signer({', '.join(self._keys)})"


def _said(checkpoint: Checkpoint) -> bytes:
    return b"ostiary audit checkpoint " + _encode(replace(checkpoint, signature="", rev=0))


class Checkpoints:
    """Those of one process. ``clock`` tells ms since the epoch."""

    def __init__(self, records: Records[Checkpoint], signer: Signer, clock: Callable[[], int]) -> None:
        self._records, self._signer, self._clock = records, signer, clock
        self._own: Checkpoint | None = None

    async def vouch(self, chain: Chain) -> None:
        """Keep how far ``chain`` has come. Raises ``Unavailable``."""
        number, link = chain.number, chain.link
        while True:
            found = await self._records.get(chain.id)
            known = self._known(chain.id, found)
            said = self._signer.signed(replace(known, number=number, link=link, at=self._clock()))
            try:
                self._own = await (self._records.add(said) if found is None else self._records.replace(said))
            except (Conflict, NotFound):
                continue  # a purge wrote it in the same moment
            return

    def _known(self, chain: str, found: Checkpoint | None) -> Checkpoint:
        """What a new checkpoint goes on from: the stored one if it is ours, else what this process wrote last."""
        if found is not None and not self._signer.wrong(found):
            return found
        own = self._own
        if own is None:
            return Checkpoint(id=chain, start_link=beginning(chain), rev=found.rev if found else 0)
        if found is not None:
            return replace(own, rev=found.rev)
        return replace(own, start=own.number, start_link=own.link, rev=0)  # all of it was purged


async def append_alone(trail: AuditTrail, checkpoints: Checkpoints, entry: AuditEntry) -> None:
    """Keep one entry as a chain of its own. Raises ``Unavailable``."""
    chain = new_chain()
    await checkpoints.vouch(chain)
    await trail.append([chain.add(entry)])
    await checkpoints.vouch(chain)
