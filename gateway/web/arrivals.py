"""What a request says of who sends it, wherever it stands: in the URL, in headers, in the query. Pure.

Each thing may be said once in each place, and all places have to agree. Nothing of it is believed here.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from gateway.errors import Malformed
from gateway.identity import offered
from gateway.mcp.calls import WISHES
from gateway.pipeline import Arrival
from gateway.policy.terms import MAIN
from gateway.web.asgi import Header

USER: Final = ("x-alloy-userid", "x-user-id")
USER_TOKEN: Final = ("x-alloy-user-token", "x-user-token")
SERVER: Final = ("x-mcp-server-id",)

_OURS: Final = frozenset((*WISHES, *SERVER, *USER_TOKEN, *USER))

USER_ID: Final = 10_000
"""Characters of a user's id at most."""

UNSEEN: Final = "***"
"""Stands for the token of a token URL wherever a path can be read."""


def arrival_of(
    headers: Sequence[Header],
    query: bytes,
    *,
    accept_query: bool,
    domain: str | None = None,
    token: str | None = None,
    address: str = "",
) -> Arrival:
    """What proves who sends a request. ``domain`` is the server that its URL names (``None``: a header may), ``token``
    what a token URL holds, ``address`` the client's. Raises ``Malformed``, ``Unauthenticated``.
    """
    ours = [*_named(headers, _OURS)]
    for wish in WISHES if ours else ():
        _said(ours, (wish,))
    named = _said(ours, SERVER)
    if named is not None and domain not in (None, named):
        raise Malformed("x-mcp-server-id: names another server than the URL; leave it out")
    return Arrival(
        offered(headers, query, accept_query=accept_query),
        domain or named or MAIN,
        token,
        end_user=_said(ours, USER_TOKEN),
        acts_as=_said(ours, USER),
        address=address,
    )


def by_header(headers: Sequence[Header]) -> bool:
    """Whether headers say anything of who sends a request."""
    return offered(headers, b"", accept_query=False) is not None or any(_named(headers, (*USER, *USER_TOKEN)))


def place_of(path: str) -> tuple[str, str | None, str | None]:
    """The first segment of a path, the server that the next one names, and what else there is: a token."""
    root, _, rest = path.removeprefix("/").partition("/")
    domain, slash, token = rest.partition("/")
    return root, domain or None, token if slash else None


def redacted(path: str) -> str:
    """The path of a token URL without its token, as everybody may read it; other paths of the protocol as they are."""
    root, domain, token = place_of(path)
    return path if token is None else f"/{root}/{domain or ''}/{UNSEEN}"


def _said(ours: Sequence[tuple[str, bytes]], names: Sequence[str]) -> str | None:
    """What those of our headers that have these names say, ``None`` where there are none. Raises ``Malformed``."""
    found = [each for each in ours if each[0] in names]
    if not found:
        return None
    if len({name for name, _ in found}) < len(found):
        raise Malformed(f"{names[0]}: stands there twice; send it once")
    if len({value for _, value in found}) > 1:
        raise Malformed(f"{' and '.join(names)}: say different things; send one of them")
    try:
        value = found[0][1].decode()
    except UnicodeDecodeError:
        value = ""
    if not 0 < len(value) <= USER_ID or not value.isprintable():
        raise Malformed(f"{found[0][0]}: must have 1 to {USER_ID} characters that can be read")
    return value


def _named(headers: Iterable[Header], names: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """Those headers that have one of these names, in lower case."""
    for raw, value in headers:
        name = raw.decode("latin-1").lower()
        if name in names:
            yield name, value.strip(b" \t")
