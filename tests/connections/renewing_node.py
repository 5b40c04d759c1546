"""One node in a process of its own: ``python -m tests.connections.renewing_node '{"store": …, "issuer": …}'``.

Says ``ready``, waits for a line, takes Ada's credential out of the wallet, and says the access token or what refused
it. With ``stops`` it says ``given`` as soon as the platform gave a token, and then does nothing any more.
"""

import asyncio
import json
import sys
from typing import Any

from connectors.addresses import Exceptions, parse
from connectors.base import Secret
from connectors.definition.platform import Platform
from connectors.definition.terms import (
    Api,
    Auth,
    AuthKind,
    ClientAuth,
    Definition,
    OAuth,
    Renewal,
    Revocation,
)
from connectors.egress import Egress
from connectors.oauth.legs import Legs
from gateway.connections.renewing import Pace
from gateway.errors import Refusal
from gateway.store.opening import open_store
from tests.connections.renewal import ADA, Clock, Node
from tests.platforms.seeds import CLIENTS


def at_authority(issuer: str, client: str = "basic", kind: AuthKind = AuthKind.OAUTH2, **renewal: Any) -> Platform:
    """The authorization server as a platform, as one of its clients."""
    host = issuer.removeprefix("http://").split(":")[0]
    legs = OAuth(
        authorize_url=f"{issuer}/auth",
        token_url=f"{issuer}/token",
        issuer=issuer,
        revoke_url=f"{issuer}/token/revocation",
        revocation=Revocation.RFC7009,
        client_auth=ClientAuth.BASIC_RFC6749,
        authorize_params={"prompt": "consent"},
        renewal=Renewal(**renewal),
    )
    api = Api(f"{issuer}/me", (host,), auth={"Authorization": "Bearer {access_token}"})
    known, here = CLIENTS[client], parse([issuer.removeprefix("http://")])
    if not isinstance(here, Exceptions):
        raise TypeError(here)
    return Platform(
        "oidc",
        Definition("oidc", "Authority", Auth(kind, legs), api),
        known.id,
        Secret(known.secret),
        scopes=("openid", "offline_access") if kind is AuthKind.OAUTH2 else (),
        exceptions=here,
    )


class Stopping:
    """Legs after which the power goes out."""

    def __init__(self, legs: Legs) -> None:
        self._legs = legs

    async def renew(self, *given: Any) -> None:
        await self._legs.renew(*given)
        print("given", flush=True)
        await asyncio.Event().wait()


async def main(told: dict[str, Any]) -> None:
    store, egress, clock = open_store(told["store"], database=told["database"]), Egress(), Clock(told["now"])
    await store.open()
    legs: Any = Legs(egress, clock)
    node = Node(
        store,
        Stopping(legs) if told.get("stops") else legs,
        clock,
        platforms={"oidc": at_authority(told["issuer"])},
        pace=Pace(look=0.02),
    )
    await node.look()
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    try:
        credential = await node.of("oidc").open(ADA)
        print(json.dumps({"access": credential.secrets["access_token"].reveal()}), flush=True)
    except Refusal as refused:
        print(json.dumps({"refused": refused.kind, "text": refused.text}), flush=True)
    await node.uses.close()
    await store.close()
    await egress.close()


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
