"""Headers that repeat arguments: compared with the body, of the one tool that is called."""

from collections.abc import Iterator
from typing import Any

import pytest

from gateway.errors import Malformed, Unknown
from gateway.mcp.terms import CAPABILITIES_KEY, VERSION_KEY, Call, Era, Request
from tests.builders import ALL, AMY, MODERN_VERSION, Door, call, classified, refused
from tests.fakes import FakeConnector, prompt, tool

ROUTED = {
    "type": "object",
    "properties": {"region": {"type": "string", "x-mcp-header": "Region"}, "n": {"type": "integer"}},
    "required": ["region"],
}


def asked(name: str, arguments: dict[str, Any], **headers: str) -> Call:
    """A modern ``tools/call`` with headers ``Mcp-Param-…``."""
    meta = {VERSION_KEY: MODERN_VERSION, CAPABILITIES_KEY: {}}
    message = Request(1, "tools/call", {"name": name, "arguments": arguments, "_meta": meta})
    repeated = {f"mcp-param-{header}": text for header, text in headers.items()}
    given = {"mcp-protocol-version": MODERN_VERSION, "mcp-method": "tools/call", "mcp-name": name, **repeated}
    return classified(message, headers=given)


@pytest.mark.parametrize("headers", [{"region": "eu"}, {"region": "=?base64?ZXU=?="}, {"region": "eu", "n": "9"}])
async def test_a_call_whose_headers_say_what_its_body_says_reaches_the_server(headers: dict[str, str]):
    door = Door(ALL, [connector := FakeConnector("c", [tool("t", schema=ROUTED)])])
    await door.handle(AMY, asked("c__t", {"region": "eu"}, **headers))
    assert connector.sent[0].params["arguments"] == {"region": "eu"}


@pytest.mark.parametrize("headers", [{}, {"region": "us"}, {"region": "=?base64?ZXU?="}, {"region": "eu, eu"}])
async def test_a_call_whose_headers_say_otherwise_is_refused_and_reaches_nobody(headers: dict[str, str]):
    door = Door(ALL, [connector := FakeConnector("c", [tool("t", schema=ROUTED)])])
    mismatch = await refused(door, AMY, asked("c__t", {"region": "eu"}, **headers))
    assert (type(mismatch), mismatch.code, mismatch.status) == (Malformed, -32020, 400)
    assert mismatch.text == "header mismatch: Mcp-Param-Region: must be given once, as in the arguments"
    assert (connector.opened, connector.sent) == ([], [])
    assert (door.last.outcome, door.last.error, door.last.object) == ("malformed", "-32020", "c/t")


async def test_a_hidden_tool_answers_like_a_missing_one_whatever_the_headers_say():
    door = Door("", [FakeConnector("c", [tool("t", schema=ROUTED)])])
    for name in ("c__t", "c__u"):
        assert type(await refused(door, AMY, asked(name, {"region": "eu"}))) is Unknown


async def test_the_legacy_era_knows_no_such_headers():
    door = Door(ALL, [connector := FakeConnector("c", [tool("t", schema=ROUTED)])])
    await door.handle(AMY, call("tools/call", era=Era.LEGACY, name="c__t", arguments={"region": "eu"}))
    assert len(connector.sent) == 1


async def test_other_methods_and_tools_without_declarations_ignore_such_headers():
    door = Door(ALL, [connector := FakeConnector("c", [tool("t"), prompt("p")])])
    await door.handle(AMY, asked("c__t", {"region": "eu"}, region="us"))
    await door.ask(AMY, "prompts/get", era=Era.MODERN, name="c__p")
    assert len(connector.sent) == 2


class Counted(dict[str, Any]):
    """A tool's definition that counts how often it is looked at."""

    looks = 0

    def __getitem__(self, key: str) -> Any:
        Counted.looks += 1
        return super().__getitem__(key)

    def get(self, key: str, default: Any = None) -> Any:
        Counted.looks += 1
        return super().get(key, default)

    def __iter__(self) -> Iterator[str]:
        Counted.looks += 1
        return super().__iter__()

    def keys(self) -> Any:
        Counted.looks += 1
        return super().keys()

    def items(self) -> Any:
        Counted.looks += 1
        return super().items()


async def test_a_call_looks_at_no_definition_but_its_own_and_at_that_once(monkeypatch: pytest.MonkeyPatch):
    offered = [tool(f"t{n}", schema=ROUTED) for n in range(1_000)]
    for item in offered:
        object.__setattr__(item, "definition", Counted(item.definition))
    door = Door(ALL, [FakeConnector("c", offered)], limits=LIMITS)
    await door.directory.view("main", f"user:{AMY}")
    monkeypatch.setattr(Counted, "looks", 0)
    await door.handle(AMY, asked("c__t7", {"region": "eu"}, region="eu"))
    first = Counted.looks
    for _ in range(100):
        await door.handle(AMY, asked("c__t7", {"region": "eu"}, region="eu"))
    assert 0 < first < 10
    assert Counted.looks == first


LIMITS = "[[class]]\nname = 'default'\ncalls = 1000\nwindow_s = 60\n"
