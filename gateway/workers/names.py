"""Ids that tell us, and nobody else, which worker holds what they stand for. Pure.

Whoever has such an id can neither read nor change the name in it, so a name that comes back is one that we wrote.
"""

import secrets
from typing import Final

from gateway.sealing import Seal

LONGEST: Final = 512
"""Characters beyond which a text is no id of ours."""

_BITS: Final = 32
_END: Final = b"/"


def new_name(node: str, index: int) -> str:
    """A name for the worker that stands at ``index`` of ``node``; another one at each start."""
    return f"{node}.{index}-{secrets.token_hex(6)}"


class Names:
    """``mine`` is the name of this worker."""

    def __init__(self, seal: Seal, mine: str) -> None:
        self._seal = seal
        self.mine = mine

    def mint(self) -> str:
        """A new id of this worker, with 256 random bits in it."""
        return self._seal.close(self.mine.encode() + _END + secrets.token_bytes(_BITS))

    def owner(self, id: str) -> str:
        """Which worker minted ``id``; ``""`` for what none of us did."""
        plain = self._seal.open(id) if len(id) <= LONGEST else None
        return "" if plain is None else plain.partition(_END)[0].decode("utf-8", "replace")
