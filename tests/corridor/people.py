"""A gateway with the sample policy, people in it, and what they say to it through its own tools."""

import json
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.corridor.conftest import TOOLS
from tests.corridor.guards import added
from tests.corridor.house import EVERYTHING, ROOT, House, free_port, modern, result_of, running, until, write

MORE = """
p, role:user, *, self, demo/*, write, , allow
p, role:user, *, self, *, rate:fast, , allow
p, role:power-user, main, self, http/*, read, , allow
p, role:half, *, self, demo/echo, read, args.text == 'only this', allow
"""
LIMITS = """
[[class]]
name = "fast"
calls = 1000000
window_s = 60
[[class]]
name = "default"
calls = 1000000
window_s = 60
"""
DEMO = f"""
[upstreams.demo]
command = ["{sys.executable}", "{EVERYTHING}", "--transport", "stdio"]
sharing = "all"
trust = true
[upstreams.demo.tools]
{TOOLS}
"""
ECHO: dict[str, Any] = {
    "type": "upstream",
    "config": {"upstream": "demo", "tool": "echo", "args": {"text": "{{text}}"}},
}
TEXT: dict[str, Any] = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}


@dataclass
class Said:
    """The answer of a tool: ``failed`` with ``text``, or what it says of itself."""

    failed: bool
    text: str

    @property
    def whole(self) -> dict[str, Any]:
        assert not self.failed, self.text
        told: dict[str, Any] = json.loads(self.text)
        return told

    @property
    def result(self) -> Any:
        return self.whole["result"]


@dataclass
class Person:
    """Somebody with a key, in the modern era, where each request stands for itself."""

    house: House
    email: str
    key: str

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        with self.house.client(self.key) as client:
            answer: dict[str, Any] = result_of(client.post("/mcp", **modern(method, **params)))
        return answer

    def call(self, tool: str, /, **arguments: Any) -> Said:
        answer = self.ask("tools/call", name=tool, arguments=arguments)
        if "error" in answer:
            return Said(True, f"{answer['error']['code']} {answer['error']['message']}")
        result = answer["result"]
        return Said(bool(result.get("isError")), "".join(part.get("text", "") for part in result["content"]))

    def tools(self) -> dict[str, Any]:
        """The definitions that he is shown, by their names."""
        return {each["name"]: each for each in self.ask("tools/list")["result"]["tools"]}

    def prompts(self) -> dict[str, Any]:
        return {each["name"]: each for each in self.ask("prompts/list")["result"]["prompts"]}

    def makes(self, name: str, *, handler: Any = ECHO, schema: Any = TEXT, **more: Any) -> Said:
        """A tool of his own."""
        return self.call("add-tool", name=name, description="made here", inputSchema=schema, handler=handler, **more)

    def shares(self, tool: str, to: "Person", level: str = "read") -> Said:
        return self.call("share-tool", email=to.email, toolId=tool, accessLevel=level)

    def echoed(self, tool: str, /, **arguments: Any) -> Any:
        """What the demo's `echo` was given."""
        said = self.call(tool, **arguments)
        assert not said.failed, said.text
        return json.loads(said.text)["arguments"]


def unique(name: str) -> str:
    """A name that no other test uses."""
    return f"{name}-{secrets.token_hex(3)}x"  # ends in no hexadecimal digit


def person(house: House, name: str, *roles: str) -> Person:
    """A new user, with an address of his own."""
    made = added(house, f"{unique(name)}@example.com", *roles)
    until(lambda: Person(house, made.who, made.key).ask("tools/list").get("result"))
    return Person(house, made.who, made.key)


@contextmanager
def inhabited(folder: Path, *, rules: str = "", settings: str = "[server]\n", limits: str = LIMITS) -> Iterator[House]:
    """A gateway on the sample policy with ``rules`` added, the demo server behind it."""
    sample = ROOT / "policies"
    write(
        folder,
        policy=(sample / "rules.csv").read_text() + MORE + rules,
        limits=limits,
        upstreams=DEMO,
        settings=settings,
    )
    (folder / "policies" / "roles.csv").write_text((sample / "roles.csv").read_text())
    (folder / "policies" / "roles.csv").chmod(0o600)
    house = House(folder, free_port(), str(folder / "var" / "ostiary.db"))
    with running(house):
        yield house
