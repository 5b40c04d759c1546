"""What one call spent its time on."""

from dataclasses import dataclass


@dataclass(slots=True)
class Times:
    """In seconds: ``decided`` in the policy; ``connected`` and, with that, ``upstream`` (``None``: not reached) with
    ``connector``, which may have ``failed``.
    """

    decided: float = 0.0
    connected: float | None = None
    upstream: float | None = None
    connector: str = ""
    failed: bool = False
