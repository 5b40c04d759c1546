"""Lists in pages, of the size that the operator sets."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.corridor.conftest import build
from tests.corridor.house import LENIENT, House, modern, result_of, running, until
from tests.corridor.test_isolation import INITIALIZE, legacy


@pytest.fixture
def small_house(tmp_path: Path, upstreams: str) -> Iterator[House]:
    """A gateway whose lists come in pages of five."""
    house = build(tmp_path, upstreams)
    (house.folder / "config" / "ostiary.toml").write_text(f"[server]\npage_items = 5\n{LENIENT}")
    with running(house):
        yield house


def test_every_tool_stands_on_one_page_in_both_eras_and_a_cursor_of_another_is_refused(small_house: House):
    key, other = (small_house.add_user(f"{name}@example.com", "user", "fast") for name in ("ann", "bob"))
    with small_house.client(key) as client, small_house.client(other) as stranger:
        session = {"mcp-session-id": client.post("/mcp", json=INITIALIZE).headers["mcp-session-id"]}

        def ask(era: str, **cursor: str) -> Any:
            if era == "legacy":
                return result_of(client.post("/mcp", json=legacy("tools/list", **cursor), headers=session))["result"]
            return result_of(client.post("/mcp", **modern("tools/list", **cursor)))["result"]

        def pages(era: str) -> list[list[str]]:
            found, page = [], ask(era)
            while "nextCursor" in page:
                found.append([each["name"] for each in page["tools"]])
                page = ask(era, cursor=page["nextCursor"])
            return [*found, [each["name"] for each in page["tools"]]]

        until(lambda: {"demo__echo", "web__echo", "old__echo"} <= {name for page in pages("modern") for name in page})
        found = pages("modern")
        assert found == pages("legacy")
        names = [name for page in found for name in page]
        assert len(set(names)) == len(names)
        assert [len(page) for page in found[:-1]] == [5] * (len(found) - 1)
        order = ["demo", "web", "old"]
        assert names == sorted(names, key=lambda name: (order.index(name.partition("__")[0]), name))
        question = modern("tools/list", cursor=ask("modern")["nextCursor"])
        answer = stranger.post("/mcp", **question)
        assert (answer.status_code, result_of(answer)["error"]["code"]) == (200, -32602)
