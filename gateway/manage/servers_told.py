"""What is told of a server: the same over the management API and on the command line.

A token is shown whole once, when it was made; afterwards, in its URL too, only so much of it as tells it from others.
Knows values only.
"""

from collections.abc import Sequence

import msgspec

from gateway.manage.share_rows import as_date
from gateway.records import Mode, Server
from gateway.servers.forms import ServerRestrictions
from gateway.servers.restrictions import form_of
from gateway.servers.tokens import newest


class ServerSignerTold(msgspec.Struct, frozen=True, rename="camel"):
    """Who signs tokens of end users; a secret is never told."""

    id: str
    issuer: str
    algorithm: str
    jwks_url: str


class ServerTold(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """``url`` is for clients that send a key, ``accessUrl`` for those that send nothing else. ``accessToken`` and
    ``accessUrl`` are cut short but at the moment when the token was made. ``warnings`` say what a change let in that
    was kept out before.
    """

    server_id: str
    owner: str
    name: str
    description: str
    instructions: str
    mode: Mode
    upstream: str
    is_public: bool
    restrictions: ServerRestrictions | None
    has_restrictions: bool
    redirect_uris: tuple[str, ...]
    jwt: tuple[ServerSignerTold, ...]
    shaping: bool
    cache_seconds: int
    url: str
    access_url: str | None
    access_token: str | None
    token_expires_at: str | None
    created_at: str
    updated_at: str
    rev: int
    warnings: tuple[str, ...] = ()


def server_told(server: Server, public_url: str, *, token: str = "", warnings: Sequence[str] = ()) -> ServerTold:
    """All that may be shown of ``server``; ``token`` is the one that was just made, ``public_url`` what every URL
    begins with.
    """
    last = newest(server.tokens)
    shown = token or (f"{last.prefix}…" if last else "")
    url, restrictions = f"{public_url}/mcp/{server.id}", form_of(server.restrictions)
    return ServerTold(
        server_id=server.id,
        owner=server.owner,
        name=server.name,
        description=server.description,
        instructions=server.instructions,
        mode=server.mode,
        upstream=server.upstream,
        is_public=server.public,
        restrictions=restrictions,
        has_restrictions=restrictions is not None,
        redirect_uris=server.redirects,
        jwt=tuple(ServerSignerTold(each.id, each.issuer, each.algorithm, each.jwks_url) for each in server.signers),
        shaping=server.shaping,
        cache_seconds=server.cache_s,
        url=url,
        access_url=f"{url}/{shown}" if shown else None,
        access_token=shown or None,
        token_expires_at=as_date(last.expires_at) if last and last.expires_at is not None else None,
        created_at=as_date(server.created_at),
        updated_at=as_date(server.updated_at),
        rev=server.rev,
        warnings=tuple(warnings),
    )
