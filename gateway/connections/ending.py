"""The end of a connection, and of what never became one: gone from the store first, then forgotten by the platform.

Forgetting is asked for as well as it goes: a platform that does not answer keeps nothing of ours alive.
"""

from connectors.definition.platform import Platform
from connectors.definition.terms import AuthKind
from connectors.oauth.terms import Client
from gateway.connections.found import ISSUER
from gateway.connections.material import Material, context_of_connection, inputs_of, tokens_of, unpack
from gateway.connections.means import Legs
from gateway.manage.loans import end_loans
from gateway.records import Connected
from gateway.store.base import NotFound, Store
from gateway.vault import Unsealable, Vault


async def end(store: Store, vault: Vault, legs: Legs, platform: Platform | None, connected: Connected) -> bool:
    """Take a connection away, and what was lent of it; whether its ``platform`` (``None``: not set up any more) forgot
    it as well.

    Raises ``NotFound`` when it is gone already, ``Unavailable`` of the store; then nothing was revoked.
    """
    latest = await store.connections.get(connected.id)
    if latest is None:
        raise NotFound(f"there is no connection `{connected.id}`")
    await store.connections.remove(latest.id)
    await end_loans(store, latest.id)
    try:
        material = unpack(vault.open(latest.sealed, context_of_connection(latest)))
    except Unsealable:
        return False
    return platform is not None and await forgotten(legs, platform, latest, material)


async def forgotten(legs: Legs, platform: Platform, connected: Connected, material: Material) -> bool:
    """Whether ``platform`` forgot the tokens of ``connected``, which are in ``material``. Never raises."""
    oauth = platform.definition.auth.oauth
    if platform.definition.auth.kind is not AuthKind.OAUTH2 or oauth is None:
        return False
    if material.plain.get(ISSUER, oauth.issuer) != oauth.issuer:
        return False  # a token goes to nobody but who gave it
    client = Client(platform.client_id, platform.client_secret, "")
    tokens = tokens_of(material, connected)
    return await legs.revoke(platform, client, tokens, inputs_of(platform, connected.inputs))
