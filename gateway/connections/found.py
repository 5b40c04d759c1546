"""An account that somebody agreed to connect, as long as it is not kept: what a flow holds meanwhile.

Pure: it becomes bytes for the vault and comes back, and becomes the record of a connection. This file knows no store.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import msgspec
from msgspec import structs

from connectors.base import Credential, Secret
from connectors.definition.platform import Platform
from connectors.oauth.terms import Tokens
from gateway.connections.fields import Typed
from gateway.connections.material import Material, credential, inputs_of, of_tokens, pack, unpack
from gateway.records import Connected, Flow, Status
from gateway.vault import Unsealable

ISSUER: Final = "issuer"
"""Who gave the tokens: they are never sent to anybody else."""

_VERIFIER: Final = ":verifier"
"""No input has such a name."""


@dataclass(frozen=True, slots=True, repr=False)
class Found:
    """``account`` and ``label`` are ``""`` where the platform does not tell whose account it is. ``expires_at`` is in
    ms since the epoch.
    """

    material: Material
    account: str = ""
    label: str = ""
    scopes: tuple[str, ...] = ()
    inputs: Mapping[str, str] = field(default_factory=dict)
    expires_at: int | None = None

    def of(self, account: str, label: str) -> "Found":
        """The same, when it is known whose account it is."""
        return replace(self, account=account, label=label)

    def credential(self, platform: Platform) -> Credential:
        """What it puts on a request, while it is no connection yet."""
        return credential(self.material, "", inputs_of(platform, self.inputs))


class _Form(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    material: bytes
    account: str
    label: str
    scopes: tuple[str, ...]
    inputs: dict[str, str]
    expires_at: int | None


_form: Final = msgspec.msgpack.Decoder(_Form)


def of_answer(tokens: Tokens, platform: Platform, flow: Flow, secrets: Mapping[str, Secret]) -> Found:
    """What a token answer gives; ``secrets`` were typed. A platform that names no scopes gave what was asked for."""
    material = of_tokens(tokens, secrets)
    oauth = platform.definition.auth.oauth
    if oauth is not None and oauth.issuer:
        material = Material(material.secrets, {**material.plain, ISSUER: oauth.issuer})
    scopes = flow.scopes if tokens.scopes is None else tokens.scopes
    return Found(material, scopes=scopes, inputs=flow.inputs, expires_at=tokens.expires_at)


def of_typed(given: Typed) -> Found:
    """What was typed, for kinds without OAuth."""
    return Found(Material(given.secrets), inputs=given.plain)


def bytes_of(found: Found) -> bytes:
    """What is sealed into a flow."""
    form = _Form(pack(found.material), found.account, found.label, found.scopes, dict(found.inputs), found.expires_at)
    return msgspec.msgpack.encode(form)


def found_in(packed: bytes) -> Found:
    """What ``bytes_of`` was given. Raises ``Unsealable`` for other bytes."""
    try:
        form = _form.decode(packed)
    except (msgspec.MsgspecError, ValueError):
        raise Unsealable("what was sealed is not an account") from None
    return Found(unpack(form.material), form.account, form.label, form.scopes, form.inputs, form.expires_at)


def bytes_of_wait(verifier: Secret | None, secrets: Mapping[str, Secret], issuer: str) -> bytes:
    """What is sealed into a flow while the browser is at the platform, which is asked under the name ``issuer``."""
    proving = {} if verifier is None else {_VERIFIER: verifier}
    return pack(Material({**secrets, **proving}, {ISSUER: issuer}))


def wait_in(packed: bytes) -> tuple[Secret | None, dict[str, Secret], str]:
    """The PKCE verifier, the typed secrets and the issuer again. Raises ``Unsealable``."""
    material = unpack(packed)
    secrets = dict(material.secrets)
    return secrets.pop(_VERIFIER, None), secrets, material.plain.get(ISSUER, "")


def connection_of(found: Found, flow: Flow, id: str, now: int) -> Connected:
    """The record of a new connection, whose credential is not sealed into it yet."""
    empty = Connected(
        id=id,
        owner=flow.owner,
        connector=flow.connector,
        tenant=flow.tenant,
        created_at=now,
        connected_at=now,
        updated_at=now,
    )
    return _filled(empty, found, label=found.label)


def renewed(former: Connected, found: Found, now: int, *, same: bool) -> Connected:
    """``former`` with what was found in place of what it held; the ``same`` account keeps its label."""
    record = _filled(former, found, label=(former.label if same else "") or found.label)
    return structs.replace(
        record,
        status=Status.ACTIVE,
        reason="",
        leased_by="",
        leased_until=0,
        attempts=0,
        retry_at=0,
        connected_at=now,
        updated_at=now,
    )


def _filled(record: Connected, found: Found, *, label: str) -> Connected:
    return structs.replace(
        record,
        account=found.account,
        label=label,
        scopes=found.scopes,
        inputs=dict(found.inputs),
        renewable=bool(found.material.refresh),
        expires_at=found.expires_at,
    )
