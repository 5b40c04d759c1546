"""The routes for accounts, keys and end users over a real store, spoken to over real HTTP semantics."""

import json
from dataclasses import dataclass
from typing import Any

import msgspec
from quart import Quart

from gateway.records import Server
from gateway.store.base import Store
from gateway.web.api.end_users import EndUsersApi
from gateway.web.api.keys import KeysApi
from gateway.web.api.routes import mounted
from gateway.web.api.users import UsersApi
from tests.builders import NOON
from tests.builtins.house import House, house

ADA, ANN, BOB = (f"{name}@example.com" for name in ("ada", "ann", "bob"))
ROWS = """\
p, user:*, main, self, gateway/directory, inspect, , allow
p, user:*, main, self, gateway/keys, manage, , allow
p, role:user, main, *, gateway/directory, inspect, , allow
p, role:admin, main, *, gateway/users, manage, , allow
p, role:admin, main, *, gateway/keys, manage, , allow
p, role:tenant, main, self, gateway/end-users, manage, , allow
p, role:tenant, main, self, gateway/end-users, act-as, args.server != 'closed', allow
"""


@dataclass
class Api:
    """Requests come from Ann unless they bring another key. No answer, and no entry of the audit, holds a key that was
    sent or the whole hash of any.
    """

    home: House
    client: Any

    async def __call__(
        self, method: str, path: str, who: str = ANN, body: object = None, **headers: str
    ) -> tuple[int, Any]:
        key = self.home.keys[who] if who else ""
        given = {**({"authorization": f"Bearer {key}"} if key else {}), **headers}
        data = None if body is None else json.dumps(body)
        answer = await self.client.open(path, method=method, headers=given, data=data)
        text = await answer.get_data(as_text=True)
        assert answer.headers["cache-control"] == "no-store"
        told = text + msgspec.json.encode(self.home.door.entries).decode()
        assert not key or key not in told
        assert all(each.id not in told for each in await self.home.store.keys.page(limit=1_000))
        return answer.status_code, json.loads(text)

    async def offer(self, owner: str, *ids: str) -> None:
        for id in ids:
            await self.home.store.servers.add(Server(id=id, owner=f"user:{owner}", name=id, created_at=NOON))
        await self.home.follower.catch_up()

    @property
    def entry(self) -> Any:
        return self.home.door.last


async def api_over(store: Store, rows: str = ROWS) -> Api:
    """Ada administers, Ann and Bob are tenants."""
    home = await house(store, rows, lambda _: ())
    for email, roles in ((ADA, ("admin", "user")), (ANN, ("user", "tenant")), (BOB, ("user", "tenant"))):
        await home.add(email, *roles)
    pipeline = home.door.pipeline
    parts = (KeysApi(home.office, pipeline), UsersApi(home.office, pipeline), EndUsersApi(home.office, pipeline))
    app = Quart(__name__)
    app.register_blueprint(mounted(pipeline, [each for part in parts for each in part.routes()]))
    return Api(home, app.test_client())
