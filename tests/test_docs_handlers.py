"""``docs/handlers.md``: its package, installed as a distribution, in a running gateway; its tables against the code."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from connectors.http_calls.plan import KEYS
from connectors.packages.package import KNOWN
from gateway.custom.calling import CALLS, TYPES
from tests.corridor.house import House, free_port, modern, result_of, running, write
from tests.documents import ROOT, blocks, table

PAGE = ROOT / "docs" / "handlers.md"
RULES = """
p, user:ann@example.com, main, self, dice/roll, read, , allow
p, user:ann@example.com, main, self, custom/*, write, , allow
p, user:ann@example.com, main, self, custom/*, manage, , allow
p, role:admin, main, *, gateway/*, manage, , allow
"""
TOOL = {
    "name": "coin",
    "description": "Tosses coins.",
    "inputSchema": {"type": "object", "properties": {"count": {"type": "integer"}}, "required": ["count"]},
    "handler": {"type": "dice", "config": {"action": "roll", "args": {"dice": "{{count}}"}, "sides": 1}},
}


def source(language: str) -> tuple[str, str]:
    """The file that a block shows: its name and its text."""
    (block,) = [each for each in blocks(PAGE) if each.language == language]
    return block.text.splitlines()[0].removeprefix("# "), block.text


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of installed distributions with the package in it, as an installer leaves it."""
    folder = tmp_path_factory.mktemp("site")
    name, text = source("python")
    (folder / name).write_text(text)
    project = tomllib.loads(source("toml")[1])["project"]
    metadata = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    lines = [
        line
        for group, entries in project["entry-points"].items()
        for line in (f"[{group}]", *(f"{entry} = {value}" for entry, value in entries.items()))
    ]
    (metadata / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module")
def house(site: Path, tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("house")
    write(folder, policy=RULES, limits="", upstreams="")
    found = House(folder, free_port(), str(folder / "var" / "ostiary.db"), extra={"PYTHONPATH": f"{ROOT}:{site}"})
    with running(found):
        yield found


@pytest.fixture(scope="module")
def ann(house: House) -> str:
    return house.add_user("ann@example.com")


def call(house: House, key: str, name: str, /, **arguments):
    with house.client(key) as client:
        return result_of(client.post("/mcp", **modern("tools/call", name=name, arguments=arguments)))


def test_the_example_has_ten_lines_of_code():
    _, text = source("python")
    assert len([line for line in text.splitlines() if line.strip() and not line.startswith("#")]) == 10


def test_the_example_is_installed_listed_and_called(house: House, ann: str):
    with house.client(ann) as client:
        listed = result_of(client.post("/mcp", **modern("tools/list")))["result"]["tools"]
    (tool,) = [each for each in listed if each["name"] == "dice__roll"]
    assert tool["description"] == "Rolls dice."
    result = call(house, ann, "dice__roll", dice=3)["result"]
    told = result["structuredContent"]
    assert json.loads(result["content"][0]["text"]) == told
    assert told["message"] == "rolled for ann@example.com"
    assert len(told["result"]) == 3
    assert set(told["result"]) <= {1, 2, 3, 4, 5, 6}
    assert call(house, ann, "dice__roll", dice=10)["result"]["isError"]


def test_the_example_tells_its_progress_to_a_client_that_asks(house: House, ann: str):
    asked = modern("tools/call", name="dice__roll", arguments={"dice": 2})
    asked["json"]["params"]["_meta"] = {**asked["json"]["params"]["_meta"], "progressToken": "p"}
    with house.client(ann) as client:
        lines = client.post("/mcp", **asked).text.splitlines()
    said = [json.loads(line[5:]) for line in lines if line.startswith("data:")]
    told = [each["params"] for each in said if each.get("method") == "notifications/progress"]
    assert [(each["progress"], each["total"], each["message"]) for each in told] == [
        (1, 2, "rolling"),
        (2, 2, "rolling"),
    ]


def test_a_tool_made_over_the_example_hands_it_its_configuration(house: House, ann: str):
    made = call(house, ann, "add-tool", toolDefinition=TOOL)
    assert not made["result"].get("isError"), made
    told = call(house, ann, "coin", count=4)["result"]["structuredContent"]
    assert told["result"] == [1, 1, 1, 1]


def test_what_is_left_out_is_not_offered(site: Path, tmp_path: Path):
    code = "from connectors.packages.finding import installed; print([p.name for p in installed(omit={omit}).packages])"
    for omit, names in (((), "['dice']"), (("dice",), "[]")):
        command = [sys.executable, "-c", code.format(omit=omit)]
        environment = {"PYTHONPATH": f"{ROOT}:{site}"}
        done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == names


# -- tables


def test_the_table_of_types_is_that_of_the_code():
    told = {
        type: set(re.findall(r"`(\w+)`", row["config"]))
        for type, row in table("handlers.md", "What a tool calls").by("type").items()
    }
    told.pop("name of a package")
    assert told == {"http": {*KEYS}, **{type: {*keys, "args"} for type, keys in CALLS.items()}}
    assert {*told} == {*TYPES}


def test_the_fields_of_a_definition_are_those_of_the_code():
    row = table("handlers.md", "Handler packages").by("part")["tools"]
    assert set(re.findall(r"`(\w+)`", row["is"])) == {*KNOWN}
