"""How a process stands at one moment: what readiness and gauges are told of."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Levels:
    """``age_s`` (``None``: never confirmed) is how long ago the ``policy`` was confirmed. ``waiting`` and ``lost`` are
    audit entries; ``full`` tells that no call is begun because none could be put on record.
    """

    decides: bool
    policy: str
    age_s: float | None
    reasons: tuple[str, ...]
    store: bool
    waiting: int
    lost: int
    full: bool
    sessions: int
    streams: int

    @property
    def ready(self) -> bool:
        """Whether calls should be sent here. While the store is away we decide by what was confirmed last, until that
        is stale: else one moment without a store that all nodes share would leave nobody to send calls to.
        """
        return self.decides and not self.full

    def told(self, upstreams: dict[str, bool]) -> dict[str, Any]:
        """All of it, for whoever may know. Upstreams are told of, and cost no readiness."""
        return {
            "ready": self.ready,
            "policy": {"version": self.policy, "age_s": None if self.age_s is None else round(self.age_s, 3)},
            "store": "up" if self.store else "down",
            "audit": {"waiting": self.waiting, "lost": self.lost, "full": self.full},
            "upstreams": {id: "up" if up else "down" for id, up in sorted(upstreams.items())},
            "reasons": list(self.reasons),
        }
