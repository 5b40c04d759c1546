"""The whole gateway in this process, in production, over an embedded store: ASGI requests in, answers out, no sockets."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.app import Gateway
from gateway.follower import now_ms
from gateway.manage.policies import apply_policy
from gateway.manage.users import add_user
from gateway.policy.rules import read
from gateway.settings import load
from tests.builders import MODEL

HOST = "127.0.0.1:4001"
BASE = f"http://{HOST}"
SECRET = "a secret of thirty-two bytes or so"
ANN, BOB, SEC = "ann@example.com", "bob@example.com", "sec@example.com"
ROWS = """\
p, user:*, main, self, gateway/audit, inspect, , allow
p, user:*, main, self, gateway/keys, manage, , allow
p, user:*, main, self, custom/*, write, , allow
p, user:ann@example.com, main, self, gateway/servers, manage, , allow
p, user:ann@example.com, main, self, gateway/end-users, manage, , allow
p, user:ann@example.com, main, self, *, connect, , allow
p, *, *, self, *, revoke, , allow
p, role:security, main, system, gateway/policy, manage, , allow
p, role:security, main, *, gateway/audit, inspect, , allow
p, role:security, main, *, gateway/users, manage, , allow
p, role:user, main, *, gateway/directory, inspect, , allow
"""
SETTINGS = """\
[server]
mode = "production"
public_url = "https://gateway.example.com"
allowed_hosts = ["127.0.0.1:4001"]
secret = [{ id = "k1", env = "SECRET" }]
"""


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    raw: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.raw)

    @property
    def code(self) -> str:
        """That of a refusal, whose form is checked."""
        told = self.json
        assert set(told) == {"error", "type", "title", "status", "detail"}
        assert set(told["error"]) == {"code", "message", "details"}
        assert (told["status"], told["detail"]) == (self.status, told["error"]["message"])
        code: str = told["error"]["code"]
        return code


@dataclass
class Whole:
    gateway: Gateway
    keys: dict[str, str] = field(default_factory=dict)
    limits: str = ""

    async def person(self, email: str, *roles: str) -> None:
        issued = await add_user(
            self.gateway.store, self.gateway.ring, email, author="operator", now=now_ms(), roles=roles
        )
        self.keys[email] = issued.key if isinstance(issued.key, str) else issued.key.reveal()
        await self.gateway.follower.catch_up()

    async def apply(self, rows: str) -> int:
        files = {"policies/model.conf": MODEL, "policies/rules.csv": rows, "policies/limits.toml": self.limits}
        bundle = read({name: text for name, text in files.items() if text})
        assert not isinstance(bundle, list), bundle
        head = await apply_policy(self.gateway.store, bundle, author="operator", why="a test", now=now_ms())
        await self.gateway.follower.catch_up()
        return head.version

    async def __call__(
        self,
        method: str,
        path: str,
        who: str = SEC,
        *,
        body: Any = None,
        raw: bytes | None = None,
        key: str | None = None,
        **headers: str,
    ) -> Answer:
        offered = self.keys.get(who, "") if key is None else key
        given = {"host": HOST, "content-type": "application/json"}
        given |= {"x-apikey": offered} if offered else {}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        path, _, query = path.partition("?")
        scope = {
            "type": "http",
            "http_version": "1.1",
            "asgi": {"spec_version": "2.3"},
            "scheme": "http",
            "root_path": "",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in given.items()],
            "client": ("203.0.113.7", 5000),
            "server": ("127.0.0.1", 4001),
        }
        sent: list[Any] = []
        text = (b"" if body is None else json.dumps(body).encode()) if raw is None else raw
        waiting = [{"type": "http.request", "body": text, "more_body": False}]

        async def receive() -> Any:
            if not waiting:
                await asyncio.Event().wait()
            return waiting.pop()

        async def send(event: Any) -> None:
            sent.append(event)

        await self.gateway.asgi(scope, receive, send)
        start = sent[0]
        told = {name.decode().lower(): value.decode() for name, value in start["headers"]}
        return Answer(start["status"], told, b"".join(each.get("body", b"") for each in sent[1:]))


@asynccontextmanager
async def whole(folder: Path, *, rows: str = ROWS, config: str = SETTINGS, limits: str = "") -> AsyncIterator[Whole]:
    """A gateway with Ann, Bob and who keeps the policy."""
    folder.chmod(0o700)
    (folder / "config").mkdir(mode=0o700, exist_ok=True)
    (folder / "config" / "ostiary.toml").write_text(config)
    gateway = Gateway(load(folder / "config", {"SECRET": SECRET}))
    await gateway.start()
    try:
        house = Whole(gateway, limits=limits)
        await house.person(SEC, "security", "user")
        await house.apply(rows)
        await house.person(ANN, "user")
        await house.person(BOB, "user")
        yield house
    finally:
        await gateway.stop()
