"""Which scopes a flow asks for: the platform's own, and those that a refusal said are missing.

Pure. Nobody is asked twice for what he gave already, nor for ever more.
"""

from collections.abc import Sequence
from typing import Final

from connectors.definition.platform import Platform
from gateway.errors import UpstreamFailed
from gateway.records import Connected

MOST: Final = 100
LONGEST: Final = 4_000
"""How many scopes, and how many characters of them, one person is asked for at a time."""


def asked_for(platform: Platform, former: Connected | None, missing: Sequence[str]) -> tuple[str, ...]:
    """With ``missing``, those that ``former`` has stay (MCP 2026-07-28, authorization, step-up). Raises
    ``UpstreamFailed`` where connecting anew changes nothing, or asks for too much.
    """
    if not missing:
        return platform.scopes
    given = () if former is None else former.scopes
    title = platform.definition.title
    if set(missing) <= set(given):
        raise UpstreamFailed(f"{title} refuses this call for want of rights that the account has: ask who runs it")
    asked = tuple(dict.fromkeys((*platform.scopes, *given, *missing)))
    if len(asked) > MOST or sum(map(len, asked)) > LONGEST:
        raise UpstreamFailed(f"{title} asks for more rights than can be asked of anybody: ask who runs it")
    return asked
