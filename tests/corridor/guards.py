"""A gateway, servers behind it that let in only who has an account of his own, and the authorities that give those."""

import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
from click.testing import CliRunner

from gateway.cli import main
from gateway.mcp.terms import CAPABILITIES_KEY
from tests.corridor.browsing import Visitor
from tests.corridor.house import META, ROOT, House, connects, free_port, modern, result_of, running, until, write
from tests.platforms.counterparts import Authority
from tests.platforms.seeds import CLIENTS

SERVER = ROOT / "tests" / "upstreams" / "guarded.py"
URLS = {CAPABILITIES_KEY: {"elicitation": {"url": {}}}}
POLICY = """\
p, user:*, main, self, *, connect, , allow
p, user:*, main, self, *, revoke, , allow
p, user:*, main, self, *, inspect, , allow
p, role:dev, *, self, *, write, , allow
p, role:security, main, system, gateway/policy, manage, , allow
"""


@dataclass
class Guard:
    """One server, and what it says and has seen."""

    port: int
    era: str = "auto"
    authority: Authority | None = None
    keys: dict[str, str] = field(default_factory=dict)
    more_hosts: tuple[str, ...] = ()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/mcp"

    @property
    def state(self) -> dict[str, Any]:
        return self.tell()

    def tell(self, **news: Any) -> dict[str, Any]:
        """Change what it says and demands; its state then."""
        said: dict[str, Any] = httpx2.post(f"http://127.0.0.1:{self.port}/control", json=news, timeout=20).json()
        return said

    def described(self) -> str:
        known: dict[str, Any] = {"port": self.port, "era": self.era, "keys": self.keys}
        if self.authority is not None:
            client = CLIENTS["basic"]
            known |= {"authority": self.authority.issuer, "client": [client.id, client.secret]}
        return json.dumps(known)


@dataclass
class Town:
    """``people`` are the users who are there, by the names before their addresses."""

    house: House
    guards: dict[str, Guard]
    people: dict[str, "User"]


@dataclass
class User:
    """The pages of every authority call him by his address, too."""

    house: House
    who: str
    key: str

    def ask(self, method: str, *, able: bool = False, more: dict[str, Any] | None = None, **params: Any) -> Any:
        """The result, or the error, of a request in the modern era."""
        asked = modern(method, **params)
        asked["json"]["params"] |= more or {}
        if able:
            asked["json"]["params"]["_meta"] = {**META, **URLS}
        with self.house.client(self.key) as client:
            answer = result_of(client.post("/mcp", **asked))
        return answer["result"] if "result" in answer else answer["error"]

    def call(self, tool: str, /, **arguments: Any) -> Any:
        return self.ask("tools/call", name=tool, arguments=arguments)

    def says(self, tool: str, /, **arguments: Any) -> str:
        """The text of what a call gives, well or not."""
        result = self.call(tool, **arguments)
        return "".join(each.get("text", "") for each in result["content"]) if "content" in result else str(result)

    def tools(self, connector: str) -> set[str]:
        names = (each["name"] for each in self.ask("tools/list")["tools"])
        return {name.partition("__")[2] for name in names if name.startswith(f"{connector}__")}

    def connects(self, connector: str, **typed: str) -> str:
        """The words of the page at the end, once he has followed the invitation and connected an account."""
        return self.visits(self.says(f"{connector}__connect_account"), **typed)

    def joins(self, connector: str, **typed: str) -> None:
        """Connects, until he is shown what the server has."""
        self.connects(connector, **typed)
        until(lambda: "headers" in self.tools(connector))

    def visits(self, text: str, **typed: str) -> str:
        """The same, with the link that stands in ``text``."""
        return Visitor(self.who, self.key).connects(link_in(text), **typed)

    def seen(self, connector: str) -> dict[str, str]:
        """The headers with which his call came to a server: `x-who` and the credential among them."""
        headers: dict[str, str] = json.loads(self.says(f"{connector}__headers"))
        return headers

    def connections(self) -> list[dict[str, Any]]:
        with self.house.client(self.key) as client:
            listed: list[dict[str, Any]] = client.get("/api/connections").json()["connections"]
        return listed

    def disconnects(self, connector: str) -> None:
        (mine,) = (each for each in self.connections() if each["connector"] == connector)
        with self.house.client(self.key) as client:
            answer = client.delete(f"/api/connections/{mine['id']}")
        assert answer.status_code == 200, answer.text


def link_in(text: str) -> str:
    found = re.search(r"http://127\.0\.0\.1:\d+/connect/[\w.-]+", text)
    assert found, text
    return found[0]


@contextmanager
def town(folder: Path, guards: dict[str, Guard], people: Iterable[str], *, more: dict[str, str]) -> Iterator[Town]:
    """Everything running. ``more`` are lines of upstreams' tables ``personal``, by id."""
    with subprocess.Popen([sys.executable, SERVER, *(each.described() for each in guards.values())]) as servers:
        try:
            until(lambda: all(connects("127.0.0.1", each.port) for each in guards.values()), 30)
            tables = "".join(described(id, guard, more.get(id, "")) for id, guard in guards.items())
            write(folder, policy=POLICY, limits="", upstreams=tables, settings="[server]\n")
            house = House(folder, free_port(), str(folder / "var" / "ostiary.db"))
            added(house, "root@example.com", "security")
            users = {name: added(house, f"{name}@example.com") for name in people}
            with running(house):
                yield Town(house, guards, users)
        finally:
            servers.kill()


def added(house: House, email: str, *roles: str) -> User:
    given = [word for role in roles or ("dev",) for word in ("--role", role)]
    words = ["--config", str(house.folder / "config"), "users", "add", email, *given, "--json"]
    done = CliRunner().invoke(main, words, env=house.environment, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return User(house, email, json.loads(done.stdout)["key"])


def described(id: str, guard: Guard, more: str) -> str:
    hosts = [f"127.0.0.1:{guard.port}", *guard.more_hosts]
    if guard.authority is not None:
        hosts.append(guard.authority.host)
    return (
        f'[upstreams.{id}]\nurl = "{guard.url}"\nprivate_hosts = {json.dumps(hosts)}\n'
        f'[upstreams.{id}.tools]\n"*" = "read"\n[upstreams.{id}.personal]\n{more}'
    )
