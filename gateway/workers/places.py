"""Where one worker stands: what whoever starts it tells it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.workers.names import new_name


@dataclass(frozen=True, slots=True)
class Post:
    """The worker at ``index`` of ``node``. ``folder``, which nobody else can enter, holds the sockets of this node's
    workers; ``afar`` is a listening socket (or nothing) that other nodes reach at ``address``.
    """

    name: str
    node: str
    folder: Path
    afar: Any = None
    address: str = ""

    @classmethod
    def of(cls, node: str, index: int, folder: Path, *, afar: Any = None, address: str = "") -> "Post":
        """A worker that has just been started."""
        return cls(new_name(node, index), node, folder, afar, address)

    @property
    def socket(self) -> Path:
        return self.folder / f"{self.name.rpartition('-')[2]}.sock"
