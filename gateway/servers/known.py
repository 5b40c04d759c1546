"""The servers that users offer, as every process holds them in memory. Never changed in place."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from gateway.records import Server, Token

TOKEN: Final = "tok-"  # noqa: S105 (what it begins with)
"""What the proof of a token begins with."""

SIGNER: Final = "sig-"
"""What the proof of an end user begins with whom a signer of a server vouches for."""

OURSELVES: Final = "ostiary"
"""The gateway, where it signs for the owner of a server: the id of that signer, and what its tokens call their issuer.
No URL, so that no issuer elsewhere can be called so.
"""

_SHORT: Final = 16


@dataclass(frozen=True, slots=True)
class Servers:
    """By id, and their tokens by the short forms of these."""

    by_id: Mapping[str, Server] = field(default_factory=dict)

    def get(self, id: str) -> Server | None:
        return self.by_id.get(id)

    def owner(self, id: str) -> str:
        """Whose server it is; ``""`` for those of the operator."""
        server = self.by_id.get(id)
        return "" if server is None else server.owner

    def of(self, owner: str) -> tuple[Server, ...]:
        """Those that ``owner`` offers, the oldest first."""
        mine = (each for each in self.by_id.values() if each.owner == owner)
        return tuple(sorted(mine, key=lambda each: (each.created_at, each.id)))

    def changed(self, put: Iterable[Server], gone: Iterable[str] = ()) -> "Servers":
        """The next moment: records put in, ids taken out; this one where nothing is to be done."""
        fresh = {each.id: each for each in put}
        lost = [id for id in gone if id in self.by_id]
        if not fresh and not lost:
            return self
        by_id = {**self.by_id, **fresh}
        for id in lost:
            del by_id[id]
        return Servers(by_id)


NO_SERVERS: Final = Servers()


def token_proof(token: Token) -> str:
    """How subjects and audit entries name a token."""
    return f"{TOKEN}{token.id[:_SHORT]}"


def signer_proof(server: str, signer: str) -> str:
    """How subjects and audit entries name what a signer (by its id) says of an end user of ``server``."""
    return f"{SIGNER}{server}/{signer}"


def server_of(subject: str) -> str:
    """The server whose end user that is; ``""`` for everybody else."""
    kind, _, rest = subject.partition(":")
    return rest.partition("/")[0] if kind == "end" else ""
