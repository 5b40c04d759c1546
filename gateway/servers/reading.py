"""From what somebody says a server shall be to what its record says: checked as a whole, every problem with its place.

Pure; ids of new signers and the secrets that are to be sealed are the business of who asks.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, urlsplit

from msgspec import structs

from connectors.base import Secret
from gateway.mcp.jsonrpc import quoted
from gateway.records import Mode, Server, Signer
from gateway.servers.forms import LEAST_SECRET, ServerSigner, ServerWanted, SigningAlgorithm
from gateway.servers.known import OURSELVES
from gateway.servers.restrictions import Known, read_restrictions, unknown

LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})

_SLUG: Final = 40
_NOT_IN_SLUG: Final = re.compile(r"[^a-z0-9]+")
_IN_URI: Final = re.compile(r"[!-~]+")


@dataclass(frozen=True, slots=True)
class Draft:
    """A record, and the secrets of signers in it that are to be sealed, by the ids of these."""

    server: Server
    secrets: dict[str, Secret]


def drafted(former: Server, wanted: ServerWanted, *, new_id: Callable[[], str]) -> Draft | list[str]:
    """``former`` as ``wanted`` says that it shall be as a whole (without a name it keeps that), or all that is wrong
    with what is said. ``new_id`` gives ids of signers.
    """
    problems = [*_problems(wanted, former)]
    restrictions = read_restrictions(wanted.restrictions, problems)
    secrets: dict[str, Secret] = {}
    signers = _signers(wanted.jwt, former.signers, new_id, secrets, problems)
    if problems:
        return problems
    record = structs.replace(
        former,
        name=wanted.name or former.name,
        description=wanted.description,
        instructions=wanted.instructions,
        mode=wanted.mode,
        upstream=wanted.upstream,
        public=wanted.is_public,
        restrictions=restrictions,
        redirects=tuple(dict.fromkeys(wanted.redirect_uris)),
        signers=signers,
        shaping=wanted.shaping,
        cache_s=wanted.cache_seconds,
    )
    return Draft(record, secrets)


def not_there(record: Server, former: Server, known: Known) -> Iterator[str]:
    """What ``record`` names and nothing has, a sentence each; what ``former`` named may stay."""
    if record.mode is Mode.UPSTREAM and record.upstream not in (*known.upstreams, former.upstream):
        yield f"`upstream`: there is no server behind the gateway called {quoted(record.upstream)}"
    yield from unknown(record.restrictions, former.restrictions, known)


def same_name(name: str, other: str) -> bool:
    """Whether two names are one to people: beside capitals and spellings of the same sign (UAX #15)."""
    return _folded(name) == _folded(other)


def slug(name: str) -> str:
    """``name`` as the beginning of an id: letters, digits and hyphens."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return _NOT_IN_SLUG.sub("-", plain).strip("-")[:_SLUG].strip("-") or "server"


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def _problems(wanted: ServerWanted, former: Server) -> Iterator[str]:
    name = wanted.name or former.name
    if not name or name != name.strip() or not name.isprintable():
        yield f"`name`: {quoted(name)} has to be printable, and must not begin or end with a space"
    if (wanted.mode is Mode.UPSTREAM) != bool(wanted.upstream):
        yield "`upstream`: the mode `upstream` names one server behind the gateway, and no other mode does"
    for number, uri in enumerate(wanted.redirect_uris):
        if problem := redirect_problem(uri):
            yield f"`redirectUris[{number}]`: {problem}"


def redirect_problem(uri: str) -> str:
    """Why no browser can be sent back to ``uri``, ``""`` where it can (RFC 8252 §7.3, RFC 9700 §4.1)."""
    parts = _parts(uri)
    secure = parts is not None and parts.scheme == "https"
    local = parts is not None and parts.scheme == "http" and parts.hostname in LOOPBACK
    return "" if secure or local else "only a whole https address, or http on this very machine, without `#` and user"


def _parts(uri: str) -> SplitResult | None:
    """An address without a user or a fragment; ``None`` for what is none."""
    if _IN_URI.fullmatch(uri) is None or "#" in uri or "\\" in uri:
        return None
    try:
        parts = urlsplit(uri)
        named = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return None
    return parts if named and "@" not in parts.netloc else None


def _signers(
    forms: Sequence[ServerSigner],
    former: Sequence[Signer],
    new_id: Callable[[], str],
    secrets: dict[str, Secret],
    problems: list[str],
) -> tuple[Signer, ...]:
    """Those that are there and stay as they are, and new ones; what is to be sealed is put into ``secrets``."""
    read: dict[str, Signer] = {}
    for number, form in enumerate(forms):
        place = f"`jwt[{number}]"
        found = [*_signer_problems(form, place)]
        kept = next((each for each in former if _is_that(form, each)), None)
        if form.id and kept is None:
            found.append(f"{place}.id`: no signer that is there is the same; leave it out to make a new one")
        problems += found
        if found:
            continue
        signer = kept or Signer(id=new_id(), issuer=form.issuer, algorithm=form.algorithm.value, jwks_url=form.jwks_url)
        if kept is None and form.secret:
            secrets[signer.id] = Secret(form.secret)
        read[signer.id] = signer
    return tuple(read.values())


def _is_that(form: ServerSigner, signer: Signer) -> bool:
    """A signer never changes: another key, issuer or algorithm is another signer."""
    if form.secret or (form.id and form.id != signer.id) or not (form.id or form.jwks_url):
        return False
    return (form.issuer, form.algorithm.value, form.jwks_url) == (signer.issuer, signer.algorithm, signer.jwks_url)


def _signer_problems(form: ServerSigner, place: str) -> Iterator[str]:
    if not form.issuer.isprintable():
        yield f"{place}.issuer`: it has to be printable"
    if form.issuer == OURSELVES:
        yield f"{place}.issuer`: that is the gateway itself; take the name of who signs"
    if form.algorithm is SigningAlgorithm.HS256:
        if form.jwks_url:
            yield f"{place}.jwksUrl`: `HS256` has a secret and no public key; leave it out"
        if len(form.secret.encode("utf-8", "surrogatepass")) < LEAST_SECRET and not (form.id and not form.secret):
            yield f"{place}.secret`: `HS256` needs a secret of at least {LEAST_SECRET} bytes"
        return
    if form.secret:
        yield f"{place}.secret`: {quoted(form.algorithm.value)} is checked with a public key; leave it out"
    parts = _parts(form.jwks_url)
    if parts is None or parts.scheme != "https":
        yield f"{place}.jwksUrl`: it has to be the https address of a JWK Set"
