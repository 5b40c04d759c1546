"""The servers behind us to which users bring credentials of their own, as platforms.

One that lets users in by OAuth says for itself where and how (``connectors/oauth/discovery.py``), and may change its
mind: what it said is believed for a while, and asked again when it refuses somebody. What we are registered as is kept
in the store, by issuer. This file knows no user and no flow.
"""

import hashlib
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final
from urllib.parse import urlsplit

from msgspec import structs

from connectors.base import Personal, Secret, UpstreamSpec
from connectors.definition.platform import Platform
from connectors.definition.terms import (
    Api,
    Auth,
    AuthKind,
    ClientAuth,
    Definition,
    Input,
    OAuth,
    Pkce,
    Revocation,
)
from connectors.egress import Egress
from connectors.http_messages import exceptions_of
from connectors.oauth import discovery
from connectors.oauth.discovery import Discovered
from connectors.oauth.metadata import AuthorizationServer
from connectors.oauth.registration import Registered, document, method_of, register
from connectors.once import Once
from gateway.connections.material import context_of_registration
from gateway.errors import Unknown, UpstreamFailed
from gateway.mcp.terms import Params
from gateway.records import Registration
from gateway.store.base import Conflict, Records
from gateway.vault import Unsealable, Vault

UNTOLD: Final = "-"
"""The client id in a sketch: there is one, or will be."""

REMEMBERED_MS: Final = 300_000
"""How long what a server says of its authorization is believed."""

DOUBTED_MS: Final = 1_000
"""So often at most a server is asked because it refused somebody."""

FAILED_MS: Final = 10_000
"""So long what it said before is believed where it says nothing that can be used."""

MARGIN_MS: Final = 3_600_000
"""A registration that ends sooner than that is made anew."""


@dataclass(frozen=True, slots=True)
class Known:
    """As whom we are known to an authorization server, and how we prove it."""

    client_id: str
    secret: Secret | None
    method: ClientAuth


log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Remembered:
    """What one server said last; not to be believed from ``until`` on."""

    platform: Platform
    until: int


class UpstreamPlatforms:
    """``name`` is what we call ourselves, ``public_url`` where we are reached; ``clock`` tells ms since the epoch."""

    def __init__(
        self,
        specs: Iterable[UpstreamSpec],
        egress: Egress,
        registrations: Records[Registration],
        vault: Vault,
        *,
        name: str,
        public_url: str,
        clock: Callable[[], int],
    ) -> None:
        self._specs: Mapping[str, UpstreamSpec] = {spec.id: spec for spec in specs if spec.personal is not None}
        self._egress = egress
        self._registrations = registrations
        self._vault = vault
        self._name = name
        self._public_url = public_url
        self._clock = clock
        self._remembered: dict[str, _Remembered] = {}
        self._doubted: dict[str, int] = {}  # when each was asked last because it refused somebody
        self._asking = {
            id: Once(partial(self._learned, spec, spec.personal), cancelled="the gateway is stopping")
            for id, spec in self._specs.items()
            if spec.personal is not None
        }

    @property
    def sketches(self) -> Mapping[str, Platform]:
        """Every one as far as it is known without asking its server: what kind it is, but neither where it lets users
        in nor as whom we are known there.
        """
        return {id: _sketch(spec) for id, spec in self._specs.items()}

    async def of(self, id: str) -> Platform:
        """Raises ``Unknown``, ``UpstreamFailed`` with what the server says wrongly or not at all, ``Unavailable``."""
        spec = self._specs.get(id)
        if spec is None or spec.personal is None:
            raise Unknown(f"there is no connector `{id}`")
        if not spec.personal.oauth:
            return _typed(spec, spec.personal)
        known = self._remembered.get(id)
        if known is not None and self._clock() < known.until:
            return known.platform
        return await self._asking[id]()

    def doubt(self, id: str) -> Callable[[], None]:
        """What is to be called when that server refuses somebody: it may say something else of its authorization now.
        Refused again and again, it is not asked each time.
        """

        def doubt() -> None:
            if (known := self._remembered.get(id)) is not None:
                soonest = self._doubted.get(id, -DOUBTED_MS) + DOUBTED_MS
                known.until = self._doubted[id] = min(known.until, max(self._clock(), soonest))

        return doubt

    def redirect_uri(self, id: str) -> str:
        return f"{self._public_url}/oauth/callback/main/{id}"

    def document_url(self, id: str) -> str:
        """Where our client id metadata document for that upstream stands."""
        return f"{self._public_url}/oauth/client/{id}"

    def document(self, id: str) -> Params | None:
        """What stands there; ``None`` where nobody is to be told about us."""
        spec = self._specs.get(id)
        if spec is None or spec.personal is None or not spec.personal.oauth:
            return None
        return document(self.document_url(id), name=self._name, redirect_uri=self.redirect_uri(id))

    async def _learned(self, spec: UpstreamSpec, personal: Personal) -> Platform:
        """What the server says now; what it said before, where that cannot be found out."""
        former = self._remembered.get(spec.id)
        try:
            platform, lasts = await self._discovered(spec, personal), REMEMBERED_MS
        except UpstreamFailed as failure:
            if former is None:
                raise
            log.warning("upstream `%s`: its authorization cannot be found out anew: %s", spec.id, failure.text)
            platform, lasts = former.platform, FAILED_MS
        self._remembered[spec.id] = _Remembered(platform, self._clock() + lasts)
        return platform

    async def _discovered(self, spec: UpstreamSpec, personal: Personal) -> Platform:
        allow = exceptions_of(spec)
        challenged = await discovery.asked(self._egress, spec.url, allow=allow)
        found = await discovery.discover(self._egress, spec.url, challenged, allow=allow)
        known = await self._known(spec, personal, found.server)
        scopes = found.scopes if personal.scopes is None else personal.scopes
        return Platform(
            id=spec.id,
            definition=_by_oauth(spec, found, known.method),
            client_id=known.client_id,
            client_secret=known.secret,
            scopes=scopes,
            exceptions=allow,
            resource=found.resource,
        )

    async def _known(self, spec: UpstreamSpec, personal: Personal, server: AuthorizationServer) -> Known:
        """In the order of MCP: as the operator registered us, by a document about us, by registering."""
        if personal.client_id:
            if personal.issuer and personal.issuer != server.issuer:
                raise UpstreamFailed(
                    f"it lets users in at `{server.issuer[:200]}`, not at the `issuer` that is set for it"
                )
            method = method_of(server, secret=personal.client_secret is not None)
            return Known(personal.client_id, personal.client_secret, method)
        if server.takes_documents and self._public_url.startswith("https://"):
            return Known(self.document_url(spec.id), None, ClientAuth.NONE)
        return await self._registered(spec, server)

    async def _registered(self, spec: UpstreamSpec, server: AuthorizationServer) -> Known:
        redirect_uri = self.redirect_uri(spec.id)
        id = hashlib.sha256(f"{server.issuer}\0{redirect_uri}".encode()).hexdigest()[:24]
        record = await self._registrations.get(id)
        if record is not None and (known := self._read(record, server)) is not None:
            return known
        made = await register(
            self._egress, server, name=self._name, redirect_uri=redirect_uri, allow=exceptions_of(spec)
        )
        fresh = Registration(
            id=id,
            issuer=server.issuer,
            client_id=made.client_id,
            redirect_uri=redirect_uri,
            created_at=self._clock(),
            expires_at=made.expires_at,
        )
        await self._keep(self._sealed(fresh, made), record)
        return Known(made.client_id, made.secret, made.method)

    async def _keep(self, fresh: Registration, former: Registration | None) -> None:
        """Another process may have registered meanwhile: then the next reading uses what that one kept."""
        try:
            if former is None:
                await self._registrations.add(fresh)
            else:
                await self._registrations.replace(structs.replace(fresh, rev=former.rev))
        except Conflict:
            raise UpstreamFailed("this server is being registered with by another process; try again") from None

    def _sealed(self, record: Registration, made: Registered) -> Registration:
        secret = made.secret.reveal() if made.secret is not None else ""
        plain = f"{made.method.value}\0{secret}".encode()
        return structs.replace(record, sealed=self._vault.seal(plain, context_of_registration(record)))

    def _read(self, record: Registration, server: AuthorizationServer) -> Known | None:
        """What a record says, as long as it holds."""
        if record.issuer != server.issuer or (
            record.expires_at is not None and record.expires_at - MARGIN_MS <= self._clock()
        ):
            return None
        try:
            plain = self._vault.open(record.sealed, context_of_registration(record)).decode()
        except Unsealable:
            return None
        method, _, secret = plain.partition("\0")
        return Known(record.client_id, Secret(secret) if secret else None, ClientAuth(method))


