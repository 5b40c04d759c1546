"""What conditions of the policy may ask of a server that is administered: the arguments of the question. Pure."""

from collections.abc import Mapping

from gateway.policy.terms import Json
from gateway.records import Mode, Server
from gateway.servers.tokens import DAY_MS, newest


def args_of(server: Server, days: int | None) -> Mapping[str, Json]:
    """The whole record, as it is or would be. ``connectors`` are those that it lets through, ``['*']`` where it lets
    through all but some; for so many ``days`` its newest token counts, for ever where they are ``None``.
    """
    found = server.restrictions
    return {
        "id": server.id,
        "name": server.name,
        "public": server.public,
        "mode": server.mode.value,
        "upstream": server.upstream,
        "connectors": [*_connectors(server)],
        "restricted": any(each is not None for each in (found.connectors, found.actions, found.permissions)),
        "users": [*found.users.names] if found.users is not None and found.users.allow else ["*"],
        "issuers": [each.issuer for each in server.signers],
        "redirects": [*server.redirects],
        "shaping": server.shaping,
        "cache_seconds": server.cache_s,
        "days": days,
    }


def days_of(server: Server) -> int | None:
    """For how many days the newest token was made, begun ones counted; ``None``: for ever, or there is none."""
    token = newest(server.tokens)
    if token is None or token.expires_at is None:
        return None
    return -(-(token.expires_at - token.created_at) // DAY_MS)


def _connectors(server: Server) -> tuple[str, ...]:
    """No shorter than what is let through, and no longer than what is said."""
    found = server.restrictions
    named = found.connectors.names if found.connectors is not None and found.connectors.allow else None
    permitted = None if found.permissions is None else tuple(each.connector for each in found.permissions)
    only = (server.upstream,) if server.mode is Mode.UPSTREAM else None
    lists = [each for each in (only, named, permitted) if each is not None]
    return tuple(id for id in lists[0] if all(id in each for each in lists)) if lists else ("*",)
