"""What one run of the real clients and servers found: everything is asked once, by whoever wants to know it first."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.corridor.house import House, free_port, modern, result_of, until
from tests.peers.clients import Client
from tests.peers.house import gateway
from tests.peers.servers import SERVERS
from tests.peers.tap import Tap, tapped

ANSWERED = {"message": "hello"}
DENIED = {"message": "forbidden"}
STEPS: list[list[Any]] = [
    ["tools"],
    ["call", "everything__echo", ANSWERED],
    ["call", "everything__echo", DENIED],
    ["call", "everything__get-env", {}],
]
SPEAKS = re.compile(r"upstream `([^`]+)` speaks ([0-9-]+)")


@dataclass(frozen=True)
class Visit:
    """What a client got for ``STEPS``, and the revision that it spoke to the gateway."""

    revision: str
    tools: frozenset[str]
    answers: list[Any]


@dataclass
class Site:
    folder: Path
    house: House
    tap: Tap
    key: str
    _visits: dict[Client, Visit] = field(default_factory=dict)
    _offered: dict[str, frozenset[str]] = field(default_factory=dict)

    def visit(self, client: Client) -> Visit:
        """What the client gets for ``STEPS``."""
        if client not in self._visits:
            self.tap.forget()
            home = self.folder / str(client)
            home.mkdir()
            tools, *answers = client.take(STEPS, tap=self.tap, key=self.key, home=home)
            names = frozenset(tool["name"] for tool in tools["tools"])
            self._visits[client] = Visit(self.tap.revision, names, answers)
        return self._visits[client]

    @property
    def offered(self) -> dict[str, frozenset[str]]:
        """The tools of each server as the operator's own command tells them, whatever the policy hides."""
        if not self._offered:
            for thing in json.loads(self.house.cli("policy", "inventory"))["things"]["main"]:
                connector, _, name = thing["object"].partition("/")
                if not name.startswith(("prompt:", "resource:")):
                    self._offered[connector] = self._offered.get(connector, frozenset()) | {name}
        return self._offered

    @property
    def revisions(self) -> dict[str, str]:
        """What each server speaks to the gateway, as the gateway's log tells it."""
        return dict(SPEAKS.findall(self.house.log))

    def newcomer(self, name: str) -> str:
        """The key of a new user, who has not asked for anything yet."""
        made = self.house.cli("users", "add", f"{name}@example.com", "--role", "user", "--json")
        key: str = json.loads(made)["key"]
        with self.house.client(key) as client:
            until(lambda: client.get("/mcp").status_code != 401)
        return key

    def list(self) -> frozenset[str]:
        """What the user sees of all servers."""
        with self.house.client(self.key) as client:
            answer = result_of(client.post("/mcp", **modern("tools/list")))
        return frozenset(tool["name"] for tool in answer["result"]["tools"])

    def call(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """The message that answers the user's call."""
        with self.house.client(self.key) as client:
            message: dict[str, Any] = result_of(
                client.post("/mcp", **modern("tools/call", name=name, arguments=arguments), timeout=60)
            )
        return message


@contextmanager
def built(folder: Path) -> Iterator[Site]:
    """The gateway with every server behind it, and the tap that clients come through."""
    folder.chmod(0o700)
    port = free_port()
    with gateway(folder, also=port) as house, tapped(port, house.port) as tap:
        site = Site(folder, house, tap, house.add_user("ann@example.com", "user"))
        until(lambda: {name.partition("__")[0] for name in site.list()} == {server.id for server in SERVERS}, 60)
        yield site
