"""An answer from memory says so in a header of its own HTTP answer, and of no other one."""

from msgspec.structs import replace

from gateway.records import Mode, Server
from tests.builders import ALL, AMY, Door
from tests.fakes import FakeConnector, tool
from tests.web.plane import Front, message

SERVER = Server(id="s-1", owner=f"user:{AMY}", name="S", mode=Mode.DIRECT, cache_s=60)


async def asked(front: Front, path: str) -> str | None:
    answer = await front.open("POST", path, message("tools/call", name="hub__look", arguments={})).done()
    assert answer.told["result"]["content"][0]["text"].endswith("tools/call look")
    return answer.headers.get("x-cache-hit")


async def test_the_second_answer_is_a_hit_and_nothing_else_is():
    door = Door(ALL, [FakeConnector("hub", [tool("look", "read", platform="1")])])
    door.offer(SERVER, replace(SERVER, id="s-2", cache_s=0))
    front = Front(door)
    assert [await asked(front, f"/mcp/{each}") for each in ("s-1", "s-1", "s-2", "s-2")] == [None, "true", None, None]
    listed = await front.open("POST", "/mcp/s-1", message("tools/list")).done()
    assert "x-cache-hit" not in listed.headers