def _sketch(spec: UpstreamSpec) -> Platform:
    if spec.personal is not None and not spec.personal.oauth:
        return _typed(spec, spec.personal)
    auth, api = Auth(AuthKind.OAUTH2), _api(spec, {}, ())
    return Platform(id=spec.id, definition=Definition(id=spec.id, title=spec.id, auth=auth, api=api), client_id=UNTOLD)


def _typed(spec: UpstreamSpec, personal: Personal) -> Platform:
    """A key that each user types."""
    key = Input(personal.secret, personal.label, r"^[\x21-\x7e]{1,4096}$", secret=True)
    definition = Definition(
        id=spec.id,
        title=spec.id,
        auth=Auth(AuthKind.API_KEY),
        api=_api(spec, {personal.header: f"{personal.prefix}{{{personal.secret}}}"}, ()),
        inputs=(key,),
    )
    return Platform(id=spec.id, definition=definition, exceptions=exceptions_of(spec))


def _by_oauth(spec: UpstreamSpec, found: Discovered, method: ClientAuth) -> Definition:
    server = found.server
    oauth = OAuth(
        authorize_url=server.authorize_url,
        token_url=server.token_url,
        issuer=server.issuer,
        iss_promised=server.promises_iss,
        revoke_url=server.revoke_url,
        revocation=Revocation.RFC7009 if server.revoke_url else Revocation.NONE,
        client_auth=method,
        pkce=Pkce.REQUIRED,
    )
    urls = (server.authorize_url, server.token_url, *((server.revoke_url,) if server.revoke_url else ()))
    return Definition(
        id=spec.id,
        title=spec.id,
        auth=Auth(AuthKind.OAUTH2, oauth),
        api=_api(spec, {"Authorization": "Bearer {access_token}"}, urls),
    )


def _api(spec: UpstreamSpec, auth: Mapping[str, str], urls: tuple[str, ...]) -> Api:
    hosts = (urlsplit(url).hostname or "" for url in (spec.url, *urls))
    return Api(base_url=spec.url, allowed_hosts=tuple(dict.fromkeys(hosts)), auth=auth)
