"""What every command on the store shares: settings, an open store, and the one audit entry it leaves.

The command line on the host is the operator: outside policy, and audited as ``operator``.
"""

import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gateway.audit import AuditEntry
from gateway.audit.checkpoints import USE, Checkpoints, Signer, append_alone
from gateway.audit.trail import EntryIds
from gateway.identity import KeyRing
from gateway.policy.terms import MAIN, SYSTEM
from gateway.settings import Settings, load
from gateway.store.base import Store
from gateway.store.opening import open_store

OPERATOR: Final = "operator"

_ids = EntryIds()


@dataclass(frozen=True, slots=True)
class Given:
    """What the command line was given: the config folder and the environment."""

    config: Path
    environ: Mapping[str, str]

    def settings(self) -> Settings:
        """Raises ``SettingsError``."""
        return load(self.config, self.environ)


@dataclass(frozen=True, slots=True)
class Desk:
    """Where an operation works: an open store, the ring for keys, the time in ms since the epoch."""

    store: Store
    ring: KeyRing
    now: int


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@asynccontextmanager
async def operation(
    settings: Settings, method: str, object: str, action: str, **arguments: object
) -> AsyncIterator[Desk]:
    """An open store for one operation, which leaves one audit entry also when it fails.

    ``arguments`` stand in the entry in the clear. Raises ``Unavailable``, ``ValueError``.
    """
    store = open_store(settings.store.target.reveal(), database=settings.store.database)
    await store.open()
    at, began = now_ms(), time.perf_counter()
    outcome, error = "failed", ""
    try:
        yield Desk(store, settings.key_ring(), at)
        outcome = "ok"
    except Exception as failure:
        error = type(failure).__name__
        raise
    finally:
        took = round((time.perf_counter() - began) * 1000, 3)
        entry = _entry(at, method, object, action, arguments, outcome=outcome, error=error, took=took)
        try:
            signer = Signer(settings.key_ring().derived(USE))
            await append_alone(store.audit, Checkpoints(store.checkpoints, signer, now_ms), entry)
        finally:
            await store.close()


async def record(store: Store, method: str, object: str, action: str, **arguments: object) -> None:
    """Leave the audit entry of an operation that ended well, in a store that had none before."""
    await store.audit.append([_entry(now_ms(), method, object, action, arguments, outcome="ok")])


def _entry(at: int, method: str, object: str, action: str, arguments: Mapping[str, object], **told: Any) -> AuditEntry:
    return AuditEntry(
        id=_ids.next(at),
        at=at,
        subject=OPERATOR,
        transport="cli",
        domain=MAIN,
        owner=SYSTEM,
        method=method,
        object=object,
        action=action,
        allowed=True,
        arguments={f"/{name}": json.dumps(value) for name, value in arguments.items()},
        **told,
    )
