"""What is sealed of a connection or a flow, in which form, and bound to which place.

Pure: tokens and typed secrets become bytes for the vault and again values. This file knows no store and no key.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

from connectors.base import Credential, Secret
from connectors.definition.platform import Platform
from connectors.oauth.terms import Tokens
from gateway.records import Connected, Flow, Registration
from gateway.vault import Unsealable

ACCESS: Final = "access_token"
REFRESH: Final = "refresh_token"


@dataclass(frozen=True, slots=True, repr=False)
class Material:
    """``secrets`` are tokens and typed secrets by the names that templates use, ``plain`` what the platform told."""

    secrets: Mapping[str, Secret] = field(default_factory=dict)
    plain: Mapping[str, str] = field(default_factory=dict)

    @property
    def access(self) -> str:
        """The access token, ``""`` where there is none."""
        return self._revealed(ACCESS)

    @property
    def refresh(self) -> str:
        """The refresh token, ``""`` where there is none."""
        return self._revealed(REFRESH)

    def _revealed(self, name: str) -> str:
        secret = self.secrets.get(name)
        return "" if secret is None else secret.reveal()


class _Form(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    secrets: dict[str, str]
    plain: dict[str, str]


_form: Final = msgspec.msgpack.Decoder(_Form)


def pack(material: Material) -> bytes:
    """The bytes that are sealed."""
    secrets = {name: secret.reveal() for name, secret in material.secrets.items()}
    return msgspec.msgpack.encode(_Form(secrets, dict(material.plain)))


def unpack(packed: bytes) -> Material:
    """What ``pack`` was given. Raises ``Unsealable`` for bytes that it never made."""
    try:
        form = _form.decode(packed)
    except (msgspec.MsgspecError, ValueError):
        raise Unsealable("what was sealed is not a credential") from None
    return Material({name: Secret(text) for name, text in form.secrets.items()}, form.plain)


def of_tokens(tokens: Tokens, secrets: Mapping[str, Secret] | None = None) -> Material:
    """What is to be sealed after a platform gave ``tokens``; ``secrets`` are those that were typed."""
    renewing = {} if tokens.refresh is None else {REFRESH: tokens.refresh}
    return Material({**(secrets or {}), ACCESS: tokens.access, **renewing}, tokens.kept)


def tokens_of(material: Material, connected: Connected) -> Tokens:
    """The tokens again, as the legs of OAuth take them."""
    return Tokens(
        access=material.secrets.get(ACCESS, Secret("")),
        refresh=material.secrets.get(REFRESH),
        expires_at=connected.expires_at,
        scopes=connected.scopes,
        kept=material.plain,
    )


def credential(material: Material, id: str, inputs: Mapping[str, str]) -> Credential:
    """What connection ``id`` puts on a request. The refresh token is for the platform's token endpoint alone."""
    secrets = {name: secret for name, secret in material.secrets.items() if name != REFRESH}
    return Credential(id, secrets, {**material.plain, **inputs})


def inputs_of(platform: Platform, typed: Mapping[str, str]) -> dict[str, str]:
    """The plain inputs by which templates are filled: defaults, what was typed, and above all what is fixed."""
    defaults = {each.name: each.default for each in platform.definition.inputs if each.default and not each.secret}
    return {**defaults, **typed, **platform.inputs}


def context_of_connection(record: Connected) -> tuple[str, ...]:
    """The place that a connection's credential is bound to."""
    return ("connection/1", record.tenant, record.owner, record.connector, record.id)


def context_of_flow(record: Flow) -> tuple[str, ...]:
    """The place that what a flow holds is bound to."""
    return ("flow/1", record.tenant, record.owner, record.connector, record.id)


def context_of_registration(record: Registration) -> tuple[str, ...]:
    """The place that a registration's client secret is bound to."""
    return ("registration/1", record.issuer, record.client_id, record.redirect_uri, record.id)
